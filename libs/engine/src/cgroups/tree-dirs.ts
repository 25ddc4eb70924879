import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { readMounts } from '../linux/index.js';
import { childCgroups } from './cgroup-files.js';

/**
 * Every directory of the tree `root` in every hierarchy of this machine, those that only an OCI runtime made too; parents first. Nothing when
 * the tree is gone. For the leak check.
 */
export async function cgroupTreeDirs(root: string): Promise<string[]> {
  const mounts = (await readMounts()).filter((mount) => mount.fsType === 'cgroup' || mount.fsType === 'cgroup2');
  const found = await Promise.all([...new Set(mounts.map((mount) => mount.mountPoint))].map((mountPoint) => walk(join(mountPoint, root))));
  return found.flat();
}

async function walk(dir: string): Promise<string[]> {
  if ((await stat(dir).catch(() => undefined)) === undefined) return [];
  const below = await Promise.all((await childCgroups(dir)).map((name) => walk(join(dir, name))));
  return [dir, ...below.flat()];
}
