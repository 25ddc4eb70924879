import { join } from 'node:path';
import { CodedError } from '#kernel';
import { readMounts, type MountEntry } from '../linux/index.js';
import type { CgroupMode } from './cgroups.js';

/** The v1 controllers that Sandbar uses. Without one of the first four nothing can be limited or billed. */
export const REQUIRED_V1 = ['memory', 'pids', 'cpu', 'cpuacct'] as const;
export const OPTIONAL_V1 = ['freezer'] as const;
/** A cgroup is made in these when something is to be limited there, and not before: each costs every launch a directory. */
export const ON_DEMAND_V1 = ['cpuset', 'blkio'] as const;
export type V1Controller = (typeof REQUIRED_V1)[number] | (typeof OPTIONAL_V1)[number] | (typeof ON_DEMAND_V1)[number];

/** Where each controller's hierarchy is mounted. Controllers mounted together share a directory. */
export type V1Hierarchies = Readonly<Record<(typeof REQUIRED_V1)[number], string>> & { readonly freezer?: string };
export type V1OnDemand = Readonly<Partial<Record<(typeof ON_DEMAND_V1)[number], string>>>;

export type CgroupLayout =
  | { readonly mode: 'v2'; readonly mountPoint: string } | {
      readonly mode: 'v1' | 'hybrid';
      readonly hierarchies: V1Hierarchies;
      readonly onDemand: V1OnDemand;
      /** Mount points of the hierarchies that Sandbar does not use but an OCI runtime may. */
      readonly others: readonly string[];
    };

/** @throws CodedError `unsupported` when no cgroups are mounted */
export async function detectCgroupMode(): Promise<CgroupMode> {
  return modeOf(await readMounts());
}

function modeOf(mounts: readonly MountEntry[]): CgroupMode {
  const v2 = mounts.some((mount) => mount.fsType === 'cgroup2');
  // A named hierarchy (systemd's) controls nothing.
  const v1 = mounts.some((mount) => mount.fsType === 'cgroup' && OPTIONAL_OR_REQUIRED.some((controller) => mount.superOptions.includes(controller)));
  if (v1) return v2 ? 'hybrid' : 'v1';
  if (v2) return 'v2';
  throw new CodedError('unsupported', 'no cgroup file system is mounted');
}

const OPTIONAL_OR_REQUIRED: readonly V1Controller[] = [...REQUIRED_V1, ...OPTIONAL_V1];

/**
 * Which hierarchies this machine has, of those below `mountPoint` when it is given.
 * @throws CodedError `unsupported` naming the controllers that are missing
 */
export function layoutOf(mounts: readonly MountEntry[], mountPoint?: string): CgroupLayout {
  const inside = mounts.filter((mount) => mountPoint === undefined || mount.mountPoint === mountPoint || mount.mountPoint.startsWith(join(mountPoint, '/')));
  const mode = modeOf(inside);
  if (mode === 'v2') {
    const mount = inside.find((candidate) => candidate.fsType === 'cgroup2');
    return { mode, mountPoint: mount?.mountPoint ?? '/sys/fs/cgroup' };
  }
  const find = (controllers: readonly V1Controller[]): Partial<Record<V1Controller, string>> => {
    const found: Partial<Record<V1Controller, string>> = {};
    for (const controller of controllers) {
      const mount = inside.find((candidate) => candidate.fsType === 'cgroup' && candidate.superOptions.includes(controller));
      if (mount !== undefined) found[controller] = mount.mountPoint;
    }
    return found;
  };
  const found = find(OPTIONAL_OR_REQUIRED);
  const missing = REQUIRED_V1.filter((controller) => found[controller] === undefined);
  if (missing.length > 0) throw new CodedError('unsupported', `cgroup controllers are missing: ${missing.join(', ')}`, { mode, missing });
  const used = new Set(Object.values(found));
  const others = inside.filter((mount) => mount.fsType.startsWith('cgroup') && !used.has(mount.mountPoint)).map((mount) => mount.mountPoint);
  return { mode, hierarchies: found as V1Hierarchies, onDemand: find(ON_DEMAND_V1), others };
}
