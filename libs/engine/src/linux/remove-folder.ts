import { readdir, rm, rmdir, unlink } from 'node:fs/promises';
import { join } from 'node:path';

/**
 * As rm(1) with -rf, in half the system calls where the folder holds a few plain files, which is what folders of sandboxes hold. Only for
 * folders that nobody else writes to. Idempotent.
 */
export async function removeFolder(dir: string): Promise<void> {
  try {
    const names = await readdir(dir);
    await Promise.all(names.map((name) => unlink(join(dir, name))));
    await rmdir(dir);
  } catch {
    await rm(dir, { recursive: true, force: true });
  }
}
