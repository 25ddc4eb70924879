import type { Digest, SandboxId, TenantId } from '#kernel';
import type { CgroupFeatures, CgroupFigures, CgroupLimits, CgroupUsage } from '../cgroups/index.js';
import type { BindMount, ProcessIdentity } from '../linux/index.js';
import type { WritableLayer } from '../snapshots/index.js';
import type { GuestAgent } from './agent/agent.js';

export interface SandboxLimits {
  readonly memoryBytes: number;
  readonly pids: number;
  readonly cpuMillis: number;
  /** Of the writable layer. */
  readonly diskBytes: number;
  /** Of the cgroup, beside those above; a quota here takes the place of `cpuMillis`. */
  readonly more?: Omit<CgroupLimits, 'memoryBytes' | 'pids' | 'cpuMillis'>;
}

export interface SandboxSpec {
  readonly id: SandboxId;
  readonly tenantId: TenantId;
  /** The unpacked root file system; undefined: an empty one (`FROM scratch`). */
  readonly chainId: Digest | undefined;
  /** Absent: a tmpfs of `limits.diskBytes` that goes with the sandbox. */
  readonly writableLayer?: WritableLayer;
  readonly mounts?: readonly SandboxMount[];
  /** Absent: that of a run. */
  readonly privileges?: SandboxPrivileges;
  readonly hostname: string;
  readonly limits: SandboxLimits;
  readonly network: SandboxNetwork;
  /** Empty files /etc/hosts, /etc/hostname and /etc/resolv.conf lie below its writable layer: mounts stand on them, and no start makes any in the layer. */
  readonly networkFiles?: boolean;
  /** Kept with the sandbox on disk and given back by `list`: what the owner needs to take it up again after a restart. At most 1 MiB as JSON. */
  readonly annotations: Readonly<Record<string, string>>;
}

/**
 * `none`: a network name space of its own, with loopback and what is put into it. `join`: the one at that path (`/proc/<pid>/ns/net`), which is not the
 * node's; over it the sandbox has no privileges, whatever its capabilities.
 */
export type SandboxNetwork = 'none' | { readonly join: string };

/** A network name space that stays what it is for as long as the pin is held, whatever happens to its processes. */
export interface NetworkPin {
  readonly path: string;
  release(): Promise<void>;
}

/** What the sandbox mounts beside its root file system, in order. */
export type SandboxMount =
  | { readonly kind: 'bind'; readonly destination: string; readonly source: BindMount }
  | { readonly kind: 'tmpfs'; readonly destination: string; readonly sizeBytes: number; readonly mode: number; readonly readOnly?: boolean };

export interface SandboxPrivileges {
  /** False: set-id programs work (sudo, ping), as in Docker's containers. */
  readonly noNewPrivileges: boolean;
  /** Names (`CAP_CHOWN`) that processes of the sandbox may have at most, inside its own user name space. */
  readonly capabilities: readonly string[];
  readonly readOnlyRootfs: boolean;
  /** -1000…1000, what the kernel's killer is told of its processes; never below the agent's own. Absent: so that they go before the agent. */
  readonly oomScoreAdj?: number;
  /** Kernel settings of the sandbox's own name spaces (`kernel.msgmax`, `net.core.somaxconn`): the caller has checked that they are. */
  readonly sysctls?: Readonly<Record<string, string>>;
  /** Of /dev/shm, bytes; 0: there is none. */
  readonly shmBytes: number;
}

/** Walls around nothing but the guest agent: processes are started through it. */
export interface Sandbox {
  readonly id: SandboxId;
  readonly tenantId: TenantId;
  readonly createdAt: number;
  readonly annotations: Readonly<Record<string, string>>;
  /** Its first process, as the node sees it. Of a sandbox that is dead, the pid may be another process's, with another start. */
  readonly init: ProcessIdentity;
  /** Of its first process, as the node sees it: `/proc/<pid>/ns/net` is its network. Another process may have it when the sandbox is dead. */
  readonly pid: number;
  /** A process of one thread joins the sandbox's cgroup by writing "0" to each. Not while it is frozen. */
  readonly cgroupJoinFiles: readonly string[];
  /** @throws CodedError `unavailable` when the sandbox is dead: its pid may be another process's by now */
  pinNetwork(): Promise<NetworkPin>;
  /** `after` as in `ConnectOptions`. @throws CodedError `unavailable` when the agent is gone, `protocol_violation` */
  connect(after: number | 'kept'): Promise<GuestAgent>;
  usage(): Promise<CgroupUsage>;
  resetMemoryPeak(): Promise<void>;
  figures(): Promise<CgroupFigures>;
  /** Of its processes, the agent's too, as the node sees them. */
  pids(): Promise<number[]>;
  /** Not of the disk. @throws CodedError `failed_precondition` (more is in use), `invalid_argument` */
  updateLimits(limits: Partial<Omit<SandboxLimits, 'diskBytes'>>): Promise<void>;
  freeze(): Promise<void>;
  thaw(): Promise<void>;
  /** Kills everything in it and removes every trace. Idempotent. */
  destroy(): Promise<void>;
}

/** Makes sandboxes and finds them again. State lies in plain directories, so a restart of the worker loses none. */
export interface SandboxRuntime {
  /** Sweeps what a crash left half made or half removed. To be awaited once before `create`. */
  recover(): Promise<void>;
  /** @throws CodedError `already_exists`, `not_found` (chainId), `resource_exhausted` (no uid range left), `internal` (the OCI runtime's own words) */
  create(spec: SandboxSpec): Promise<Sandbox>;
  /**
   * Every sandbox that was made and not destroyed, after a restart too. One whose agent has died meanwhile (or with the machine) is among them,
   * so that its owner can read its annotations and destroy it; `connect` says `unavailable`.
   */
  list(): Promise<Sandbox[]>;
  get(id: SandboxId): Promise<Sandbox | undefined>;
  /** What limits this machine knows. */
  features(): Promise<CgroupFeatures>;
  close(): Promise<void>;
}
