import { spawn, spawnSync, type ChildProcess, type StdioOptions } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, copyFileSync, openSync, closeSync, readFileSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

/** A Docker daemon of the bench's own, in a folder of its own, with one image `bench` made of Debian's static busybox. */
export class DockerDaemon {
  readonly #root: string;
  readonly #process: ChildProcess;

  private constructor(root: string, process: ChildProcess) {
    this.#root = root;
    this.#process = process;
  }

  /**
   * `bridged`: with its usual bridge and firewall rules, in a network name space of its own, so that the machine stays as it is.
   * @throws Error naming what is missing
   */
  static async start({ bridged = false }: { readonly bridged?: boolean } = {}): Promise<DockerDaemon> {
    for (const program of ['/usr/sbin/dockerd', '/bin/busybox']) {
      if (!existsSync(program)) throw new Error(`${program} is missing: apt-get install --no-install-recommends docker.io busybox-static`);
    }
    const root = mkdtempSync(join(tmpdir(), 'bench-docker-'));
    const log = openSync(join(root, 'log'), 'w');
    const args = ['--data-root', join(root, 'data'), '--exec-root', join(root, 'exec'), '-H', `unix://${join(root, 'sock')}`, '--pidfile', join(root, 'pid')];
    const stdio: StdioOptions = ['ignore', log, log];
    const daemon = bridged
      ? spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up && exec "$0" "$@"', '/usr/sbin/dockerd', ...args], { stdio })
      : spawn('/usr/sbin/dockerd', [...args, '--bridge', 'none', '--iptables=false', '--ip-forward=false', '--ip-masq=false'], { stdio });
    closeSync(log);
    const self = new DockerDaemon(root, daemon);
    try {
      await self.#ready();
      self.#importBusybox();
    } catch (error) {
      await self.stop();
      throw error;
    }
    return self;
  }

  /** For `docker -H`. */
  get host(): string {
    return `unix://${join(this.#root, 'sock')}`;
  }

  get version(): string {
    return spawnSync('/usr/sbin/dockerd', ['--version'], { encoding: 'utf8' }).stdout.trim();
  }

  /** `docker run --rm --network none bench true`, as a user types it: the client's own start is part of it. */
  async runByCli(): Promise<void> {
    const child = spawn('docker', ['-H', `unix://${join(this.#root, 'sock')}`, 'run', '--rm', '--network', 'none', 'bench', 'true'], { stdio: ['ignore', 'ignore', 'pipe'] });
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
    if (this.#process.exitCode === null) {
      const ended = new Promise((resolve) => this.#process.once('exit', resolve));
      this.#process.kill('SIGTERM');
      await ended;
    }
    rmSync(this.#root, { recursive: true, force: true });
  }

  async #ready(): Promise<void> {
    for (let attempt = 0; attempt < 100; attempt += 1) {
      if (this.#process.exitCode !== null) break;
      if (existsSync(join(this.#root, 'sock')) && (await this.#call('GET', '/_ping').catch(() => '')) === 'OK') return;
      await sleep(200);
    }
    throw new Error(`dockerd did not start: ${readFileSync(join(this.#root, 'log'), 'utf8').split('\n').slice(-5).join('\n')}`);
  }

  #importBusybox(): void {
    const tree = join(this.#root, 'tree');
    mkdirSync(join(tree, 'bin'), { recursive: true });
    copyFileSync('/bin/busybox', join(tree, 'bin', 'busybox'));
    for (const applet of ['true', 'sh', 'head', 'sleep']) symlinkSync('busybox', join(tree, 'bin', applet));
    mkdirSync(join(tree, 'dev'));
    const archive = join(this.#root, 'tree.tar');
    spawnSync('tar', ['-C', tree, '-cf', archive, '.']);
    const imported = spawnSync('docker', ['-H', `unix://${join(this.#root, 'sock')}`, 'import', archive, 'bench'], { encoding: 'utf8' });
    if (imported.status !== 0) throw new Error(`docker import failed: ${imported.stderr}`);
  }

  #call(method: string, path: string, body?: unknown): Promise<string> {
    return new Promise((resolve, reject) => {
      const headers = body === undefined ? {} : { 'content-type': 'application/json' };
      const call = request({ socketPath: join(this.#root, 'sock'), method, path, headers }, (answer) => {
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
