import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DOCKER_DAEMON, DockerDaemon } from '#testing';

/** Docker, to be measured beside Sandbar: a daemon of the bench's own with one image `bench`, made of Debian's static busybox. */
export class BenchDocker {
  readonly #daemon: DockerDaemon;

  private constructor(daemon: DockerDaemon) {
    this.#daemon = daemon;
  }

  /** `bridged`: as `DockerDaemon.start` has it. @throws Error naming what is missing */
  static async start(options: { readonly bridged?: boolean } = {}): Promise<BenchDocker> {
    for (const program of [DOCKER_DAEMON, '/bin/busybox']) {
      if (!existsSync(program)) throw new Error(`${program} is missing: apt-get install --no-install-recommends docker.io busybox-static`);
    }
    const self = new BenchDocker(await DockerDaemon.start(options));
    try {
      self.#importBusybox();
    } catch (error) {
      await self.stop();
      throw error;
    }
    return self;
  }

  /** For `docker -H`. */
  get host(): string {
    return this.#daemon.host;
  }

  get version(): string {
    return spawnSync(DOCKER_DAEMON, ['--version'], { encoding: 'utf8' }).stdout.trim();
  }

  /** `docker run --rm --network none bench true`, as a user types it: the client's own start is part of it. */
  async runByCli(): Promise<void> {
    const child = spawn('docker', ['-H', this.host, 'run', '--rm', '--network', 'none', 'bench', 'true'], { stdio: ['ignore', 'ignore', 'pipe'] });
    const stderr: Buffer[] = [];
    child.stderr.on('data', (chunk: Buffer) => stderr.push(chunk));
    const code = await new Promise<number | null>((resolve, reject) => child.on('error', reject).on('close', resolve));
    if (code !== 0) throw new Error(`docker run ended with ${String(code)}: ${Buffer.concat(stderr).toString()}`);
  }

  /** The same through the Engine API without a client program: create, start, wait, remove. */
  async runByApi(): Promise<void> {
    const created = await this.#call('POST', '/containers/create', { Image: 'bench', Cmd: ['true'], HostConfig: { NetworkMode: 'none' } });
    const { Id: id } = JSON.parse(created) as { Id: string };
    await this.#call('POST', `/containers/${id}/start`);
    await this.#call('POST', `/containers/${id}/wait?condition=not-running`);
    await this.#call('DELETE', `/containers/${id}?force=1`);
  }

  async stop(): Promise<void> {
    await this.#daemon.stop();
  }

  #importBusybox(): void {
    const folder = mkdtempSync(join(tmpdir(), 'bench-busybox-'));
    const tree = join(folder, 'tree');
    mkdirSync(join(tree, 'bin'), { recursive: true });
    copyFileSync('/bin/busybox', join(tree, 'bin', 'busybox'));
    for (const applet of ['true', 'sh', 'head', 'sleep']) symlinkSync('busybox', join(tree, 'bin', applet));
    mkdirSync(join(tree, 'dev'));
    const archive = join(folder, 'tree.tar');
    spawnSync('tar', ['-C', tree, '-cf', archive, '.']);
    const imported = spawnSync('docker', ['-H', this.host, 'import', archive, 'bench'], { encoding: 'utf8' });
    rmSync(folder, { recursive: true });
    if (imported.status !== 0) throw new Error(`docker import failed: ${imported.stderr}`);
  }

  #call(method: string, path: string, body?: unknown): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' };
      const call = request({ socketPath: this.#daemon.socketPath, method, path, headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('error', reject);
        answer.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          if ((answer.statusCode ?? 500) >= 400) reject(new Error(`${method} ${path}: ${String(answer.statusCode)} ${text}`));
          else resolve(text);
        });
      });
      call.on('error', reject);
      call.end(body === undefined ? undefined : JSON.stringify(body));
    });
  }
}
