import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError, isCodedError } from '#kernel';
import { settleAll } from '../../linux/index.js';
import { killUntilEmpty, keyedNumber, pidsBelow, pidsIn, readNumber, readText, readTextIfAny, removeCgroup, signalAll, writeIfAny, writeValue } from '../cgroup-files.js';
import type { Cgroup, CgroupFigures, CgroupLimits, CgroupUsage } from '../cgroups.js';
import type { V1Hierarchies, V1OnDemand } from '../hierarchies.js';
import { quotaOf } from './cpu-quota.js';
import { readV1Figures } from './v1-figures.js';
import { V1OnDemandCgroup } from './v1-on-demand.js';

/** Writing it to a soft limit or a quota means that there is none. */
const NONE = -1;
const FREEZE_POLLS = 50;

export interface V1Places {
  readonly hierarchies: V1Hierarchies;
  readonly onDemand: V1OnDemand;
  /** Mount points where an OCI runtime may have made the same path: it is removed there too. */
  readonly others: readonly string[];
}

/** A directory of the same path in every hierarchy (kernel: Documentation/admin-guide/cgroup-v1). */
export class V1Cgroup implements Cgroup {
  readonly path: string;
  readonly #hierarchies: V1Hierarchies;
  readonly #onDemand: V1OnDemandCgroup;
  readonly #others: readonly string[];

  constructor({ hierarchies, onDemand, others }: V1Places, path: string) {
    this.path = path;
    this.#hierarchies = hierarchies;
    this.#onDemand = new V1OnDemandCgroup(onDemand, path, join(hierarchies.pids, path));
    this.#others = others;
  }

