import { z } from 'zod';
import { runLimitsSchema } from './run-limits.js';

const MiB = 1024 * 1024;

/** The largest source (all files decoded, code and stdin together) that one run may carry. */
export const MAX_SOURCE_BYTES = 8 * MiB;
export const MAX_FILES = 256;

export const RUN_STATES = [
  'queued',
  'running',
  'succeeded',
  'failed',
  'timed_out',
  'memory_exceeded',
  'output_exceeded',
  'cancelled',
  'lost',
  'internal_error',
] as const;
export const runStateSchema = z.enum(RUN_STATES);
export type RunState = z.infer<typeof runStateSchema>;
export type FinalRunState = Exclude<RunState, 'queued' | 'running'>;

export function isFinalRunState(state: RunState): state is FinalRunState {
  return state !== 'queued' && state !== 'running';
}

export const encodingSchema = z.enum(['utf8', 'base64']);
export type Encoding = z.infer<typeof encodingSchema>;

/** A relative path of plain components: it cannot leave the working folder, whatever is joined before it. */
export const workPathSchema = z
  .string()
  .min(1)
  .max(512)
  .refine((path) => !path.includes('\0'), 'holds a NUL byte')
  .refine((path) => !path.startsWith('/'), 'must be relative to the working folder')
  .refine(
    (path) => path.split('/').every((part) => part !== '' && part !== '.' && part !== '..' && Buffer.byteLength(part) <= 255),
    'must be made of plain components that stay in the working folder',
  );

const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

/** A lone surrogate cannot be written as UTF-8: what would reach the program is not what was sent. */
const text = z.string().refine((value) => value.isWellFormed(), 'is not valid Unicode');

/** `"text"`, or `{ content, encoding, executable }`. */
export const runFileSchema = z.union([
  text,
  z
    .strictObject({
      content: z.string(),
      encoding: encodingSchema.default('utf8'),
      executable: z.boolean().default(false),
    })
    .refine((file) => file.encoding === 'base64' || file.content.isWellFormed(), { path: ['content'], error: 'is not valid Unicode' })
    .refine((file) => file.encoding === 'utf8' || BASE64.test(file.content), { path: ['content'], error: 'is not valid base64' }),
]);

/** execve(2) refuses NUL bytes, so they are refused here, where the sender can still be told. */
const argument = text.max(32_768).refine((value) => !value.includes('\0'), 'holds a NUL byte');

/** PostgreSQL's text and jsonb, where labels are looked up, hold neither NUL nor half a surrogate pair. */
function storable(schema: z.ZodString) {
  return schema.refine((value) => value.isWellFormed(), 'is not valid Unicode').refine((value) => !value.includes('\0'), 'holds a NUL character');
}

const envNameSchema = z.string().regex(/^[A-Za-z_][A-Za-z0-9_]{0,127}$/, 'is not an environment variable name');

export const createRunSchema = z
  .strictObject({
    runtime: storable(z.string().min(1).max(64)).describe('Name of a runtime: see GET /v1/runtimes.'),
    code: text.optional().describe("The program, written to the runtime's main file."),
    files: z.record(workPathSchema, runFileSchema).optional().describe('Path in the working folder → content.'),
    entry: z.array(argument).min(1).max(256).optional().describe("Command to run instead of the runtime's own compile and run steps."),
    args: z.array(argument).max(256).default([]).describe('Appended to the command.'),
    env: z.record(envNameSchema, argument).default({}),
    stdin: z.string().default(''),
    stdinEncoding: encodingSchema.default('utf8'),
    stdinOpen: z.boolean().default(false).describe('Keep stdin open after `stdin`, for POST /v1/runs/:id/stdin.'),
    limits: runLimitsSchema.prefault({}),
    network: z.enum(['none']).default('none'),
    user: z.enum(['runner', 'root']).default('runner').describe('Who the program is inside its sandbox. Either is an unprivileged user outside.'),
    labels: z.record(storable(z.string().min(1).max(63)), storable(z.string().max(255))).default({}),
  })
  .refine((run) => run.code !== undefined || Object.keys(run.files ?? {}).length > 0, { path: ['code'], error: 'give code or files' })
  .refine((run) => Object.keys(run.files ?? {}).length <= MAX_FILES, { path: ['files'], error: `holds more than ${MAX_FILES} files` })
  .refine((run) => Object.keys(run.env).length <= 256, { path: ['env'], error: 'holds more than 256 variables' })
  .refine((run) => Object.keys(run.labels).length <= 32, { path: ['labels'], error: 'holds more than 32 labels' })
  .refine((run) => (run.stdinEncoding === 'utf8' ? run.stdin.isWellFormed() : BASE64.test(run.stdin)), { path: ['stdin'], error: 'is not valid in its encoding' })
  .refine((run) => sourceBytes(run) <= MAX_SOURCE_BYTES, { path: ['files'], error: `code, files and stdin hold more than ${MAX_SOURCE_BYTES} bytes` });

