import type { Digest, SandboxId, TenantId } from '#kernel';
import type { ImageConfig } from '../images/index.js';
import type { EgressPolicy, EndpointRequest, PortRequest, PublishedPort } from '../networks/index.js';
import type { TreeChange } from '../tree/index.js';

/**
 * A tenant's containers: a writable layer on an image, a configuration, and while it runs a sandbox. Kept on disk; what runs outlives a restart of the
 * worker. Error messages are Docker's where its clients read them.
 */
export interface Containers {
  /** Reads what is there, finds running sandboxes again, sweeps what was half made or half removed. To be awaited once before all else. */
  recover(): Promise<void>;
  /**
   * @throws CodedError `not_found` (`No such image: X`), `conflict` (`The container name "/x" is already in use by container "…". …`), `invalid_argument`,
   * `resource_exhausted`
   */
  create(tenantId: TenantId, request: CreateContainer): Promise<{ readonly id: string; readonly warnings: readonly string[] }>;
  /** By ID, name (with or without `/`), unique prefix of the ID; a name wins. @throws CodedError `not_found` (`No such container: X`), `invalid_argument` (ambiguous) */
  get(tenantId: TenantId, text: string): Promise<Container>;
  list(tenantId: TenantId): Promise<Container[]>;
  /** False: it ran already. @throws CodedError `invalid_argument` with details.exitCode 126 or 127 (the program cannot be executed) */
  start(tenantId: TenantId, text: string, options?: StartContainer): Promise<boolean>;
  /** STOPSIGNAL, then SIGKILL after the time. False: it was not running. */
  stop(tenantId: TenantId, text: string, options?: { readonly signal?: string; readonly timeoutSeconds?: number }): Promise<boolean>;
  /** Stops it, when it runs, and starts it. */
  restart(tenantId: TenantId, text: string, options?: { readonly signal?: string; readonly timeoutSeconds?: number } & StartContainer): Promise<void>;
  /** @throws CodedError `conflict` (`Container X is not running`) */
  kill(tenantId: TenantId, text: string, signal?: string): Promise<void>;
  pause(tenantId: TenantId, text: string): Promise<void>;
  unpause(tenantId: TenantId, text: string): Promise<void>;
  wait(tenantId: TenantId, text: string, condition: 'not-running' | 'next-exit' | 'removed', signal: AbortSignal): Promise<{ readonly exitCode: number; readonly error?: string }>;
  rename(tenantId: TenantId, text: string, name: string): Promise<void>;
  /** Takes the link `web/db` away: the name `db` of the container `web`. @throws CodedError `not_found`, `conflict` (a name without a container's before it) */
  unlink(tenantId: TenantId, text: string): Promise<void>;
  /** To one more network, at once when it runs. @throws CodedError `not_found`, `conflict`, `permission_denied` (`endpoint with name X already exists in network Y`), `invalid_argument` */
  connect(tenantId: TenantId, text: string, endpoint: EndpointRequest): Promise<void>;
  /** `force`: a network that is no more too. @throws CodedError `not_found`, `conflict` */
  disconnect(tenantId: TenantId, text: string, network: string, options: { readonly force: boolean }): Promise<void>;
  /** @throws CodedError `conflict` while it runs, without force */
  remove(tenantId: TenantId, text: string, options: { readonly force: boolean; readonly volumes: boolean }): Promise<void>;
  prune(tenantId: TenantId, accepts: (container: Container) => boolean): Promise<{ readonly removed: string[]; readonly reclaimedBytes: number }>;
  /**
   * New limits, in force at once, and kept. What is absent stays. @throws CodedError `invalid_argument`, `conflict` (`Cannot update container X: …`); then nothing has changed
   */
  update(tenantId: TenantId, text: string, change: UpdateContainer): Promise<{ readonly warnings: readonly string[] }>;
  /** Its processes by their numbers inside, as `ps` tells them (`-ef` when `psArgs` is ''). @throws CodedError `conflict` (`container X is not running`), `invalid_argument` */
  top(tenantId: TenantId, text: string, psArgs: string): Promise<ProcessListing>;
  /** Its figures now and, unless `once`, each second until the signal, zeros while it does not run; ends when it is removed. All who look at a container share one look a second. */
  stats(tenantId: TenantId, text: string, options: { readonly once: boolean }, signal: AbortSignal): AsyncIterable<ContainerStats>;
  /** Lines kept of its output (at most the last 16 MiB), oldest first. */
  logs(tenantId: TenantId, text: string, options: LogOptions, signal: AbortSignal): AsyncIterable<LogChunk>;