  /** Its directories, one per hierarchy. */
  get dirs(): string[] {
    return [...new Set<string>(Object.values(this.#hierarchies))].map((mountPoint) => join(mountPoint, this.path));
  }

  get joinFiles(): readonly string[] {
    // A thread that moves itself alone skips the lock that cgroup.procs takes over every thread group of the machine, and with it an
    // RCU grace period of about 8 ms (kernel/cgroup/cgroup.c, cgroup_procs_write_start). The joining process has one thread.
    return [...this.dirs, ...this.#onDemand.dirs].map((dir) => join(dir, 'tasks'));
  }

  async setLimits(limits: CgroupLimits): Promise<void> {
    const writes: Promise<void>[] = [];
    if (limits.memoryBytes !== undefined) writes.push(this.#setMemory(limits.memoryBytes));
    if (limits.pids !== undefined) writes.push(writeValue(this.#file('pids', 'pids.max'), limits.pids));
    if (limits.memoryReservationBytes !== undefined) writes.push(writeValue(this.#file('memory', 'memory.soft_limit_in_bytes'), limits.memoryReservationBytes || NONE));
    const quota = quotaOf(limits);
    if (quota !== undefined) writes.push(this.#setCpu(quota));
    // 100 of v2's scale is the default 1024 of v1's.
    if (limits.cpuWeight !== undefined) writes.push(writeValue(this.#file('cpu', 'cpu.shares'), Math.max(2, Math.round(limits.cpuWeight * 10.24))));
    if (limits.cpuShares !== undefined) writes.push(writeValue(this.#file('cpu', 'cpu.shares'), limits.cpuShares));
    writes.push(this.#onDemand.setLimits(limits));
    await settleAll(writes);
  }

  async usage(): Promise<CgroupUsage> {
    const [cpuNs, memoryBytes, memoryPeakBytes, oom, pids] = await Promise.all([
      readNumber(this.#file('cpuacct', 'cpuacct.usage')),
      readNumber(this.#file('memory', 'memory.usage_in_bytes')),
      readNumber(this.#file('memory', 'memory.max_usage_in_bytes')),
      readText(this.#file('memory', 'memory.oom_control')),
      readNumber(this.#file('pids', 'pids.current')),
    ]);
    return { cpuTimeUs: Math.floor(cpuNs / 1000), memoryBytes, memoryPeakBytes, oomKills: keyedNumber(oom, 'oom_kill'), pids };
  }

  figures(): Promise<CgroupFigures> {
    return readV1Figures((controller, name) => this.#file(controller, name), this.#onDemand.dirOf('blkio'));
  }

  async resetPeak(): Promise<void> {
    await writeValue(this.#file('memory', 'memory.max_usage_in_bytes'), 0);
  }

  async freeze(): Promise<void> {
    const state = this.#freezerState();
    await writeValue(state, 'FROZEN');
    // FREEZING until the last task has come to a stop; one that forks meanwhile is frozen too.
    for (let poll = 0; poll < FREEZE_POLLS; poll += 1) {
      if ((await readText(state)) === 'FROZEN') return;
      await new Promise((resolve) => setTimeout(resolve, poll < 5 ? 1 : 10));
      await writeValue(state, 'FROZEN');
    }
    throw new CodedError('deadline_exceeded', 'the cgroup does not freeze', { path: this.path });
  }

  async thaw(): Promise<void> {
    await writeValue(this.#freezerState(), 'THAWED');
  }

  pids(): Promise<number[]> {
    return pidsIn(join(this.#hierarchies.pids, this.path));
  }

  async kill(): Promise<void> {
    const dir = join(this.#hierarchies.pids, this.path);
    await killUntilEmpty(dir, async (round) => {
      // The first strike ends what does not fork. What forks faster than we read is stopped first; frozen, it dies when it thaws.
      if (round === 0) {
        await this.#thawIfAny();
        signalAll(await pidsBelow(dir));
        return;
      }
      await this.freeze().catch((error: unknown) => {
        if (!isCodedError(error)) throw error;
      });
      try {
        signalAll(await pidsBelow(dir));
      } finally {
        await this.#thawIfAny();
      }
    });
  }

  async remove(): Promise<void> {
    const others = this.#others.map((mountPoint) => join(mountPoint, this.path)).filter((dir) => existsSync(dir));
    await settleAll([...this.dirs, ...others].map((dir) => removeCgroup(dir)));
  }

  async #setMemory(bytes: number): Promise<void> {
    const memory = this.#file('memory', 'memory.limit_in_bytes');
    const withSwap = this.#file('memory', 'memory.memsw.limit_in_bytes');
    const current = await readTextIfAny(withSwap);
    // memory ≤ memory+swap holds at every moment, so which is written first depends on the direction.
    if (current !== undefined && Number(current) < bytes) {
      await writeValue(withSwap, bytes);
      await writeValue(memory, bytes);
    } else {
      await writeValue(memory, bytes);
      if (current !== undefined) await writeValue(withSwap, bytes);
      else await writeIfAny(this.#file('memory', 'memory.swappiness'), 0);
    }
  }

  async #setCpu({ quotaUs, periodUs }: { readonly quotaUs: number; readonly periodUs: number }): Promise<void> {
    const period = this.#file('cpu', 'cpu.cfs_period_us');
    const quota = this.#file('cpu', 'cpu.cfs_quota_us');
    if ((await readNumber(period)) !== periodUs) {
      // A new period with the old quota may be more than the parent has.
      await writeValue(quota, NONE);
      await writeValue(period, periodUs);
    }
    try {
      await writeValue(quota, quotaUs);
    } catch (error) {
      if (!isCodedError(error, 'invalid_argument')) throw error;
      // More than the parent has, which v1 refuses (v2 does not): without a quota of its own it has what the parent has.
      await writeValue(quota, NONE);
    }
  }

  async #thawIfAny(): Promise<void> {
    const { freezer } = this.#hierarchies;
    if (freezer === undefined) return;
    const file = join(freezer, this.path, 'freezer.state');
    const state = await readTextIfAny(file);
    if (state !== undefined && state !== 'THAWED') await writeIfAny(file, 'THAWED');
  }

  #freezerState(): string {
    const { freezer } = this.#hierarchies;
    if (freezer === undefined) throw new CodedError('unsupported', 'this machine has no freezer hierarchy');
    return join(freezer, this.path, 'freezer.state');
  }

  #file(controller: 'memory' | 'pids' | 'cpu' | 'cpuacct', name: string): string {
    return join(this.#hierarchies[controller], this.path, name);
  }
}