export type CreateRun = z.infer<typeof createRunSchema>;
/** What a client may send: everything with a default may be left out. */
export type CreateRunInput = z.input<typeof createRunSchema>;
export type RunFile = z.infer<typeof runFileSchema>;

function sourceBytes(run: { code?: string | undefined; files?: Record<string, RunFile> | undefined; stdin: string }): number {
  let bytes = Buffer.byteLength(run.code ?? '') + Buffer.byteLength(run.stdin);
  for (const file of Object.values(run.files ?? {})) {
    bytes += typeof file === 'string' ? Buffer.byteLength(file) : Buffer.byteLength(file.content, file.encoding);
  }
  return bytes;
}

/** How one process (the compile step or the run step) ended and what it used. */
export const stepResultSchema = z.object({
  exitCode: z.int().nullable().describe('null when a signal ended it.'),
  signal: z.string().nullable().describe('Such as "SIGKILL"; null when it exited.'),
  stdout: z.string(),
  stderr: z.string(),
  stdoutTruncated: z.boolean(),
  stderrTruncated: z.boolean(),
  encoding: encodingSchema.describe('utf8; base64 when stdout or stderr is not valid UTF-8.'),
  wallTimeMs: z.number(),
  cpuTimeMs: z.number(),
  memoryPeakBytes: z.int(),
});
export type StepResult = z.infer<typeof stepResultSchema>;

export const runErrorSchema = z.object({ code: z.string(), message: z.string() });

export const runViewSchema = stepResultSchema.partial().extend({
  id: z.string(),
  state: runStateSchema,
  runtime: z.string(),
  labels: z.record(z.string(), z.string()),
  limits: runLimitsSchema,
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
  failedStep: z.enum(['compile', 'run']).nullable().describe('The step that did not succeed.'),
  compile: stepResultSchema.nullable().describe('null when the runtime has no compile step or it did not run.'),
  error: runErrorSchema.nullable().describe('Why a run is lost or internal_error.'),
});
/** A run as the API shows it. The run step's own result stands at the top level, once there is one. */
export type RunView = z.infer<typeof runViewSchema>;

export const runStdinSchema = z
  .strictObject({
    data: z.string().max(1 * MiB).default(''),
    encoding: encodingSchema.default('utf8'),
    eof: z.boolean().default(false).describe('Close stdin after data.'),
  })
  .refine((stdin) => (stdin.encoding === 'utf8' ? stdin.data.isWellFormed() : BASE64.test(stdin.data)), { path: ['data'], error: 'is not valid in its encoding' });
export type RunStdin = z.infer<typeof runStdinSchema>;

export const listRunsQuerySchema = z.strictObject({
  state: runStateSchema.optional(),
  runtime: z.string().max(64).optional(),
  label: z.string().max(320).optional().describe('key=value'),
  limit: z.coerce.number().int().min(1).max(200).default(50),
  cursor: z.string().max(200).optional(),
});
export type ListRunsQuery = z.infer<typeof listRunsQuerySchema>;

export function pageSchema<T extends z.ZodType>(item: T) {
  return z.object({ items: z.array(item), nextCursor: z.string().nullable() });
}
export interface Page<T> {
  items: T[];
  nextCursor: string | null;
}