  changes(tenantId: TenantId, text: string): Promise<TreeChange[]>;
  export(tenantId: TenantId, text: string): Promise<AsyncIterable<Buffer>>;
  /** Paused meanwhile unless `pause` is false. */
  commit(tenantId: TenantId, text: string, request: CommitContainer): Promise<Digest>;
  /** As `commit`, by one who knows all of the new image's config and history: its step of a build. */
  commitAs(tenantId: TenantId, text: string, image: CommittedImage): Promise<Digest>;
  usage(tenantId: TenantId, text: string): Promise<{ readonly writableBytes: number; readonly rootfsBytes: number }>;

  /** Everything of a tenant. */
  drop(tenantId: TenantId): Promise<void>;
  /** Stops what runs: the node goes down for good. */
  close(): Promise<void>;
}

export interface ContainerProcess {
  readonly entrypoint: readonly string[] | null;
  readonly cmd: readonly string[] | null;
  readonly env: readonly string[];
  readonly workingDir: string;
  /** `user[:group]`, names or numbers; '' the image's. */
  readonly user: string;
  readonly tty: boolean;
  readonly openStdin: boolean;
  /** Its standard input ends when the first client that is attached to it ends its own. */
  readonly stdinOnce?: boolean;
  readonly stopSignal?: string;
  readonly stopTimeoutSeconds?: number;
  /** Supplementary groups, names or numbers, beside the image's. */
  readonly groups?: readonly string[];
  /** By Docker's names (`nofile`): soft and hard. */
  readonly ulimits?: Readonly<Record<string, { readonly soft: number; readonly hard: number }>>;
  /** A small init reaps and forwards signals; ours always does, so this only shows in `inspect`. */
  readonly init?: boolean;
}

export interface RestartPolicy {
  readonly kind: 'no' | 'on-failure' | 'always' | 'unless-stopped';
  /** Of `on-failure`; 0: as often as need be. */
  readonly maxRetries: number;
}

/** Times in milliseconds. 0: the image's, and where that has none Docker's default. */
export interface HealthCheck {
  /** `['CMD', …]` or `['CMD-SHELL', text]`. `['NONE']` turns the image's off. Empty: the image's. */
  readonly test: readonly string[];
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly startPeriodMs: number;
  readonly startIntervalMs: number;
  readonly retries: number;
}

/** How it stands in the network. */
export interface ContainerNetworking {
  /** `bridge` (the default bridge), `none`, `host` (the tenant's), `container:<ref>`, or the name or ID of a network of the tenant's. */
  readonly mode: string;
  /** Beside the mode's network: others it is connected to, by name or ID; for the mode's own network its aliases and addresses. */
  readonly endpoints: readonly EndpointRequest[];
  readonly ports: readonly PortRequest[];
  /** Each exposed port gets a free host port. */
  readonly publishAll: boolean;
  /** `container:alias`, of the default bridge. */
  readonly links: readonly string[];
  readonly dns: { readonly servers: readonly string[]; readonly search: readonly string[]; readonly options: readonly string[] };
  /** `name:address`. */
  readonly extraHosts: readonly string[];
  readonly egress: EgressPolicy;
}

/** Limits beside the basic ones; absent: the kernel's default. Changed by `update`. */
export interface ContainerResources {
  readonly memoryBytes?: number;
  readonly memoryReservationBytes?: number;
  /** Memory and swap together; -1: swap without an end of its own. Swap is never granted on top of memory: kept for `inspect`, and for the rules of `update`. */
  readonly memorySwapBytes?: number;
  readonly cpuMillis?: number;
  /** Docker's own words for `cpuMillis`, kept for `inspect`: microseconds. */
  readonly cpuPeriodUs?: number;
  readonly cpuQuotaUs?: number;
  /** 2…262144, 1024 is the middle. */
  readonly cpuShares?: number;
  /** `0-2,4`. */
  readonly cpusetCpus?: string;
  readonly cpusetMems?: string;
  /** 10…1000. */
  readonly blkioWeight?: number;
  /** -1: no limit of its own. */
  readonly pids?: number;
}

export interface UpdateContainer {
  readonly limits: ContainerResources;
  readonly restart?: RestartPolicy;
}

/** Where output is kept. `none`: nowhere, `logs` is refused with Docker's words. */
export interface ContainerLogging {
  readonly driver: 'json-file' | 'local' | 'none';
  readonly maxSizeBytes?: number;
  readonly maxFiles?: number;
  readonly options: Readonly<Record<string, string>>;
}

