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
  ) {}

  /** Creates the directory if need be, with that mode, and sweeps it. */
  static async open(path: string, mode = 0o700): Promise<StagingArea> {
    await mkdir(path, { recursive: true, mode });
    const start = await startTime(process.pid);
    const area = new StagingArea(path, `${process.pid}-${start ?? '0'}`);
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
      await rm(join(this.path, name), { recursive: true, force: true });
    }
  }
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
