import { z } from 'zod';
import { terminalColumnsSchema } from '#contracts';

const flag = z.enum(['true', 'false', '1', '0']).transform((value) => value === 'true' || value === '1');
const after = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER).default(0).describe('The last `seq` that you have: only what comes after it is sent.');
const size = z.coerce.number().pipe(terminalColumnsSchema);
const ticket = z.string().max(200).optional();

export const createExecQuerySchema = z.strictObject({
  wait: flag.default(false).describe('Answer with the result, not at once.'),
  waitTimeoutMs: z.coerce.number().int().min(1).max(300_000).default(60_000).describe('With `wait`: after this many milliseconds the answer is 202 with the exec as it is then; it goes on.'),
});
export type CreateExecQuery = z.infer<typeof createExecQuerySchema>;

export const outputQuerySchema = z.strictObject({ after, follow: flag.default(true).describe('false: what is there now, without waiting for the rest.') });
export type OutputQuery = z.infer<typeof outputQuerySchema>;

export const attachSocketQuerySchema = z.strictObject({ after, ticket, stdin: flag.default(true).describe('false: to look on only.') });

export const logsQuerySchema = z.strictObject({
  after,
  follow: flag.default(false).describe('Wait for what is still to come, until the main program ends.'),
  since: z.coerce.number().int().min(0).max(8.64e15).default(0).describe('Only what was written at this moment or later: milliseconds since the epoch.'),
  stdout: flag.default(true),
  stderr: flag.default(true),
});
export type LogsQuery = z.infer<typeof logsQuerySchema>;
export const logsSocketQuerySchema = logsQuerySchema.extend({ ticket, follow: flag.default(true) });

/** A terminal in one call. `command` once is a line for the shell, several times a program and its arguments. */
export const terminalQuerySchema = z.strictObject({
  command: z.array(z.string().max(131_072)).max(1024).default([]),
  env: z.array(z.string().max(131_072).regex(/^[^=\0]{1,1024}=/, 'is not NAME=value')).max(1024).default([]),
  columns: size.default(80),
  rows: size.default(24),
  user: z.string().max(256).default(''),
  workingDir: z.string().max(4096).refine((value) => value === '' || value.startsWith('/'), 'must be absolute').default(''),
  tty: flag.default(true).describe('false: plain pipes, stdout and stderr apart.'),
  timeoutMs: z.coerce.number().int().min(1).max(86_400_000).optional(),
  ticket,
});
export type TerminalQuery = z.infer<typeof terminalQuerySchema>;
