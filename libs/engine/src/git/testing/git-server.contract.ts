import { execFileSync, spawn } from 'node:child_process';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const IDENTITY = { GIT_AUTHOR_NAME: 'a', GIT_AUTHOR_EMAIL: 'a@b', GIT_COMMITTER_NAME: 'a', GIT_COMMITTER_EMAIL: 'a@b', GIT_AUTHOR_DATE: '2020-01-02T03:04:05Z', GIT_COMMITTER_DATE: '2020-01-02T03:04:05Z', GIT_CONFIG_NOSYSTEM: '1' };

/** A submodule: what its `.gitmodules` says, and the commit that the tree has. */
export interface Linked {
  readonly path: string;
  readonly url: string;
  readonly commit: string;
}

/** One that is served. */
export class GitRepository {
  constructor(
    private readonly root: string,
    private readonly name: string,
    readonly host: string,
  ) {}

  /** Its working tree, to be filled. */
  get work(): string {
    return join(this.root, this.name);
  }

  get url(): string {
    return `http://${this.host}/${this.name}`;
  }

  run(...args: string[]): string {
    return execFileSync('git', args, { cwd: this.work, env: { ...process.env, ...IDENTITY, HOME: this.root }, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] }).trim();
  }

  /** All of the working tree. */
  commit(message = 'more'): string {
    this.run('add', '-A');
    this.run('commit', '-q', '--allow-empty', '-m', message);
    return this.run('rev-parse', 'HEAD');
  }

  /** The working tree with submodules and no others, whatever is behind them; `modules`: another `.gitmodules`. */
  async commitLinks(links: readonly Linked[], modules = links.map(({ path, url }) => `[submodule "${path}"]\n\tpath = ${path}\n\turl = ${url}\n`).join('')): Promise<string> {
    await writeFile(join(this.work, '.gitmodules'), modules);
    this.run('add', '-A');
    for (const { path, commit } of links) this.run('update-index', '--add', '--cacheinfo', `160000,${commit},${path}`);
    this.run('commit', '-q', '-m', 'links');
    return this.run('rev-parse', 'HEAD');
  }
}

/** Git's own server over plain HTTP on the loopback, and a repository that is served (`repo.git`). */
export class GitServer extends GitRepository {
  readonly seen: { readonly path: string; readonly authorization: string | undefined }[] = [];
  /** What the server asks for; undefined: nothing. */
  password: string | undefined;

  private constructor(
    private readonly folder: string,
    private readonly server: Server,
    host: string,
  ) {
    super(folder, 'repo.git', host);
  }

  static async start(): Promise<GitServer> {
    const server = createServer();
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const git = new GitServer(await mkdtemp(join(tmpdir(), 'git-server-')), server, `127.0.0.1:${(server.address() as AddressInfo).port}`);
    server.on('request', (request, response) => {
      git.answer(request, response);
    });
    await git.repository('repo.git');
    return git;
  }

  /** A further one, empty. */
  async repository(name: string): Promise<GitRepository> {
    const repository = new GitRepository(this.folder, name, this.host);
    await mkdir(repository.work, { recursive: true });
    repository.run('init', '-q', '-b', 'main', '.');
    repository.run('config', 'uploadpack.allowAnySHA1InWant', 'true');
    return repository;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
    await rm(this.folder, { recursive: true, force: true });
  }

  private answer(request: IncomingMessage, response: ServerResponse): void {
    const [path = '/', query = ''] = (request.url ?? '/').split('?');
    const { authorization } = request.headers;
    this.seen.push({ path, authorization });
    if (this.password !== undefined && authorization !== `Basic ${Buffer.from(this.password).toString('base64')}`) {
      response.writeHead(401, { 'www-authenticate': 'Basic' }).end();
      return;
    }
    const child = spawn('git', ['http-backend'], {
      env: { ...process.env, GIT_PROJECT_ROOT: this.folder, GIT_HTTP_EXPORT_ALL: '1', PATH_INFO: path, QUERY_STRING: query, REQUEST_METHOD: request.method, CONTENT_TYPE: request.headers['content-type'] ?? '', CONTENT_LENGTH: request.headers['content-length'] ?? '', GIT_PROTOCOL: String(request.headers['git-protocol'] ?? ''), REMOTE_ADDR: '127.0.0.1' },
      stdio: ['pipe', 'pipe', 'ignore'],
    });
    request.pipe(child.stdin);
    child.stdin.on('error', () => undefined);
    let head = Buffer.alloc(0);
    let begun = false;
    child.stdout.on('data', (chunk: Buffer) => {
      if (begun) {
        response.write(chunk);
        return;
      }
      head = Buffer.concat([head, chunk]);
      const end = head.indexOf('\r\n\r\n');
      if (end < 0) return;
      begun = true;
      const fields = head.toString('latin1', 0, end).split('\r\n').map((line): [string, string] => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1).trim()]);
      const status = Number.parseInt(fields.find(([name]) => name.toLowerCase() === 'status')?.[1] ?? '200', 10);
      response.writeHead(status, Object.fromEntries(fields.filter(([name]) => name.toLowerCase() !== 'status')));
      response.write(head.subarray(end + 4));
    });
    child.stdout.on('end', () => response.end());
  }
}
