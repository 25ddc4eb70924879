import { spawn } from 'node:child_process';
import { createReadStream } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface DockerResult {
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

export interface DockerRunOptions {
  readonly stdin?: string | Uint8Array;
  readonly stdinFile?: string;
  readonly timeoutMs?: number;
}

/** Docker's unmodified client with the key of one tenant, its own configuration folder and nothing else of the machine's. */
export class DockerCli {
  private constructor(
    private readonly url: string,
    private readonly apiKey: string,
    readonly configDir: string,
  ) {}

  static async open(url: string, apiKey: string): Promise<DockerCli> {
    const configDir = await mkdtemp(join(tmpdir(), 'docker-cli-'));
    // What Debian's client of 2021 reads; newer ones take the variable.
    await writeFile(join(configDir, 'config.json'), JSON.stringify({ HttpHeaders: { Authorization: `Bearer ${apiKey}` } }), { mode: 0o600 });
    return new DockerCli(url, apiKey, configDir);
  }

  /** What makes any client of Docker's speak for the tenant. */
  get env(): NodeJS.ProcessEnv {
    return {
      PATH: process.env['PATH'],
      HOME: this.configDir,
      DOCKER_CONFIG: this.configDir,
      DOCKER_HOST: this.url.replace(/^http:/, 'tcp:'),
      DOCKER_CUSTOM_HEADERS: `"Authorization=Bearer ${this.apiKey}"`,
      // The variable of the builder's plugin, which other machines may have.
      DOCKER_BUILDKIT: '0',
    };
  }

  /** Runs to the end, whatever it says. */
  run(args: readonly string[], options: DockerRunOptions = {}): Promise<DockerResult> {
    return this.#run('docker', args, options);
  }

  /** A line as a person types it, `docker` in it, at a terminal that `typed` is written to. */
  terminal(line: string, typed = '', options: { readonly timeoutMs?: number } = {}): Promise<DockerResult> {
    return this.#run('script', ['--quiet', '--return', '--command', line, '/dev/null'], { stdin: typed, ...options });
  }

  /** A line as a person types it, `docker` in it. @throws Error with all it said when it does not end with 0 */
  async shell(line: string): Promise<string> {
    const { exitCode, stdout, stderr } = await this.#run('sh', ['-c', line], {});
    if (exitCode !== 0) throw new Error(`${line} ended with ${String(exitCode)}: ${stderr}${stdout}`);
    return stdout.trimEnd();
  }

  #run(program: string, args: readonly string[], options: DockerRunOptions): Promise<DockerResult> {
    const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'], env: this.env });
    // A client that ends before its input: its exit code tells.
    child.stdin.on('error', () => undefined);
    if (options.stdinFile === undefined) child.stdin.end(options.stdin);
    else createReadStream(options.stdinFile).pipe(child.stdin);
    const timer = setTimeout(() => child.kill('SIGKILL'), options.timeoutMs ?? 60_000);
    const texts = { stdout: '', stderr: '' };
    for (const name of ['stdout', 'stderr'] as const) child[name].on('data', (chunk: Buffer) => (texts[name] += chunk.toString()));
    return new Promise((resolve, reject) => {
      child.once('error', reject);
      child.once('close', (exitCode) => {
        clearTimeout(timer);
        resolve({ exitCode, ...texts });
      });
    });
  }

  /** What it prints, without the closing newline. @throws Error with all it said when it does not end with 0 */
  async ok(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(args);
    if (exitCode !== 0) throw new Error(`docker ${args.join(' ')} ended with ${String(exitCode)}: ${stderr}${stdout}`);
    return stdout.trimEnd();
  }

  /** Resolves when the tenant's host answers again. @throws Error with what it says instead */
  async untilAnswered(withinMs = 30_000): Promise<void> {
    for (const end = performance.now() + withinMs; ; ) {
      const { exitCode, stderr } = await this.run(['ps', '-q']);
      if (exitCode === 0) return;
      if (performance.now() > end) throw new Error(stderr);
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }

  /** What it prints as JSON (`inspect`). */
  async json<T>(...args: string[]): Promise<T> {
    return JSON.parse(await this.ok(...args)) as T;
  }

  /** The error text of a command that must fail. */
  async fails(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await this.run(args);
    if (exitCode === 0) throw new Error(`docker ${args.join(' ')} succeeded: ${stdout}`);
    return stderr.trimEnd();
  }

  async close(): Promise<void> {
    await rm(this.configDir, { recursive: true, force: true });
  }
}
