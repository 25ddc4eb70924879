import { z } from 'zod';

/** What a key may do. `admin` keys belong to the operator and to no tenant. */
export const SCOPES = ['runs:read', 'runs:write', 'host:read', 'host:write', 'keys:read', 'keys:write', 'admin'] as const;
export const scopeSchema = z.enum(SCOPES);
export type Scope = z.infer<typeof scopeSchema>;
/** `host`: the tenant's virtual Docker host, with its images, volumes and containers. */
export const TENANT_SCOPES = ['runs:read', 'runs:write', 'host:read', 'host:write', 'keys:read', 'keys:write'] as const satisfies readonly Scope[];

const MiB = 1024 * 1024;

export const tenantLimitsSchema = z.strictObject({
  concurrentRuns: z.int().min(1).max(10_000).default(16).describe('Runs executing at once; more wait in the queue.'),
  queuedRuns: z.int().min(0).max(100_000).default(1000).describe('Runs waiting; more are refused with quota_exceeded.'),
  requestsPerSecond: z.number().min(0.1).max(100_000).default(100).describe('Sustained rate of API requests. A body counts as one more for each 256 KiB of it.'),
  requestBurst: z.int().min(1).max(100_000).default(200).describe('Requests that may come at once.'),
  memoryBytes: z.int().min(64 * MiB).default(4096 * MiB).describe('Memory of all the sandboxes of the tenant on a node (its cgroup).'),
  cpuMillis: z.int().min(50).default(16_000).describe('CPU rate of all the sandboxes of the tenant on a node.'),
  pids: z.int().min(16).default(8192).describe('Processes of all the sandboxes of the tenant on a node.'),
  storageBytes: z.int().min(64 * MiB).default(10 * 1024 * MiB).describe('What containers and volumes of the tenant may write: the size of its disk, a hard end (ENOSPC).'),
  imageBytes: z.int().min(0).default(20 * 1024 * MiB).describe("Unpacked size of the tenant's images, layers counted once."),
  containers: z.int().min(0).max(100_000).default(500).describe('Containers that exist, running or not.'),
  networks: z.int().min(0).max(1000).default(32).describe('Networks of its own that exist.'),
  publishPorts: z.boolean().default(false).describe("Ports that its containers publish are also on the node's address that the operator has set, not on the tenant's own host alone."),
  concurrentBuilds: z.int().min(1).max(1000).default(2).describe('Builds executing at once; more wait.'),
  queuedBuilds: z.int().min(0).max(10_000).default(32).describe('Builds waiting; more are refused with quota_exceeded.'),
  buildTimeMs: z.int().min(1000).max(4 * 3_600_000).default(1_800_000).describe('What one build may take, from its start to its end, milliseconds.'),
  buildSources: z.int().min(0).max(10_000).default(32).describe('Sources of automatic builds that exist.'),
  concurrentOperations: z.int().min(1).max(1000).default(4).describe('Pulls and pushes executing at once; more wait.'),
});
export type TenantLimits = z.infer<typeof tenantLimitsSchema>;

export const tenantNameSchema = z.string().regex(/^[a-z0-9](?:[a-z0-9-]{0,38}[a-z0-9])?$/, '1 to 40 of a-z, 0-9 and -, not at the ends');

export const createTenantSchema = z.strictObject({
  name: tenantNameSchema,
  limits: tenantLimitsSchema.prefault({}),
});
export type CreateTenant = z.infer<typeof createTenantSchema>;

type LimitFields = typeof tenantLimitsSchema.shape;
/** Without defaults: `partial()` would have them take the place of what is not given. */
const givenLimits = Object.fromEntries(
  Object.entries(tenantLimitsSchema.shape).map(([name, field]) => [name, field.unwrap().optional().describe(field.description ?? '')]),
) as { [Name in keyof LimitFields]: z.ZodOptional<ReturnType<LimitFields[Name]['unwrap']>> };

/** What is not given stays as it is. */
export const updateTenantSchema = z.strictObject({ limits: z.strictObject(givenLimits) });
export type UpdateTenant = z.infer<typeof updateTenantSchema>;

export const tenantViewSchema = z.object({
  id: z.string(),
  name: z.string(),
  limits: tenantLimitsSchema,
  createdAt: z.iso.datetime(),
});
export type TenantView = z.infer<typeof tenantViewSchema>;

export const createApiKeySchema = z.strictObject({
  name: z.string().min(1).max(100).refine((name) => name.isWellFormed() && !name.includes('\0'), 'holds a NUL character or is not valid Unicode'),
  scopes: z.array(z.enum(TENANT_SCOPES)).min(1).default([...TENANT_SCOPES]),
  expiresAt: z.iso.datetime().optional(),
});
export type CreateApiKey = z.infer<typeof createApiKeySchema>;

export const apiKeyViewSchema = z.object({
  id: z.string(),
  tenantId: z.string().nullable(),
  name: z.string(),
  /** The first characters of the key, to tell keys apart. */
  prefix: z.string(),
  scopes: z.array(scopeSchema),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime().nullable(),
  lastUsedAt: z.iso.datetime().nullable(),
  revokedAt: z.iso.datetime().nullable(),
});
export type ApiKeyView = z.infer<typeof apiKeyViewSchema>;

/** The only answer that ever holds the key itself. */
export const createdApiKeySchema = apiKeyViewSchema.extend({ key: z.string() });
export type CreatedApiKey = z.infer<typeof createdApiKeySchema>;

/** A one-use, short-lived stand-in for the key where a header cannot be set (WebSocket in a browser): `?ticket=`. */
export const ticketViewSchema = z.object({ ticket: z.string(), expiresAt: z.iso.datetime() });
export type TicketView = z.infer<typeof ticketViewSchema>;
