import { readMounts } from '../linux/index.js';
import type { CgroupManager } from './cgroups.js';
import { TreeCgroupManager } from './drivers/tree-manager.js';
import { V1Tree } from './drivers/v1-tree.js';
import { V2Tree } from './drivers/v2-tree.js';
import { layoutOf } from './hierarchies.js';

export interface CgroupManagerOptions {
  /** Name of this instance's tree, such as `sandbar`: letters, digits, `_`, `.` and `-`. */
  readonly root: string;
  /** Use only what is mounted there or below it; default: anything. */
  readonly mountPoint?: string;
}

/** The driver that fits this machine. @throws CodedError `unsupported` (no cgroups, or controllers missing), `invalid_argument` (root) */
export async function createCgroupManager(options: CgroupManagerOptions): Promise<CgroupManager> {
  const layout = layoutOf(await readMounts(), options.mountPoint);
  const tree = layout.mode === 'v2' ? new V2Tree(layout.mountPoint) : new V1Tree(layout);
  return new TreeCgroupManager(tree, options.root);
}
