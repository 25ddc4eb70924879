import { z } from 'zod';

const labels = z.record(z.string(), z.string());

/** The wire form of the engine's CreateContainer; the gateway makes it of Docker's body by an allow-list. */
export const createContainerSchema = z.strictObject({
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
  limits: z.strictObject({ memoryBytes: z.int().optional(), cpuMillis: z.int().optional(), pids: z.int().optional(), diskBytes: z.int().optional(), shmBytes: z.int().optional() }),
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
