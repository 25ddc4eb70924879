import { CodedError } from '#kernel';
import type { Cgroup, CgroupFeatures, CgroupLimits, CgroupManager, CgroupMode } from '../cgroups.js';

/** What a driver provides of one kind of hierarchy; paths are `/root`, `/root/tenant`, `/root/tenant/sandbox`. */
export interface CgroupTree {
  readonly mode: CgroupMode;
  /** Of a root that is prepared. */
  features(root: string): Promise<CgroupFeatures>;
  /** Switches controllers on from the top down to `root`. Idempotent. */
  prepareRoot(root: string): Promise<void>;
  cgroup(path: string): Cgroup;
  /** Creates a parent whose children get the controllers. Idempotent. @throws CodedError `not_found` (no parent) */
  createParent(path: string): Promise<void>;
  /** Creates a leaf. Idempotent. @throws CodedError `not_found` (no parent) */
  createLeaf(path: string): Promise<void>;
  /** Names of children in any hierarchy. */
  children(path: string): Promise<string[]>;
  /** Processes in it and below. */
  populated(path: string): Promise<boolean>;
}

/** One component of a path: ids only, never a name that leaves the tree. */
const NAME = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$/;

/** The tree `/<root>/<tenant>/<sandbox>` over either kind of hierarchy. */
export class TreeCgroupManager implements CgroupManager {
  readonly #tree: CgroupTree;
  readonly #root: string;

  constructor(tree: CgroupTree, root: string) {
    this.#tree = tree;
    this.#root = `/${checked(root)}`;
  }

  get mode(): CgroupMode {
    return this.#tree.mode;
  }

  features(): Promise<CgroupFeatures> {
    return this.#tree.features(this.#root);
  }

  async prepare(): Promise<void> {
    await this.#tree.prepareRoot(this.#root);
    for (const { tenantId, sandboxId } of await this.list()) {
      const path = this.#path(tenantId, sandboxId);
      if (!(await this.#tree.populated(path))) await this.#tree.cgroup(path).remove();
    }
    for (const tenantId of await this.#tree.children(this.#root)) {
      if ((await this.#tree.children(this.#path(tenantId))).length === 0) await this.#tree.cgroup(this.#path(tenantId)).remove();
    }
  }

  async ensureTenant(tenantId: string, limits: CgroupLimits): Promise<Cgroup> {
    const path = this.#path(tenantId);
    await this.#tree.createParent(path);
    const cgroup = this.#tree.cgroup(path);
    await cgroup.setLimits(limits);
    return cgroup;
  }

  async ensureSandbox(tenantId: string, sandboxId: string, limits: CgroupLimits): Promise<Cgroup> {
    const path = this.#path(tenantId, sandboxId);
    await this.#tree.createLeaf(path);
    const cgroup = this.#tree.cgroup(path);
    await cgroup.setLimits(limits);
    return cgroup;
  }

  sandbox(tenantId: string, sandboxId: string): Cgroup {
    return this.#tree.cgroup(this.#path(tenantId, sandboxId));
  }

  async list(): Promise<{ tenantId: string; sandboxId: string }[]> {
    const tenants = await this.#tree.children(this.#root);
    const found = await Promise.all(
      tenants.map(async (tenantId) => (await this.#tree.children(this.#path(tenantId))).map((sandboxId) => ({ tenantId, sandboxId }))),
    );
    return found.flat();
  }

  async removeTenant(tenantId: string): Promise<void> {
    const path = this.#path(tenantId);
    if ((await this.#tree.children(path)).length > 0) throw new CodedError('failed_precondition', 'the tenant has sandboxes', { tenantId });
    await this.#tree.cgroup(path).remove();
  }

  async removeAll(): Promise<void> {
    if (await this.#tree.populated(this.#root)) throw new CodedError('failed_precondition', 'processes run in the cgroup tree', { root: this.#root });
    await this.#tree.cgroup(this.#root).remove();
  }

  #path(...names: string[]): string {
    return [this.#root, ...names.map(checked)].join('/');
  }
}

function checked(name: string): string {
  if (NAME.test(name)) return name;
  throw new CodedError('invalid_argument', 'not a cgroup name', { name: name.slice(0, 100) });
}
