import { z } from 'zod';
import { containerNetworkSchema } from './host-networks.js';

const labels = z.record(z.string(), z.string());

const port = z.int().min(0).max(65_535);

export const endpointRequestSchema = z.strictObject({ network: z.string(), aliases: z.array(z.string()), ipv4Address: z.string().optional(), macAddress: z.string().optional() });
const endpoint = endpointRequestSchema;

export const egressPolicySchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('all') }),
  z.strictObject({ kind: z.literal('none') }),
  z.strictObject({ kind: z.literal('allow'), cidrs: z.array(z.string()), domains: z.array(z.string()) }),
]);
export type EgressPolicyBody = z.infer<typeof egressPolicySchema>;

export const restartPolicySchema = z.strictObject({ kind: z.enum(['no', 'on-failure', 'always', 'unless-stopped']), maxRetries: z.int().min(0) });

/** Limits that `update` changes too. */
export const containerResourcesSchema = z.strictObject({
  memoryBytes: z.int().optional(),
  memoryReservationBytes: z.int().optional(),
  memorySwapBytes: z.int().optional(),
  cpuMillis: z.int().optional(),
  cpuPeriodUs: z.int().optional(),
  cpuQuotaUs: z.int().optional(),
  cpuShares: z.int().optional(),
  cpusetCpus: z.string().optional(),
  cpusetMems: z.string().optional(),
  blkioWeight: z.int().optional(),
  pids: z.int().optional(),
});
const resources = containerResourcesSchema;

/** New limits of a container; what is absent stays. */
export const updateContainerSchema = z.strictObject({ limits: resources, restart: restartPolicySchema.optional() });
export type UpdateContainerBody = z.infer<typeof updateContainerSchema>;

const healthCheckSchema = z.strictObject({ test: z.array(z.string()), intervalMs: z.number(), timeoutMs: z.number(), startPeriodMs: z.number(), startIntervalMs: z.number(), retries: z.int() });

/** The wire form of the engine's CreateContainer; the gateway makes it of Docker's body by an allow-list. */
export const createContainerSchema = z.strictObject({
  /** A repeated create with the same one gives the same container. */
  id: z.string().regex(/^[0-9a-f]{64}$/).optional(),
  name: z.string().optional(),
  image: z.string(),
  process: z.strictObject({
    entrypoint: z.array(z.string()).nullable(),
    cmd: z.array(z.string()).nullable(),
    env: z.array(z.string()),
    workingDir: z.string(),
    user: z.string(),
    tty: z.boolean(),
    openStdin: z.boolean(),
    stopSignal: z.string().optional(),
    stopTimeoutSeconds: z.int().optional(),
    stdinOnce: z.boolean().optional(),
    groups: z.array(z.string()).optional(),
    ulimits: z.record(z.string(), z.strictObject({ soft: z.int(), hard: z.int() })).optional(),
    init: z.boolean().optional(),
  }),
  hostname: z.string().optional(),
  labels,
  mounts: z.array(
    z.discriminatedUnion('kind', [
      z.strictObject({ kind: z.literal('volume'), name: z.string().optional(), destination: z.string(), readOnly: z.boolean(), noCopy: z.boolean(), labels: labels.optional(), options: labels.optional() }),
      z.strictObject({ kind: z.literal('bind'), hostPath: z.string(), create: z.boolean(), destination: z.string(), readOnly: z.boolean() }),
      z.strictObject({ kind: z.literal('tmpfs'), destination: z.string(), sizeBytes: z.int().optional(), mode: z.int().optional(), readOnly: z.boolean() }),
    ]),
  ),
  volumesFrom: z.array(z.string()),
  limits: resources.extend({ diskBytes: z.int().optional(), shmBytes: z.int().optional(), oomScoreAdj: z.int().optional() }),
  network: z
    .strictObject({
      mode: z.string(),
      endpoints: z.array(endpoint),
      ports: z.array(z.strictObject({ containerPort: port.min(1), protocol: z.enum(['tcp', 'udp']), hostIp: z.string(), hostPort: port })),
      publishAll: z.boolean(),
      links: z.array(z.string()),
      dns: z.strictObject({ servers: z.array(z.string()), search: z.array(z.string()), options: z.array(z.string()) }),
      extraHosts: z.array(z.string()),
      egress: egressPolicySchema,
    })
    .optional(),
  restart: restartPolicySchema.optional(),
  health: healthCheckSchema.optional(),
  logging: z.strictObject({ driver: z.enum(['json-file', 'local', 'none']), maxSizeBytes: z.int().optional(), maxFiles: z.int().optional(), options: labels }).optional(),
  exposedPorts: z.array(z.string()).optional(),
  sysctls: labels.optional(),
  domainname: z.string().optional(),
  capabilities: z.strictObject({ add: z.array(z.string()), drop: z.array(z.string()), privileged: z.boolean() }),
  readOnlyRootfs: z.boolean(),
  noNewPrivileges: z.boolean().optional(),
  withoutShm: z.boolean().optional(),
  autoRemove: z.boolean(),
  clientConfig: z.record(z.string(), z.unknown()),
});
export type CreateContainerBody = z.infer<typeof createContainerSchema>;

