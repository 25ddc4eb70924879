import { randomBytes } from 'node:crypto';
import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { errnoOf } from '#kernel';

const ENTRY = /^(\d+)-(\d+)-[0-9a-f]{16}$/;

/**
 * A directory for things in the making, on the same file system as the place they are renamed to. Each entry carries its maker's
 * pid and start time, so a sweep takes only what a dead process left: several processes may share one store.
 */
export class StagingArea {
  private constructor(
    readonly path: string,
    private readonly self: string,
    private readonly remove: (path: string) => Promise<void>,
  ) {}

  /** Creates the directory if need be, with that mode, and sweeps it. `remove`: for entries whose paths get longer than rm's may be. */
  static async open(path: string, mode = 0o700, remove: (path: string) => Promise<void> = removeAll): Promise<StagingArea> {
    await mkdir(path, { recursive: true, mode });
    const start = await startTime(process.pid);
    const area = new StagingArea(path, `${process.pid}-${start ?? '0'}`, remove);
    await area.sweep();
    return area;
  }

  /** A fresh path in the area; nothing exists there yet. */
  newPath(): string {
    return join(this.path, `${this.self}-${randomBytes(8).toString('hex')}`);
  }

  private async sweep(): Promise<void> {
    for (const name of await readdir(this.path)) {
      if (await hasLivingMaker(name)) continue;
      await this.remove(join(this.path, name));
    }
  }
}

function removeAll(path: string): Promise<void> {
  return rm(path, { recursive: true, force: true });
}

async function hasLivingMaker(name: string): Promise<boolean> {
  const match = ENTRY.exec(name);
  if (!match) return false;
  return (await startTime(Number(match[1]))) === match[2];
}

/** In clock ticks since boot: field 22 of /proc/PID/stat (proc_pid_stat(5)). A reused pid has another. undefined when there is no such process, or only its zombie. */
async function startTime(pid: number): Promise<string | undefined> {
  try {
    const stat = await readFile(`/proc/${pid}/stat`, 'utf8');
    // The program's name, field 2, may hold blanks and parentheses; the last one closes it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    return fields[0] === 'Z' || fields[0] === 'X' ? undefined : fields[19];
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return undefined;
    throw error;
  }
}
