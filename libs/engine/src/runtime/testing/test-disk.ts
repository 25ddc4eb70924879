import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { WritableLayer } from '../../snapshots/index.js';

/** As a node has it: a shared bind mount, so that what is mounted below it later reaches the spawner. Open it before the spawner starts. */
export class DiskFolder {
  readonly #mounted: string[] = [];

  private constructor(readonly path: string) {}

  static async open(name: string): Promise<DiskFolder> {
    const folder = new DiskFolder(await mkdtemp(join(tmpdir(), `walls-disks-${name}-`)));
    folder.#mount(folder.path, ['--bind', folder.path]);
    execFileSync('mount', ['--make-shared', folder.path]);
    return folder;
  }

  /** A small ext4 disk as tenants have it, its root the node's alone. */
  async ext4(name: string, sizeBytes: number): Promise<string> {
    const image = join(this.path, `${name}.img`);
    await writeFile(image, '');
    await truncate(image, sizeBytes);
    execFileSync('mkfs.ext4', ['-q', '-m', '0', image]);
    const dir = await this.#folder(name);
    this.#mount(dir, ['-o', 'loop,nosuid,nodev,noexec', image]);
    await chmod(dir, 0o700);
    return dir;
  }

  async close(): Promise<void> {
    for (const point of this.#mounted.reverse()) execFileSync('umount', [point]);
    await rm(this.path, { recursive: true, force: true });
  }

  #mount(point: string, args: readonly string[]): void {
    execFileSync('mount', [...args, point], { stdio: 'pipe' });
    this.#mounted.push(point);
  }

  async #folder(name: string): Promise<string> {
    const dir = join(this.path, name);
    await mkdir(dir, { mode: 0o700 });
    return dir;
  }
}

/** Empty, on that disk. */
export async function newLayer(disk: string, name: string): Promise<WritableLayer> {
  const layer = { upperDir: join(disk, 'containers', name, 'upper'), workDir: join(disk, 'containers', name, 'work') };
  await mkdir(layer.upperDir, { recursive: true });
  await mkdir(layer.workDir);
  // As the kernel makes it, whatever the umask.
  await chmod(layer.upperDir, 0o755);
  return layer;
}
