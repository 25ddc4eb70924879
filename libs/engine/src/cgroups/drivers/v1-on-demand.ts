import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { CodedError } from '#kernel';
import { makeCgroup, pidsIn, readText, writeIfAny, writeValue } from '../cgroup-files.js';
import type { CgroupLimits } from '../cgroups.js';
import type { V1OnDemand } from '../hierarchies.js';

/** The scheduler's that the kernel was built with: BFQ's, or the older one's. */
export const WEIGHT_FILES = ['blkio.bfq.weight', 'blkio.weight'] as const;
const CPUSET_FILES = { cpus: 'cpuset.cpus', mems: 'cpuset.mems' } as const;
const JOIN_ROUNDS = 50;

/** A cgroup's directories in the hierarchies in which it has one only when something is limited there. */
export class V1OnDemandCgroup {
  /** @param membersDir where all its processes are for certain */
  constructor(
    private readonly places: V1OnDemand,
    private readonly path: string,
    private readonly membersDir: string,
  ) {}

  /** Those that exist. */
  get dirs(): string[] {
    return (['cpuset', 'blkio'] as const).flatMap((controller) => this.dirOf(controller) ?? []);
  }

  dirOf(controller: keyof V1OnDemand): string | undefined {
    const mountPoint = this.places[controller];
    if (mountPoint === undefined) return undefined;
    const dir = join(mountPoint, this.path);
    return existsSync(dir) ? dir : undefined;
  }

  /** Processes that are in the cgroup already come along. @throws CodedError `unsupported`, `invalid_argument` */
  async setLimits({ cpusetCpus, cpusetMems, blkioWeight }: CgroupLimits): Promise<void> {
    if (cpusetCpus !== undefined || cpusetMems !== undefined) await this.setCpuset(cpusetCpus, cpusetMems);
    if (blkioWeight !== undefined && this.places.blkio !== undefined) await this.setWeight(this.places.blkio, blkioWeight);
  }

  private async setCpuset(cpus: string | undefined, mems: string | undefined): Promise<void> {
    const mountPoint = this.places.cpuset;
    if (mountPoint === undefined) throw new CodedError('unsupported', 'this machine has no cpuset hierarchy');
    const dir = await this.make(mountPoint, async (each, parent) => {
      // A directory that names no processor or no memory takes no process (cpusets(7)).
      for (const file of Object.values(CPUSET_FILES)) if ((await readText(join(each, file))) === '') await writeValue(join(each, file), await readText(join(parent, file)));
    });
    for (const [file, list] of [[CPUSET_FILES.cpus, cpus], [CPUSET_FILES.mems, mems]] as const) {
      if (list !== undefined) await writeValue(join(dir, file), list === '' ? await readText(join(dir, '..', file)) : list);
    }
    await this.join(dir);
  }

  private async setWeight(mountPoint: string, weight: number): Promise<void> {
    const dir = await this.make(mountPoint, () => Promise.resolve());
    for (const file of WEIGHT_FILES) if (await writeIfAny(join(dir, file), weight)) break;
    await this.join(dir);
  }

  private async make(mountPoint: string, each: (dir: string, parent: string) => Promise<void>): Promise<string> {
    let dir = mountPoint;
    for (const name of this.path.split('/')) {
      if (name === '') continue;
      const parent = dir;
      dir = join(dir, name);
      await makeCgroup(dir);
      await each(dir, parent);
    }
    return dir;
  }

  /** A child of one that has come along is born there, so the rounds come to an end. */
  private async join(dir: string): Promise<void> {
    for (let round = 0; round < JOIN_ROUNDS; round += 1) {
      const inside = new Set(await pidsIn(dir));
      const outside = (await pidsIn(this.membersDir)).filter((pid) => !inside.has(pid));
      if (outside.length === 0) return;
      // One that has ended meanwhile is ESRCH, and gone all the same.
      await Promise.allSettled(outside.map((pid) => writeValue(join(dir, 'cgroup.procs'), pid)));
    }
    throw new CodedError('deadline_exceeded', 'the processes of the cgroup cannot be moved', { path: this.path });
  }
}