export const containerViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  createdAt: z.int(),
  imageId: z.string(),
  request: createContainerSchema,
  path: z.string(),
  args: z.array(z.string()),
  effective: z.object({
    env: z.array(z.string()),
    cmd: z.array(z.string()).nullable(),
    entrypoint: z.array(z.string()).nullable(),
    workingDir: z.string(),
    user: z.string(),
    labels,
    volumes: z.array(z.string()),
    exposedPorts: z.array(z.string()),
    /** Absent: none. */
    health: healthCheckSchema.optional(),
  }),
  state: z.object({
    status: z.enum(['created', 'running', 'paused', 'restarting', 'exited', 'removing', 'dead']),
    exitCode: z.int(),
    oomKilled: z.boolean(),
    error: z.string(),
    pid: z.int(),
    startedAt: z.int().nullable(),
    finishedAt: z.int().nullable(),
    health: z
      .object({
        status: z.enum(['starting', 'healthy', 'unhealthy']),
        failingStreak: z.int(),
        log: z.array(z.object({ startedAt: z.number(), finishedAt: z.number(), exitCode: z.int(), output: z.string() })),
      })
      .optional(),
  }),
  mounts: z.array(z.object({ kind: z.enum(['volume', 'bind', 'tmpfs']), name: z.string().optional(), source: z.string(), destination: z.string(), readOnly: z.boolean() })),
  network: containerNetworkSchema,
  restartCount: z.int(),
  /** Only when asked for. */
  writableBytes: z.int().nullable(),
  rootfsBytes: z.int().nullable(),
});
export type ContainerView = z.infer<typeof containerViewSchema>;

export const commitContainerSchema = z.strictObject({
  container: z.string(),
  name: z.string().optional(),
  author: z.string().optional(),
  comment: z.string().optional(),
  changes: z.array(z.string()).default([]),
  pause: z.boolean().default(true),
  config: z.record(z.string(), z.unknown()).optional(),
});
export type CommitContainerBody = z.infer<typeof commitContainerSchema>;

export const processTableSchema = z.object({ titles: z.array(z.string()), processes: z.array(z.array(z.string())) });
export type ProcessTableView = z.infer<typeof processTableSchema>;

const count = z.number();
/** A container's figures at one moment; `readAt` 0: it does not run. */
export const containerStatsSchema = z.object({
  id: z.string(),
  name: z.string(),
  readAt: count,
  cgroupVersion: z.union([z.literal(1), z.literal(2)]),
  cpu: z.object({
    totalNs: count,
    userNs: count,
    kernelNs: count,
    perCpuNs: z.array(count),
    systemNs: count,
    onlineCpus: count,
    throttling: z.object({ periods: count, throttledPeriods: count, throttledNs: count }),
  }),
  memory: z.object({ usageBytes: count, peakBytes: count, failures: count, limitBytes: count, counters: z.record(z.string(), count) }),
  pids: z.object({ current: count, limit: count }),
  io: z.array(z.object({ major: count, minor: count, readBytes: count, writtenBytes: count, reads: count, writes: count })),
  networks: z.record(z.string(), z.object({ rxBytes: count, rxPackets: count, rxErrors: count, rxDropped: count, txBytes: count, txPackets: count, txErrors: count, txDropped: count })),
});
export type ContainerStatsView = z.infer<typeof containerStatsSchema>;
