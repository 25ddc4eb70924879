import { z } from 'zod';
import { egressPolicySchema, restartPolicySchema } from './host-containers.js';

const MiB = 1024 * 1024;

/** A lone surrogate cannot be written as UTF-8, and execve(2) refuses NUL. */
const text = (most: number) =>
  z
    .string()
    .max(most)
    .refine((value) => value.isWellFormed(), 'is not valid Unicode')
    .refine((value) => !value.includes('\0'), 'holds a NUL character');
const argument = text(131_072);
const argv = z.array(argument).min(1).max(1024);
/** Absolute, as the sandbox's processes see it. */
const path = text(4096).refine((value) => value.startsWith('/'), 'must be absolute');
const port = z.int().min(1).max(65_535);
const address = z.union([z.ipv4(), z.literal('')]).default('');

export const sandboxNameSchema = z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{1,127}$/, 'is 2 to 128 of a-z, A-Z, 0-9, _, . and -, and begins with a letter or a digit');
export const sandboxLabelsSchema = z.record(text(128).min(1), text(4096)).refine((labels) => Object.keys(labels).length <= 64, 'holds more than 64 labels');

/** What is absent is the tenant's own limit. */
export const sandboxLimitsSchema = z.strictObject({
  memoryBytes: z.int().min(6 * MiB).optional().describe('Of all its processes and its files in memory.'),
  cpuMillis: z.int().min(10).max(1_024_000).optional().describe('1000 is one processor.'),
  pids: z.int().min(1).max(4_194_304).optional(),
  diskBytes: z.int().min(MiB).optional().describe('Of its own layer of files: a hard end, taken from the disk of the tenant at once.'),
  shmBytes: z.int().min(0).optional().describe('Of /dev/shm.'),
});
/** What can be changed later, while it runs too. */
export const changedSandboxLimitsSchema = sandboxLimitsSchema.pick({ memoryBytes: true, cpuMillis: true, pids: true });

export const sandboxPortSchema = z.strictObject({
  port: port.describe('Inside.'),
  hostPort: z.int().min(0).max(65_535).default(0).describe("On the tenant's virtual host; 0: a free one from 32768 up."),
  hostAddress: address.describe("Empty: every address of the tenant's virtual host."),
  protocol: z.enum(['tcp', 'udp']).default('tcp'),
});

const boundedEgress = egressPolicySchema.refine((policy) => policy.kind !== 'allow' || policy.cidrs.length + policy.domains.length <= 256, 'holds more than 256 entries');

export const sandboxNetworkSchema = z
  .strictObject({
    mode: text(128).min(1).default('none').describe('`none`, `bridge`, or the name or ID of a network of the tenant.'),
    egress: boundedEgress.prefault({ kind: 'all' }).describe('What it may reach outside. Private, metadata and node addresses stay closed in each case.'),
    ports: z.array(sandboxPortSchema).max(256).default([]),
    aliases: z.array(z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,62}$/)).max(32).default([]).describe('Names by which others on a network of your own find it, beside its own name.'),
  })
  .refine((network) => !/^(host$|container:)/.test(network.mode), { path: ['mode'], error: 'is not one that a sandbox can have' })
  .refine((network) => network.mode !== 'none' || network.ports.length === 0, { path: ['ports'], error: 'need a network: give mode' })
  .refine((network) => !['none', 'bridge'].includes(network.mode) || network.aliases.length === 0, { path: ['aliases'], error: 'need a network of your own: give mode' });

export const sandboxMountSchema = z.discriminatedUnion('kind', [
  z.strictObject({ kind: z.literal('volume'), volume: z.string().max(255).optional().describe('Made when it is not there. Absent: one without a name, that goes with the sandbox.'), path, readOnly: z.boolean().default(false) }),
  z.strictObject({ kind: z.literal('bind'), source: path.describe("In the tenant's own tree of files; made when it is not there."), path, readOnly: z.boolean().default(false) }),
  z.strictObject({ kind: z.literal('tmpfs'), path, sizeBytes: z.int().min(1).optional(), mode: z.int().min(0).max(0o7777).optional() }),
]);

const interval = z.int().min(1).max(86_400_000);
export const sandboxHealthSchema = z.strictObject({
  command: argv.describe('Exit code 0 is healthy.'),
  intervalMs: interval.default(30_000),
  timeoutMs: interval.default(30_000),
  startPeriodMs: z.int().min(0).max(86_400_000).default(0).describe('Failures in this time after the start do not count.'),
  startIntervalMs: interval.default(5000),
  retries: z.int().min(1).max(1000).default(3).describe('So many failures in a row are unhealthy.'),
});

