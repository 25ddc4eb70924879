import { join } from 'node:path';
import { settleAll } from '../../linux/index.js';
import { childCgroups, makeCgroup, pidsBelow, readTextIfAny, writeIfAny } from '../cgroup-files.js';
import type { CgroupFeatures } from '../cgroups.js';
import type { CgroupLayout, V1Hierarchies, V1OnDemand } from '../hierarchies.js';
import type { CgroupTree } from './tree-manager.js';
import { V1Cgroup } from './v1-cgroup.js';
import { WEIGHT_FILES } from './v1-on-demand.js';

/** Hierarchies of version 1, with or without a cgroup2 mount beside them. */
export class V1Tree implements CgroupTree {
  readonly mode: 'v1' | 'hybrid';
  readonly #hierarchies: V1Hierarchies;
  readonly #onDemand: V1OnDemand;
  readonly #others: readonly string[];

  constructor(layout: Exclude<CgroupLayout, { mode: 'v2' }>) {
    this.#hierarchies = layout.hierarchies;
    this.#onDemand = layout.onDemand;
    this.#others = layout.others;
    this.mode = layout.mode;
  }

  async prepareRoot(root: string): Promise<void> {
    await this.createParent(root);
    // Kernels before 5.11 do not count a child's memory in its parent unless told to, before there are children.
    const file = join(this.#hierarchies.memory, root, 'memory.use_hierarchy');
    if ((await readTextIfAny(file)) === '0') await writeIfAny(file, 1);
  }

  async features(): Promise<CgroupFeatures> {
    const { cpuset, blkio } = this.#onDemand;
    const read = async (name: string): Promise<string> => (cpuset === undefined ? '' : ((await readTextIfAny(join(cpuset, name))) ?? ''));
    const weights = blkio === undefined ? [] : await Promise.all(WEIGHT_FILES.map((name) => readTextIfAny(join(blkio, name))));
    return {
      cpuset: cpuset === undefined ? undefined : { cpus: await read('cpuset.cpus'), mems: await read('cpuset.mems') },
      blkioWeight: weights.some((text) => text !== undefined),
    };
  }

  cgroup(path: string): V1Cgroup {
    return new V1Cgroup({ hierarchies: this.#hierarchies, onDemand: this.#onDemand, others: this.#others }, path);
  }

  async createParent(path: string): Promise<void> {
    await settleAll(this.cgroup(path).dirs.map((dir) => makeCgroup(dir)));
  }

  createLeaf(path: string): Promise<void> {
    return this.createParent(path);
  }

  async children(path: string): Promise<string[]> {
    const dirs = [...this.cgroup(path).dirs, ...Object.values(this.#onDemand).map((mountPoint) => join(mountPoint, path))];
    const names = await Promise.all(dirs.map((dir) => childCgroups(dir)));
    return [...new Set(names.flat())];
  }

  async populated(path: string): Promise<boolean> {
    const pids = await Promise.all(this.cgroup(path).dirs.map((dir) => pidsBelow(dir)));
    return pids.flat().length > 0;
  }
}
