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
  health: z
    .strictObject({ test: z.array(z.string()), intervalMs: z.int(), timeoutMs: z.int(), startPeriodMs: z.int(), startIntervalMs: z.int(), retries: z.int() })
    .optional(),
  logging: z.strictObject({ driver: z.enum(['json-file', 'local', 'none']), maxSizeBytes: z.int().optional(), maxFiles: z.int().optional(), options: labels }).optional(),
  exposedPorts: z.array(z.string()).optional(),
  sysctls: labels.optional(),
  domainname: z.string().optional(),
  capabilities: z.strictObject({ add: z.array(z.string()), drop: z.array(z.string()), privileged: z.boolean() }),
  readOnlyRootfs: z.boolean(),
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
  }),
  state: z.object({
    status: z.enum(['created', 'running', 'paused', 'exited', 'removing', 'dead']),
    exitCode: z.int(),
    oomKilled: z.boolean(),
    error: z.string(),
    pid: z.int(),
    startedAt: z.int().nullable(),
    finishedAt: z.int().nullable(),
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
