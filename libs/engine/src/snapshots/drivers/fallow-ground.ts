import { execFile } from 'node:child_process';
import { mkdir, rmdir, stat } from 'node:fs/promises';
import { promisify } from 'node:util';

const run = promisify(execFile);
/** ext4's by default: 16 block groups of 8192 inodes. With other numbers the guess is coarser, never wrong. */
const INODES_PER_REGION = 131_072n;
/** ext4's own for a deleted inode whose block is not yet on disk (`RECENTCY_DIRTY`). */
const FALLOW_MS = 300_000;
const TRIES = 8;

/**
 * Makes the directories of large trees where no large tree was removed a moment ago. For some minutes ext4 gives no inode out again that was deleted, and
 * for each new file it walks past all of them: a layer of ten thousand files then takes seconds in place of a third of one. Directories whose parent is
 * marked as a top directory (chattr(1), `T`) are spread over the disk, so that one of another name may come to lie elsewhere. Where the file system knows no such
 * mark, directories are made as ever.
 */
export class FallowGround {
  /** Until when a region of the inode table is to rest, by its number; times as `performance.now()`. */
  private readonly resting = new Map<bigint, number>();

  private constructor(private readonly spreads: boolean) {}

  /** `parent`: the directory in which `make` makes. */
  static async open(parent: string): Promise<FallowGround> {
    const spreads = await run('chattr', ['+T', parent]).then(
      () => true,
      () => false,
    );
    return new FallowGround(spreads);
  }

  /** Makes a directory with that mode at one of the paths that `newPath` gives, each another: ext4 chooses the place by the name. */
  async make(newPath: () => string, mode: number): Promise<string> {
    // They stay until one is good: ext4 prefers where directories are few.
    const refused: string[] = [];
    try {
      for (;;) {
        const path = newPath();
        await mkdir(path, { mode });
        if (refused.length === TRIES || !this.isResting(await regionOf(path))) return path;
        refused.push(path);
      }
    } finally {
      await Promise.all(refused.map((path) => rmdir(path)));
    }
  }

  /** Before the tree at this path is removed. */
  async leave(path: string): Promise<void> {
    if (!this.spreads) return;
    this.forget();
    this.resting.set(await regionOf(path), performance.now() + FALLOW_MS);
  }

  private isResting(region: bigint): boolean {
    return (this.resting.get(region) ?? 0) > performance.now();
  }

  private forget(): void {
    for (const region of this.resting.keys()) if (!this.isResting(region)) this.resting.delete(region);
  }
}

async function regionOf(path: string): Promise<bigint> {
  const { ino } = await stat(path, { bigint: true });
  return ino / INODES_PER_REGION;
}
