import type { CgroupLimits } from '../cgroups.js';

/** What the kernel begins with. */
const PERIOD_US = 100_000;
/** The kernel's lower bound. */
const MIN_QUOTA_US = 1_000;

/** Microseconds of CPU time per period; a quota below 0 is none. Undefined: stays as it is. */
export function quotaOf({ cpuMillis, cpuQuota }: CgroupLimits): { readonly quotaUs: number; readonly periodUs: number } | undefined {
  if (cpuQuota !== undefined) return cpuQuota;
  return cpuMillis === undefined ? undefined : { quotaUs: Math.max(MIN_QUOTA_US, Math.round((cpuMillis * PERIOD_US) / 1000)), periodUs: PERIOD_US };
}
