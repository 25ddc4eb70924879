import { z } from 'zod';
import { sandboxConditionSchema, sandboxStateSchema } from '#contracts';
import { queryList } from '../protocols/rest/query-list.js';

const flag = z.enum(['true', 'false']).default('false').transform((text) => text === 'true');
const signal = z.string().regex(/^(?:(?:SIG)?[A-Z][A-Z0-9+-]{1,15}|[1-9]\d?)$/i, 'is not a signal');

export const listSandboxesQuerySchema = z.strictObject({
  state: queryList(sandboxStateSchema).describe('May come several times.'),
  label: queryList(z.string().min(1).max(4300)).describe('`key` or `key=value`. May come several times: all of them.'),
  namePrefix: z.string().max(128).optional(),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(200).optional(),
});
export type ListSandboxesQuery = z.infer<typeof listSandboxesQuerySchema>;

export const removeSandboxQuerySchema = z.strictObject({
  force: flag.describe('Although it runs.'),
  volumes: flag.describe('Also the volumes without a name that it has.'),
});
export type RemoveSandboxQuery = z.infer<typeof removeSandboxQuerySchema>;

/** Every verb may come without a body. */
export const stopSandboxSchema = z
  .strictObject({
    signal: signal.optional().describe("Default: the sandbox's own stop signal."),
    timeoutSeconds: z.int().min(-1).max(86_400).optional().describe('Until SIGKILL; -1: for ever.'),
  })
  .prefault({});
export type StopSandbox = z.infer<typeof stopSandboxSchema>;

export const killSandboxSchema = z.strictObject({ signal: signal.default('SIGKILL') }).prefault({});
export type KillSandbox = z.infer<typeof killSandboxSchema>;

export const waitSandboxQuerySchema = z.strictObject({
  state: sandboxConditionSchema.default('stopped'),
  timeoutMs: z.coerce.number().int().min(1).max(300_000).default(60_000).describe('After this many milliseconds the answer is 202 with the sandbox as it is then.'),
});
export type WaitSandboxQuery = z.infer<typeof waitSandboxQuerySchema>;

export const statsQuerySchema = z.strictObject({ stream: flag.describe('One more line each second, until the sandbox stops.') });
export type StatsQuery = z.infer<typeof statsQuerySchema>;
