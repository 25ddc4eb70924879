import type { BindMount, IdRange, RootfsMount } from './mount.js';

/** How a program that the spawner ran ended. Output is cut at 64 KiB each. */
export interface SpawnResult {
  /** null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: number | null;
  readonly stdout: Buffer;
  readonly stderr: Buffer;
}

export interface LaunchRequest {
  /**
   * The guest agent's program, which the bundle binds into the sandbox. Launches see a copy of it on a tmpfs of its own in the place of its
   * folder, so that the sandbox sees nothing of the host's disk there. The first launch of a spawner decides.
   */
  readonly agentProgram: string;
  /** The OCI runtime's command line; argv[0] is an absolute path. A sealed copy of the program is executed. */
  readonly argv: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly rootfs: RootfsMount;
  /**
   * An existing empty directory of the host. In the launch's own mount name space it becomes a tmpfs in which the spawner makes
   * `lower/N`, `scratch/`, `binds/N` and `rootfs/`; the bundle's `root.path` is `<mountPoint>/rootfs`.
   */
  readonly mountPoint: string;
  readonly idRange: IdRange;
  /** Each appears at `<mountPoint>/binds/<its index>`. One that cannot is named by the error: `bind N: ENOENT`, and `step` in its details. */
  readonly binds?: readonly BindMount[];
  /** Whether set-id programs and file capabilities count in the binds; default no. */
  readonly bindsSetId?: boolean;
  /** Files of the sandbox's cgroup, one per hierarchy, to which the runtime process writes "0" before it is executed. */
  readonly cgroupJoinFiles: readonly string[];
  /** A path for a listening Unix socket (0600) that the guest agent inherits as fd 3. At most 107 bytes (sun_path). */
  readonly agentSocketPath: string;
  /**
   * The path of a network name space in which the runtime is executed; a sysfs that shows it is then at `<mountPoint>/sys`. Absent: the node's own.
   * The node's own by its path is refused.
   */
  readonly networkNamespace?: string;
  readonly timeoutMs: number;
}

export interface ExecRequest {
  readonly argv: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  readonly cwd?: string;
  /** Bytes for its stdin; default none. */
  readonly stdin?: Uint8Array;
  readonly timeoutMs: number;
}

/**
 * Starts programs for the worker from a small helper process: forking Node itself blocks its event loop in proportion to its
 * memory. The helper ends when the worker does; what it launched lives on.
 */
export interface Spawner {
  /** Performs the mounts, joins the cgroups and runs the OCI runtime to its end (the runtime detaches the container). */
  launch(request: LaunchRequest): Promise<SpawnResult>;
  /** Runs a host program to its end. @throws CodedError `deadline_exceeded` (it was killed), `not_found` (no such program) */
  exec(request: ExecRequest): Promise<SpawnResult>;
  /** Idempotent. */
  close(): Promise<void>;
}