export interface StartContainer {
  /** Whether its published ports are on the node's address too, for this start and those that nobody asks for; absent: as with the last one, at first no. */
  readonly publishOnNode?: boolean;
  readonly secrets?: StartSecrets;
}

/** What the program of one start is to find. Kept nowhere: not in the record, and on no disk as far as the files lie in a tmpfs. */
export interface StartSecrets {
  /** `NAME=value`, beside the container's own. */
  readonly env: readonly string[];
  /** Extracted over its root, when all is mounted and before the program begins. */
  readonly tar: AsyncIterable<Uint8Array>;
}

/** How a container stands in the network, at this moment. */
export interface ContainerNetwork {
  /** `bridge`, `none`, `host`, `container:<ID>` or the name of a network. */
  readonly mode: string;
  /** The mode's network first. None for `container:…`. */
  readonly endpoints: readonly ContainerEndpoint[];
  /** Published; none while it does not run. */
  readonly ports: readonly PublishedPort[];
}

/** What it asked for on a network, and what it has there: '' and 0 while it does not run. */
export interface ContainerEndpoint {
  readonly networkName: string;
  /** '' when the network was not there yet. */
  readonly networkId: string;
  readonly requested: { readonly aliases: readonly string[]; readonly ipv4Address: string; readonly macAddress: string };
  readonly endpointId: string;
  readonly ipv4Address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly macAddress: string;
  readonly dnsNames: readonly string[];
}

/** A mount as the client asked for it. */
export type ContainerMount =
  | { readonly kind: 'volume'; /** Absent: anonymous. */ readonly name?: string; readonly destination: string; readonly readOnly: boolean; readonly noCopy: boolean; /** What of it is mounted; clean, relative. Absent: all. */ readonly subpath?: string; readonly labels?: Readonly<Record<string, string>>; readonly options?: Readonly<Record<string, string>> }
  | { readonly kind: 'bind'; readonly hostPath: string; readonly create: boolean; readonly destination: string; readonly readOnly: boolean }
  | { readonly kind: 'tmpfs'; readonly destination: string; readonly sizeBytes?: number; readonly mode?: number; readonly readOnly: boolean };

export interface CreateContainer {
  /** Of a step of a build: in no list, touched by no `prune`, and swept with the next start of the worker, whatever it did. */
  readonly transient?: boolean;
  /** Chosen by the caller, unique in all the node: 64 hex digits. One of this tenant's that is there already, or is just being made, is given back as it is. */
  readonly id?: string;
  readonly name?: string;
  /** As the client wrote it. */
  readonly image: string;
  readonly process: ContainerProcess;
  readonly hostname?: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly mounts: readonly ContainerMount[];
  /** `container[:ro]`. */
  readonly volumesFrom: readonly string[];
  readonly limits: ContainerResources & { /** Of the writable layer: hard, reserved. */ readonly diskBytes?: number; readonly shmBytes?: number; /** -1000…1000, never below the agent's own (0); 0: the agent's choice. */ readonly oomScoreAdj?: number };
  /** Absent: `none`. */
  readonly network?: ContainerNetworking;
  readonly restart?: RestartPolicy;
  readonly health?: HealthCheck;
  readonly logging?: ContainerLogging;
  /** `80/tcp`, beside the image's and those that are published. */
  readonly exposedPorts?: readonly string[];
  /** Name-spaced ones only. */
  readonly sysctls?: Readonly<Record<string, string>>;
  readonly domainname?: string;
  readonly capabilities: { readonly add: readonly string[]; readonly drop: readonly string[]; readonly privileged: boolean };
  readonly readOnlyRootfs: boolean;
  /** Set-id programs and file capabilities give nothing. */
  readonly noNewPrivileges?: boolean;
  /** Without /dev/shm. */
  readonly withoutShm?: boolean;
  readonly autoRemove: boolean;
  /** The client's own words (Docker's Config and HostConfig), kept for `inspect`. At most 256 KiB as JSON. */
  readonly clientConfig: Readonly<Record<string, unknown>>;
}

export interface ContainerState {
  /** `restarting`: it has ended and starts again by its policy; to who stops or removes it, it runs. */
  readonly status: 'created' | 'running' | 'paused' | 'restarting' | 'exited' | 'removing' | 'dead';
  readonly exitCode: number;
  readonly oomKilled: boolean;
  readonly error: string;
  readonly pid: number;
  /** Milliseconds; undefined: never. */
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
  /** Absent: it has no health check. */
  readonly health?: HealthState;
}

