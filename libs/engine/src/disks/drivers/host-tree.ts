import { chmod, lstat, mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '#kernel';

/** What everybody expects of a host's disk: binds may name these without making them. */
const FOLDERS: readonly (readonly [path: string, mode: number])[] = [
  ['etc', 0o755],
  ['home', 0o755],
  ['media', 0o755],
  ['mnt', 0o755],
  ['opt', 0o755],
  ['root', 0o700],
  ['srv', 0o755],
  ['tmp', 0o1777],
  ['var', 0o755],
  ['var/lib', 0o755],
  ['var/log', 0o755],
  ['var/tmp', 0o1777],
];

/**
 * Makes the tree that stands for a tenant's host, once and as a whole: from then on guests may change what is in it, and the node makes no path below it any
 * more. Its top is what guests see as `/` of their host.
 */
export async function ensureHostTree(disk: string): Promise<void> {
  const tree = join(disk, 'host');
  const staged = join(disk, 'host.new');
  await rm(staged, { recursive: true, force: true });
  if (await isThere(tree)) return;
  await mkdir(staged, { mode: 0o755 });
  for (const [path, mode] of FOLDERS) {
    await mkdir(join(staged, path));
    // mkdir(2) leaves out what the process' umask says.
    await chmod(join(staged, path), mode);
  }
  await chmod(staged, 0o755);
  await rename(staged, tree);
}

async function isThere(path: string): Promise<boolean> {
  try {
    await lstat(path);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return false;
    throw error;
  }
}
