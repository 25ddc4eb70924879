import { open, type FileHandle } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CodedError, errnoOf } from '#kernel';
import { settleAll } from '../../linux/index.js';
import { killUntilEmpty, keyedNumber, pidsBelow, pidsIn, readNumber, readText, readTextIfAny, removeCgroup, signalAll, writeIfAny, writeValue } from '../cgroup-files.js';
import type { Cgroup, CgroupFigures, CgroupLimits, CgroupUsage } from '../cgroups.js';
import { quotaOf } from './cpu-quota.js';
import { readV2Figures } from './v2-figures.js';

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
    // As the OCI runtimes have it: what is asked for is kept from reclaim as long as the parent has so much to spare.
    if (limits.memoryReservationBytes !== undefined) writes.push(writeValue(this.#file('memory.low'), limits.memoryReservationBytes));
    const quota = quotaOf(limits);
    if (quota !== undefined) writes.push(writeValue(this.#file('cpu.max'), `${quota.quotaUs < 0 ? 'max' : quota.quotaUs} ${quota.periodUs}`));
    if (limits.cpuWeight !== undefined) writes.push(writeValue(this.#file('cpu.weight'), limits.cpuWeight));
    if (limits.cpuShares !== undefined) writes.push(writeValue(this.#file('cpu.weight'), weightOfShares(limits.cpuShares)));
    writes.push(this.#setCpuset(limits), this.#setBlkio(limits));
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

  figures(): Promise<CgroupFigures> {
    return readV2Figures((name) => this.#file(name));
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

  async #setCpuset({ cpusetCpus, cpusetMems }: CgroupLimits): Promise<void> {
    for (const [file, list] of [['cpuset.cpus', cpusetCpus], ['cpuset.mems', cpusetMems]] as const) {
      if (list !== undefined && !(await (list === '' ? this.#forgetCpuset(file) : writeIfAny(this.#file(file), list)))) throw new CodedError('unsupported', 'this machine has no cpuset controller');
    }
  }

  async #forgetCpuset(file: string): Promise<boolean> {
    try {
      // An empty list needs a line's end to be written at all.
      return await writeIfAny(this.#file(file), '\n');
    } catch (error) {
      // Kernels of Debian 12 (6.1) take none from a cgroup with processes: all that its parent has comes to the same.
      if (errnoOf(error) !== 'ENOSPC') throw error;
      return writeIfAny(this.#file(file), await readText(join(dirname(this.#dir), `${file}.effective`)));
    }
  }

  async #setBlkio({ blkioWeight }: CgroupLimits): Promise<void> {
    if (blkioWeight === undefined || (await writeIfAny(this.#file('io.bfq.weight'), blkioWeight))) return;
    // 10…1000 onto 1…10000, as the OCI runtimes do.
    await writeIfAny(this.#file('io.weight'), 1 + Math.floor(((blkioWeight - 10) * 9999) / 990));
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

/** 2…262144 of v1 onto 1…10000, as the OCI runtimes do (runtime-spec, cgroup v2 conversion). */
function weightOfShares(shares: number): number {
  return 1 + Math.floor(((shares - 2) * 9999) / 262_142);
}