export interface HealthState {
  readonly status: 'starting' | 'healthy' | 'unhealthy';
  readonly failingStreak: number;
  /** The last five checks, oldest first. */
  readonly log: readonly HealthResult[];
}

export interface HealthResult {
  readonly startedAt: number;
  readonly finishedAt: number;
  /** 0: healthy. -1: it could not be run, or took too long. */
  readonly exitCode: number;
  /** At most 4096 bytes. */
  readonly output: string;
}

export interface ProcessListing {
  readonly titles: readonly string[];
  readonly processes: readonly (readonly string[])[];
}

/** What a container uses, counted since its start. */
export interface ContainerStats {
  readonly id: string;
  readonly name: string;
  /** Milliseconds; 0: it does not run, and all else is 0 and empty. */
  readonly readAt: number;
  /** Of which the memory's counters are. */
  readonly cgroupVersion: 1 | 2;
  readonly cpu: {
    readonly totalNs: number;
    readonly userNs: number;
    readonly kernelNs: number;
    readonly perCpuNs: readonly number[];
    /** Of the whole node. */
    readonly systemNs: number;
    readonly onlineCpus: number;
    readonly throttling: { readonly periods: number; readonly throttledPeriods: number; readonly throttledNs: number };
  };
  readonly memory: { readonly usageBytes: number; readonly peakBytes: number; readonly failures: number; readonly limitBytes: number; readonly counters: Readonly<Record<string, number>> };
  /** A limit of 0 is none. */
  readonly pids: { readonly current: number; readonly limit: number };
  readonly io: readonly { readonly major: number; readonly minor: number; readonly readBytes: number; readonly writtenBytes: number; readonly reads: number; readonly writes: number }[];
  /** By interface, loopback left out. */
  readonly networks: Readonly<Record<string, NetworkCounters>>;
}

export interface NetworkCounters {
  readonly rxBytes: number;
  readonly rxPackets: number;
  readonly rxErrors: number;
  readonly rxDropped: number;
  readonly txBytes: number;
  readonly txPackets: number;
  readonly txErrors: number;
  readonly txDropped: number;
}

export interface MountPoint {
  readonly kind: 'volume' | 'bind' | 'tmpfs';
  readonly name?: string;
  /** As the tenant may know it: a path of its virtual host. */
  readonly source: string;
  readonly destination: string;
  readonly readOnly: boolean;
}

export interface Container {
  /** 64 hex digits. */
  readonly id: string;
  /** Without the slash. */
  readonly name: string;
  readonly tenantId: TenantId;
  readonly createdAt: number;
  readonly imageId: Digest;
  readonly request: CreateContainer;
  /** What is executed: request and image merged. */
  readonly path: string;
  readonly args: readonly string[];
  readonly effective: { readonly env: readonly string[]; readonly cmd: readonly string[] | null; readonly entrypoint: readonly string[] | null; readonly workingDir: string; readonly user: string; readonly labels: Readonly<Record<string, string>>; readonly volumes: readonly string[]; readonly exposedPorts: readonly string[]; /** Absent: none. */ readonly health?: HealthCheck };
  readonly state: ContainerState;
  readonly mounts: readonly MountPoint[];
  readonly network: ContainerNetwork;
  readonly sandboxId: SandboxId | undefined;
  readonly restartCount: number;
}

export interface CommitContainer {
  readonly name?: string;
  readonly author?: string;
  readonly comment?: string;
  readonly changes: readonly string[];
  readonly pause: boolean;
  /** Docker's body: replaces parts of the config. */
  readonly config?: Readonly<Record<string, unknown>>;
}

export interface CommittedImage {
  readonly config: ImageConfig['config'];
  readonly author: string;
  /** Its line in the history. */
  readonly createdBy: string;
  /** Paths that are left out: places where something of the build's own was mounted. A directory with other things in it stays. */
  readonly without: readonly string[];
  /** Links to what is below this path are left out too. */
  readonly withoutLinksInto?: string;
  /** Members of the image's JSON beside its config. */
  readonly extra?: Readonly<Record<string, unknown>>;
}

export interface LogOptions {
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** Lines from the end. */
  readonly tail?: number;
  readonly sinceMs?: number;
  readonly untilMs?: number;
  readonly follow: boolean;
}

export interface LogChunk {
  readonly stream: 'stdout' | 'stderr';
  readonly timeMs: number;
  readonly bytes: Buffer;
}
