import { execFile, spawn } from 'node:child_process';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { asRecord, type ImageConfig } from './image-facts.js';

const run = promisify(execFile);
/** `docker` is the format that has room for HEALTHCHECK, SHELL and ONBUILD. What of the machine's settings could change a build is not read. */
const FLAGS = ['--isolation', 'chroot', '--format', 'docker', '--identity-label=false', '--pull-never', '--quiet'];
const MAX_OUTPUT_BYTES = 16 * 1024 * 1024;

export interface BuildahRequest {
  readonly context: string;
  /** A file beside or in the context. */
  readonly dockerfile: string;
  readonly target?: string;
  readonly buildArgs: ReadonlyMap<string, string>;
  readonly labels: ReadonlyMap<string, string>;
}

/** Debian's buildah, with a store of images in a folder of its own. Its store has podman's form: podman loads and mounts. */
export class Buildah {
  private constructor(
    private readonly store: readonly string[],
    private readonly policy: string,
  ) {}

  static async open(folder: string): Promise<Buildah> {
    const policy = join(folder, 'policy.json');
    await mkdir(folder, { recursive: true });
    await writeFile(policy, JSON.stringify({ default: [{ type: 'insecureAcceptAnything' }] }));
    return new Buildah(['--root', join(folder, 'root'), '--runroot', join(folder, 'run'), '--storage-driver', 'vfs'], policy);
  }

  /** An archive of `docker save`; its image gets a name that is looked for nowhere else. */
  async load(archive: string, name: string): Promise<void> {
    await this.podman('load', '--quiet', '--signature-policy', this.policy, '--input', archive);
    await this.podman('tag', `docker.io/library/${name}:latest`, `localhost/${name}:latest`);
  }

  /** Gives the image's ID. @throws Error with what it said */
  async build({ context, dockerfile, target, buildArgs, labels }: BuildahRequest): Promise<string> {
    const args = [...buildArgs].flatMap(([name, value]) => ['--build-arg', `${name}=${value}`]);
    const words = [...labels].flatMap(([name, value]) => ['--label', `${name}=${value}`]);
    const { stdout } = await run('buildah', [...this.store, 'bud', ...FLAGS, '--signature-policy', this.policy, ...args, ...words, ...(target === undefined ? [] : ['--target', target]), '--file', dockerfile, context], { maxBuffer: MAX_OUTPUT_BYTES });
    return stdout.trim().split('\n').at(-1) ?? '';
  }

  async config(imageId: string): Promise<ImageConfig> {
    const { stdout } = await run('buildah', [...this.store, 'inspect', '--type', 'image', imageId], { maxBuffer: MAX_OUTPUT_BYTES });
    return asRecord(asRecord(asRecord(JSON.parse(stdout))['Docker'])['config']);
  }

  /** All files of an image, as a tar. In a store of this kind every image is a folder: nothing stays mounted. */
  async *tree(imageId: string): AsyncGenerator<Buffer, void, undefined> {
    yield* archiveOf(await this.podman('image', 'mount', imageId));
  }

  private async podman(...args: readonly string[]): Promise<string> {
    const { stdout } = await run('podman', [...this.store, ...args], { maxBuffer: MAX_OUTPUT_BYTES });
    return stdout.trim();
  }
}

/** A folder's files with all that an image could keep of them. @throws Error when tar fails */
export async function* archiveOf(folder: string): AsyncGenerator<Buffer, void, undefined> {
  const child = spawn('tar', ['--format', 'pax', '--numeric-owner', '--sort', 'name', '--xattrs', '--xattrs-include', '*', '-C', folder, '-c', '.'], { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  ended.catch(() => undefined);
  for await (const chunk of child.stdout) yield chunk as Buffer;
  const code = await ended;
  if (code !== 0) throw new Error(`tar of ${folder} ended with ${String(code)}`);
}
