import { open, type FileHandle } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, errnoOf } from '#kernel';
import { killUntilEmpty, keyedNumber, pidsBelow, pidsIn, readNumber, readText, readTextIfAny, removeCgroup, settleAll, signalAll, writeIfAny, writeValue } from '../cgroup-files.js';
import type { Cgroup, CgroupLimits, CgroupUsage } from '../cgroups.js';

const CPU_PERIOD_US = 100_000;
const MIN_QUOTA_US = 1_000;
const FREEZE_POLLS = 200;

/** A directory of the unified hierarchy (kernel: Documentation/admin-guide/cgroup-v2.rst). */
export class V2Cgroup implements Cgroup {
  readonly path: string;
  readonly #dir: string;
  /** A reset of memory.peak counts for the descriptor that wrote it alone, so that one is kept. */
  #peak: FileHandle | undefined;

  constructor(mountPoint: string, path: string) {
    this.path = path;
    this.#dir = join(mountPoint, path);
  }

  get joinFiles(): readonly string[] {
    return [this.#file('cgroup.procs')];
  }

  async setLimits(limits: CgroupLimits): Promise<void> {
    const writes: Promise<unknown>[] = [];
    if (limits.memoryBytes !== undefined) {
      writes.push(writeValue(this.#file('memory.max'), limits.memoryBytes), writeIfAny(this.#file('memory.swap.max'), 0), writeIfAny(this.#file('memory.oom.group'), 0));
    }
    if (limits.pids !== undefined) writes.push(writeValue(this.#file('pids.max'), limits.pids));
    if (limits.cpuMillis !== undefined) {
      const quota = Math.max(MIN_QUOTA_US, Math.round((limits.cpuMillis * CPU_PERIOD_US) / 1000));
      writes.push(writeValue(this.#file('cpu.max'), `${quota} ${CPU_PERIOD_US}`));
    }
    if (limits.cpuWeight !== undefined) writes.push(writeValue(this.#file('cpu.weight'), limits.cpuWeight));
    await settleAll(writes);
  }

  async usage(): Promise<CgroupUsage> {
    const [cpu, memoryBytes, peak, events, pids] = await Promise.all([
      readText(this.#file('cpu.stat')),
      readNumber(this.#file('memory.current')),
      this.#readPeak(),
      readText(this.#file('memory.events')),
      readNumber(this.#file('pids.current')),
    ]);
    return { cpuTimeUs: keyedNumber(cpu, 'usage_usec'), memoryBytes, memoryPeakBytes: peak ?? memoryBytes, oomKills: keyedNumber(events, 'oom_kill'), pids };
  }

  async resetPeak(): Promise<void> {
    try {
      this.#peak ??= await open(this.#file('memory.peak'), 'r+');
      await this.#peak.write('reset', 0);
    } catch (error) {
      // Kernels before 6.12 have a file that cannot be written (EACCES on open, EINVAL on write), those before 5.19 none.
      const errno = errnoOf(error);
      if (errno !== 'EACCES' && errno !== 'EINVAL' && errno !== 'EPERM' && errno !== 'ENOENT' && errno !== 'ENODEV') throw error;
      await this.#closePeak();
    }
  }

  async freeze(): Promise<void> {
    await writeValue(this.#file('cgroup.freeze'), 1);
    for (let poll = 0; poll < FREEZE_POLLS; poll += 1) {
      if (keyedNumber(await readText(this.#file('cgroup.events')), 'frozen') === 1) return;
      await new Promise((resolve) => setTimeout(resolve, poll < 5 ? 1 : 10));
    }
    throw new CodedError('deadline_exceeded', 'the cgroup does not freeze', { path: this.path });
  }

  async thaw(): Promise<void> {
    await writeValue(this.#file('cgroup.freeze'), 0);
  }

  pids(): Promise<number[]> {
    return pidsIn(this.#dir);
  }

  async kill(): Promise<void> {
    await killUntilEmpty(this.#dir, async () => {
      // Kills forks in flight too, and works on a frozen cgroup (cgroup.kill, Linux 5.14).
      if (await writeIfAny(this.#file('cgroup.kill'), 1)) return;
      await writeIfAny(this.#file('cgroup.freeze'), 1);
      try {
        signalAll(await pidsBelow(this.#dir));
      } finally {
        await writeIfAny(this.#file('cgroup.freeze'), 0);
      }
    });
  }

  async remove(): Promise<void> {
    await this.#closePeak();
    await removeCgroup(this.#dir);
  }

  async #readPeak(): Promise<number | undefined> {
    if (this.#peak !== undefined) {
      const bytes = Buffer.alloc(32);
      const { bytesRead } = await this.#peak.read(bytes, 0, bytes.length, 0);
      return Number(bytes.toString('latin1', 0, bytesRead).trim());
    }
    const text = await readTextIfAny(this.#file('memory.peak'));
    return text === undefined ? undefined : Number(text);
  }

  async #closePeak(): Promise<void> {
    const handle = this.#peak;
    this.#peak = undefined;
    await handle?.close();
  }

  #file(name: string): string {
    return join(this.#dir, name);
  }
}
