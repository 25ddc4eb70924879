import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { dockerClient, type DockerClient } from '../docker-client.ts';

/** Who builds images. */
export interface ImageBuilder {
  readonly name: string;
  /** `fresh`: nothing is taken from a cache. @throws Error with what it said */
  build(folder: string, options: { readonly fresh: boolean }): Promise<void>;
  /** Builds what a tar holds that is sent as it lies on the disk; absent: there is nothing to send it to. */
  send?(tar: string): Promise<void>;
  /** Takes an archive of `docker save`. */
  load(archive: string): Promise<void>;
  /** Forgets everything that was built. */
  clean(): Promise<void>;
}

/** Docker's client and its classic builder's protocol, against Docker's daemon or an instance of ours. */
export class DockerBuilds implements ImageBuilder {
  readonly name: string;
  readonly #client: DockerClient;
  /** Of curl. */
  readonly #target: readonly string[];

  constructor(name: string, host: string, environment: Readonly<Record<string, string>> = {}, headers: Readonly<Record<string, string>> = {}) {
    this.name = name;
    const query = '/build?t=built&nocache=1&q=1';
    const where = host.startsWith('unix://') ? ['--unix-socket', host.slice('unix://'.length), `http://docker${query}`] : [host.replace(/^tcp:/, 'http:') + query];
    this.#target = [...Object.entries(headers).flatMap(([key, value]) => ['-H', `${key}: ${value}`]), ...where];
    this.#client = dockerClient(host, { ...environment, DOCKER_BUILDKIT: '0' });
  }

  async build(folder: string, { fresh }: { readonly fresh: boolean }): Promise<void> {
    await this.#client(['build', '-q', '-t', 'built', ...(fresh ? ['--no-cache'] : []), folder]);
  }

  async send(tar: string): Promise<void> {
    const said = await run('curl', ['-sS', '-H', 'content-type: application/x-tar', '--data-binary', `@${tar}`, ...this.#target]);
    if (!said.includes('sha256:')) throw new Error(`${this.name} did not build what it was sent: ${said}`);
  }

  async load(archive: string): Promise<void> {
    await this.#client(['load', '-q', '-i', archive]);
  }

  async clean(): Promise<void> {
    await this.#client(['rmi', '-f', 'built']).catch(() => undefined);
    await this.#client(['builder', 'prune', '-f']).catch(() => undefined);
    await this.#client(['image', 'prune', '-f']);
  }
}

const CHROOT = ['--isolation', 'chroot', '--pull-never', '--quiet', '--layers', '--jobs', '2'];

/** Debian's buildah, on an overlay, with a store of its own. */
export class BuildahBuilds implements ImageBuilder {
  readonly name = 'buildah';
  readonly #folder = mkdtempSync(join(tmpdir(), 'bench-buildah-'));
  readonly #policy = join(this.#folder, 'policy.json');

  constructor() {
    writeFileSync(this.#policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
  }

  async build(folder: string, { fresh }: { readonly fresh: boolean }): Promise<void> {
    await this.#run(['bud', ...CHROOT, '--signature-policy', this.#policy, ...(fresh ? ['--no-cache'] : []), '-t', 'localhost/built', folder]);
  }

  async load(archive: string): Promise<void> {
    await this.#run(['pull', '-q', '--signature-policy', this.#policy, `docker-archive:${archive}`]);
  }

  async clean(): Promise<void> {
    await this.#run(['rmi', '-f', 'localhost/built']).catch(() => undefined);
    await this.#run(['rmi', '--prune', '-f']);
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }

  async #run(args: readonly string[]): Promise<void> {
    await run('buildah', ['--root', join(this.#folder, 'root'), '--runroot', join(this.#folder, 'run'), '--storage-driver', 'overlay', ...args]);
  }
}

/** What it prints. @throws Error with what it said on its standard error */
function run(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const output: Buffer[] = [];
  const errors: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => output.push(chunk));
  child.stderr.on('data', (chunk: Buffer) => errors.push(chunk));
  return new Promise((resolve, reject) => {
    child.on('error', reject).on('close', (code) => {
      if (code === 0) resolve(Buffer.concat(output).toString());
      else reject(new Error(`${program} ${args.join(' ')} ended with ${String(code)}: ${Buffer.concat(errors).toString()}`));
    });
  });
}