export const createSandboxSchema = z
  .strictObject({
    image: text(600).min(1).optional().describe('One of your images, by name or ID.'),
    runtime: text(64).min(1).optional().describe('Instead of an image: a runtime, see GET /v1/runtimes.'),
    name: sandboxNameSchema.optional().describe('Default: one by chance.'),
    command: argv.optional().describe("The program and its arguments, in the place of the image's. Of a runtime, without it: one that sleeps until the sandbox is stopped."),
    args: z.array(argument).max(1024).optional().describe("In the place of the image's default arguments."),
    env: z.record(z.string().regex(/^[^=\0]{1,1024}$/, 'is not an environment variable name'), argument).default({}),
    workingDir: path.optional(),
    user: text(256).optional().describe('`user[:group]`, names or numbers.'),
    hostname: z.string().regex(/^[a-zA-Z0-9][a-zA-Z0-9.-]{0,62}$/, 'is not a host name').optional(),
    labels: sandboxLabelsSchema.default({}),
    limits: sandboxLimitsSchema.default({}),
    network: sandboxNetworkSchema.prefault({}),
    mounts: z.array(sandboxMountSchema).max(128).default([]),
    restart: restartPolicySchema.prefault({ kind: 'no', maxRetries: 0 }).describe('`maxRetries` of `on-failure`; 0: as often as need be.'),
    health: sandboxHealthSchema.nullable().optional().describe("null: not even the image's."),
    tty: z.boolean().default(false).describe('A terminal for the main program.'),
    stdin: z.boolean().default(false).describe('Keep its standard input open for those who attach.'),
    stopSignal: z.string().max(32).optional(),
    stopTimeoutSeconds: z.int().min(0).max(86_400).optional().describe('From the stop signal to SIGKILL; default 10.'),
    readOnlyRootfs: z.boolean().default(false),
    autoRemove: z.boolean().default(false).describe('It goes away when its main program ends.'),
    start: z.boolean().default(true),
  })
  .refine((sandbox) => (sandbox.image === undefined) !== (sandbox.runtime === undefined), { path: ['image'], error: 'give an image or a runtime' })
  .refine((sandbox) => Object.keys(sandbox.env).length <= 1024, { path: ['env'], error: 'holds more than 1024 variables' })
  .refine((sandbox) => !sandbox.autoRemove || sandbox.restart.kind === 'no', { path: ['restart'], error: 'does not go together with autoRemove' });
export type CreateSandbox = z.infer<typeof createSandboxSchema>;
export type CreateSandboxInput = z.input<typeof createSandboxSchema>;

export const updateSandboxSchema = z
  .strictObject({ name: sandboxNameSchema.optional(), limits: changedSandboxLimitsSchema.optional(), restart: restartPolicySchema.optional() })
  .refine((change) => Object.keys(change).length > 0, 'changes nothing');
export type UpdateSandbox = z.infer<typeof updateSandboxSchema>;

/** `removed` is in what waits and events say, never in a list. */
export const SANDBOX_STATES = ['created', 'running', 'paused', 'restarting', 'stopped', 'removing', 'removed'] as const;
export const sandboxStateSchema = z.enum(SANDBOX_STATES);
export type SandboxState = z.infer<typeof sandboxStateSchema>;

export const sandboxViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  image: z.string(),
  imageId: z.string(),
  runtime: z.string().nullable().describe('When it was made of one.'),
  state: sandboxStateSchema,
  exitCode: z.int().nullable().describe('Of the main program, when it has ended; 128 and more: by a signal.'),
  memoryExceeded: z.boolean().describe('Its last run ended because its memory was used up.'),
  error: z.string().nullable().describe('Why it could not be started.'),
  health: z.enum(['starting', 'healthy', 'unhealthy']).nullable().describe('null: nothing checks it.'),
  command: z.array(z.string()),
  workingDir: z.string(),
  user: z.string(),
  tty: z.boolean(),
  labels: z.record(z.string(), z.string()),
  limits: z.object({ memoryBytes: z.int().nullable(), cpuMillis: z.int().nullable(), pids: z.int().nullable(), diskBytes: z.int().nullable(), shmBytes: z.int().nullable() }).describe("null: the tenant's own."),
  network: z.object({
    mode: z.string(),
    egress: egressPolicySchema,
    addresses: z.array(z.object({ network: z.string(), ipv4: z.string(), mac: z.string(), gateway: z.string() })).describe('While it runs.'),
    ports: z.array(z.object({ port: z.int(), protocol: z.enum(['tcp', 'udp']), hostAddress: z.string(), hostPort: z.int() })).describe('While it runs.'),
  }),
  mounts: z.array(z.object({ kind: z.enum(['volume', 'bind', 'tmpfs']), volume: z.string().nullable(), source: z.string().nullable(), path: z.string(), readOnly: z.boolean() })),
  restart: restartPolicySchema,
  restartCount: z.int(),
  autoRemove: z.boolean(),
  readOnlyRootfs: z.boolean(),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
});
/** A container of the tenant's virtual host as the REST API shows it, whoever made it. */
export type SandboxView = z.infer<typeof sandboxViewSchema>;

/** What can be waited for. */
export const SANDBOX_CONDITIONS = ['running', 'paused', 'stopped', 'healthy', 'removed'] as const;
export const sandboxConditionSchema = z.enum(SANDBOX_CONDITIONS);
export type SandboxCondition = z.infer<typeof sandboxConditionSchema>;
