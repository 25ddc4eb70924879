import { join } from 'node:path';
import { CodedError, isCodedError } from '#kernel';
import { childCgroups, makeCgroup, pidsBelow, pidsIn, readText, readTextIfAny, writeValue } from '../cgroup-files.js';
import type { CgroupFeatures } from '../cgroups.js';
import type { CgroupTree } from './tree-manager.js';
import { V2Cgroup } from './v2-cgroup.js';

const CONTROLLERS = ['cpu', 'memory', 'pids'] as const;
/** Switched on where there are any. */
const MORE_CONTROLLERS = ['cpuset', 'io'] as const;
/** Where the processes of a delegated subtree's root go, so that its controllers can be switched on. */
const LEAF = 'sandbar.init';
const MOVE_ROUNDS = 20;

/** The unified hierarchy. */
export class V2Tree implements CgroupTree {
  readonly mode = 'v2';
  readonly #mountPoint: string;

  constructor(mountPoint: string) {
    this.#mountPoint = mountPoint;
  }

  async prepareRoot(root: string): Promise<void> {
    const available = (await readText(join(this.#mountPoint, 'cgroup.controllers'))).split(' ');
    const missing = CONTROLLERS.filter((controller) => !available.includes(controller));
    if (missing.length > 0) throw new CodedError('unsupported', `cgroup controllers are missing: ${missing.join(', ')}`, { missing, mode: this.mode });
    await this.#enableControllers(this.#mountPoint);
    await this.createParent(root);
  }

  /** Weights are not in the file system's root: the tree's is looked at. */
  async features(root: string): Promise<CgroupFeatures> {
    const read = (name: string): Promise<string | undefined> => readTextIfAny(join(this.#mountPoint, root, name));
    const [cpus, mems, ...weights] = await Promise.all(['cpuset.cpus.effective', 'cpuset.mems.effective', 'io.bfq.weight', 'io.weight'].map(read));
    return { cpuset: cpus === undefined || mems === undefined ? undefined : { cpus, mems }, blkioWeight: weights.some((text) => text !== undefined) };
  }

  cgroup(path: string): V2Cgroup {
    return new V2Cgroup(this.#mountPoint, path);
  }

  async createParent(path: string): Promise<void> {
    const dir = join(this.#mountPoint, path);
    await makeCgroup(dir);
    await this.#enableControllers(dir);
  }

  async createLeaf(path: string): Promise<void> {
    await makeCgroup(join(this.#mountPoint, path));
  }

  children(path: string): Promise<string[]> {
    return childCgroups(join(this.#mountPoint, path));
  }

  async populated(path: string): Promise<boolean> {
    return (await pidsBelow(join(this.#mountPoint, path))).length > 0;
  }

  async #enableControllers(dir: string): Promise<void> {
    const control = join(dir, 'cgroup.subtree_control');
    const enabled = (await readText(control)).split(' ');
    const available = (await readTextIfAny(join(dir, 'cgroup.controllers')))?.split(' ') ?? [];
    const wanted = [...CONTROLLERS, ...MORE_CONTROLLERS.filter((controller) => available.includes(controller))].filter((controller) => !enabled.includes(controller));
    if (wanted.length === 0) return;
    const line = wanted.map((controller) => `+${controller}`).join(' ');
    try {
      await writeValue(control, line);
    } catch (error) {
      // EBUSY: processes sit in it ("no internal processes"), as in the root of a container's delegated subtree.
      if (!isCodedError(error, 'failed_precondition') || dir !== this.#mountPoint) throw error;
      await this.#moveProcessesToLeaf(dir);
      await writeValue(control, line);
    }
  }

  async #moveProcessesToLeaf(dir: string): Promise<void> {
    const leaf = join(dir, LEAF);
    await makeCgroup(leaf);
    for (let round = 0; round < MOVE_ROUNDS; round += 1) {
      const pids = await pidsIn(dir);
      if (pids.length === 0) return;
      // One that has ended meanwhile is ESRCH, and gone all the same.
      await Promise.allSettled(pids.map((pid) => writeValue(join(leaf, 'cgroup.procs'), pid)));
    }
    throw new CodedError('failed_precondition', 'processes of the delegated cgroup cannot be moved to a leaf', { dir });
  }
}
