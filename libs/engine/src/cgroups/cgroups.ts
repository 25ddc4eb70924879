/** Limits of a cgroup; an absent one stays as it is (a new cgroup has none). */
export interface CgroupLimits {
  /** Swap is never granted on top. */
  readonly memoryBytes?: number;
  /** What the kernel takes memory down to when it is short of it; 0: nothing is asked for. */
  readonly memoryReservationBytes?: number;
  readonly pids?: number;
  /** Thousandths of one CPU. */
  readonly cpuMillis?: number;
  /** In place of `cpuMillis`: time per period in microseconds; a quota of -1 is none. A parent's stricter share holds. */
  readonly cpuQuota?: { readonly quotaUs: number; readonly periodUs: number };
  /** Relative share among siblings, 1…10000, 100 by default (cgroup v2's scale). */
  readonly cpuWeight?: number;
  /** In place of `cpuWeight`: 2…262144, 1024 by default (cgroup v1's scale). */
  readonly cpuShares?: number;
  /** `0-2,4`; '': as the parent has. @throws CodedError `unsupported` where there is no such controller */
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  /** 10…1000. Without effect where the kernel has no such scheduler (`CgroupFeatures`). */
  readonly blkioWeight?: number;
}

/** What this machine's kernel has beside what every one must have. */
export interface CgroupFeatures {
  /** Processors and memory nodes that may be named, as lists (`0-3,8`); undefined: there are no cpusets. */
  readonly cpuset: { readonly cpus: string; readonly mems: string } | undefined;
  readonly blkioWeight: boolean;
}

export interface CgroupUsage {
  readonly cpuTimeUs: number;
  readonly memoryBytes: number;
  readonly memoryPeakBytes: number;
  /** Processes that the kernel killed because this cgroup was at its memory limit. */
  readonly oomKills: number;
  /** Processes and threads. */
  readonly pids: number;
}

/** Everything that is counted, for who looks at a container's figures. Nanoseconds and bytes since it was made. */
export interface CgroupFigures {
  readonly cpu: { readonly totalNs: number; readonly userNs: number; readonly kernelNs: number; /** v1 alone. */ readonly perCpuNs?: readonly number[] };
  readonly throttling: { readonly periods: number; readonly throttledPeriods: number; readonly throttledNs: number };
  /** `counters`: the lines of memory.stat. A limit of Infinity is none. */
  readonly memory: { readonly usageBytes: number; readonly limitBytes: number; readonly peakBytes: number; readonly failures: number; readonly counters: Readonly<Record<string, number>> };
  readonly pids: { readonly current: number; /** Infinity: none. */ readonly limit: number };
  readonly io: readonly { readonly major: number; readonly minor: number; readonly readBytes: number; readonly writtenBytes: number; readonly reads: number; readonly writes: number }[];
}

/** One cgroup: on v1 a directory of the same path in every hierarchy, on v2 a directory. */
export interface Cgroup {
  /** Such as `/sandbar/ten_…/sbx_…`. */
  readonly path: string;
  /** A process of one thread joins by writing "0" to each. */
  readonly joinFiles: readonly string[];
  setLimits(limits: CgroupLimits): Promise<void>;
  usage(): Promise<CgroupUsage>;
  figures(): Promise<CgroupFigures>;
  /** Makes `memoryPeakBytes` start again from what is used now. Best effort: kernels before 6.12 cannot on v2. */
  resetPeak(): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Host pids of the processes in it, not of those in its children. */
  pids(): Promise<number[]>;
  /** SIGKILL to all processes in it and its children, until none is left. Idempotent. @throws CodedError `deadline_exceeded` */
  kill(): Promise<void>;
  /** Removes it and its (empty) children. Idempotent. @throws CodedError `failed_precondition` while a process is in it. */
  remove(): Promise<void>;
}

export type CgroupMode = 'v1' | 'hybrid' | 'v2';

/**
 * The cgroup tree of one Sandbar instance: `/<root>/<tenant>/<sandbox>`. Parents hold limits, leaves hold processes (the rule of
 * cgroup v2, kept on v1 too).
 */
export interface CgroupManager {
  readonly mode: CgroupMode;
  features(): Promise<CgroupFeatures>;
  /** Makes the root usable: controllers switched on, leftovers of empty cgroups removed. Idempotent. */
  prepare(): Promise<void>;
  /** Creates or updates a tenant's parent. Idempotent. */
  ensureTenant(tenantId: string, limits: CgroupLimits): Promise<Cgroup>;
  /** Idempotent. The tenant's parent must exist. */
  ensureSandbox(tenantId: string, sandboxId: string, limits: CgroupLimits): Promise<Cgroup>;
  /** The handle of a sandbox's cgroup, whether or not it exists. */
  sandbox(tenantId: string, sandboxId: string): Cgroup;
  /** Every sandbox cgroup that exists, for the sweep at start and the leak check. */
  list(): Promise<{ tenantId: string; sandboxId: string }[]>;
  /** Removes a tenant's parent. Idempotent. @throws CodedError `failed_precondition` while it has sandboxes. */
  removeTenant(tenantId: string): Promise<void>;
  /** Removes the whole tree when nothing runs in it. Idempotent. */
  removeAll(): Promise<void>;
}
