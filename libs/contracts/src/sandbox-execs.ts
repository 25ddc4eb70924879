import { z } from 'zod';
import { encodingSchema } from './runs.js';

const MiB = 1024 * 1024;
/** Of stdout and of stderr, in a result: what comes behind it is cut. */
export const MAX_RESULT_BYTES = MiB;
export const MAX_STDIN_BYTES = MiB;

const text = (most: number) =>
  z
    .string()
    .max(most)
    .refine((value) => value.isWellFormed(), 'is not valid Unicode')
    .refine((value) => !value.includes('\0'), 'holds a NUL character');
const argument = text(131_072);
const BASE64 = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;

export const execIdSchema = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/, 'is 1 to 128 of a-z, A-Z, 0-9, _, . and -, and begins with a letter or a digit');
export const terminalColumnsSchema = z.int().min(1).max(65_535);

/** The program, its arguments and where it runs: what a terminal and an exec have in common. */
const execCommandShape = {
  command: z.union([z.array(argument).min(1).max(1024), argument.min(1)]).describe('A program and its arguments, or a line for `/bin/sh -c`.'),
  env: z.record(z.string().regex(/^[^=\0]{1,1024}$/, 'is not an environment variable name'), argument).default({}).describe("Beside the sandbox's own."),
  workingDir: text(4096).refine((value) => value.startsWith('/'), 'must be absolute').optional().describe("Default: the sandbox's."),
  user: text(256).optional().describe("`user[:group]`, names or numbers. Default: the sandbox's."),
};

export const createSandboxExecSchema = z
  .strictObject({
    ...execCommandShape,
    id: execIdSchema.optional().describe('Your own name for it: repeating a call with the same one gives back the first exec.'),
    tty: z.boolean().default(false).describe('A terminal: one stream, `stdout`.'),
    columns: terminalColumnsSchema.optional(),
    rows: terminalColumnsSchema.optional(),
    stdin: z.string().default(''),
    stdinEncoding: encodingSchema.default('utf8'),
    stdinOpen: z.boolean().default(false).describe('Keep stdin open after `stdin`, for POST …/stdin and those who attach.'),
    timeoutMs: z.int().min(1).max(86_400_000).optional().describe('It is killed when it runs longer.'),
  })
  .refine((exec) => Object.keys(exec.env).length <= 1024, { path: ['env'], error: 'holds more than 1024 variables' })
  .refine((exec) => (exec.stdinEncoding === 'utf8' ? exec.stdin.isWellFormed() : BASE64.test(exec.stdin)), { path: ['stdin'], error: 'is not valid in its encoding' })
  .refine((exec) => Buffer.byteLength(exec.stdin, exec.stdinEncoding) <= MAX_STDIN_BYTES, { path: ['stdin'], error: `holds more than ${MAX_STDIN_BYTES} bytes` })
  .refine((exec) => (exec.columns === undefined) === (exec.rows === undefined), { path: ['columns'], error: 'give columns and rows, or neither' });
export type CreateSandboxExec = z.infer<typeof createSandboxExecSchema>;
export type CreateSandboxExecInput = z.input<typeof createSandboxExecSchema>;

export const SANDBOX_EXEC_STATES = ['created', 'running', 'ended'] as const;

export const sandboxExecViewSchema = z.object({
  id: z.string(),
  name: z.string().nullable().describe('The one that its client chose.'),
  sandboxId: z.string(),
  state: z.enum(SANDBOX_EXEC_STATES),
  command: z.array(z.string()),
  workingDir: z.string().nullable(),
  user: z.string().nullable(),
  tty: z.boolean(),
  stdinOpen: z.boolean(),
  timeoutMs: z.int().nullable(),
  exitCode: z.int().nullable().describe('null while it runs, and when a signal ended it.'),
  signal: z.string().nullable().describe('Such as "SIGKILL"; null when it exited.'),
  timedOut: z.boolean().describe('It ran longer than `timeoutMs` and was killed.'),
  createdAt: z.iso.datetime(),
  startedAt: z.iso.datetime().nullable(),
  finishedAt: z.iso.datetime().nullable(),
});
export type SandboxExecView = z.infer<typeof sandboxExecViewSchema>;

/** With its output, when it was waited for. */
export const sandboxExecResultSchema = sandboxExecViewSchema.extend({
  stdout: z.string(),
  stderr: z.string(),
  stdoutTruncated: z.boolean(),
  stderrTruncated: z.boolean(),
  encoding: encodingSchema.describe('utf8; base64 when stdout or stderr is not valid UTF-8.'),
});
export type SandboxExecResult = z.infer<typeof sandboxExecResultSchema>;

export const sandboxExecListSchema = z.object({ items: z.array(sandboxExecViewSchema) });

export const signalSandboxExecSchema = z.strictObject({ signal: z.string().regex(/^(?:(?:SIG)?[A-Z][A-Z0-9+-]{1,15}|[1-9]\d?)$/, 'is not a signal').default('SIGTERM') });
export const resizeSandboxExecSchema = z.strictObject({ columns: terminalColumnsSchema, rows: terminalColumnsSchema });
export const sandboxExecStdinSchema = z
  .strictObject({ data: z.string().default(''), encoding: encodingSchema.default('utf8'), eof: z.boolean().default(false).describe('Close it behind `data`.') })
  .refine((stdin) => (stdin.encoding === 'utf8' ? stdin.data.isWellFormed() : BASE64.test(stdin.data)), { path: ['data'], error: 'is not valid in its encoding' })
  .refine((stdin) => Buffer.byteLength(stdin.data, stdin.encoding) <= MAX_STDIN_BYTES, { path: ['data'], error: `holds more than ${MAX_STDIN_BYTES} bytes` });
export type SandboxExecStdin = z.infer<typeof sandboxExecStdinSchema>;

/** Bytes that a program wrote. `seq` rises without gaps within the output of one exec or sandbox. */
export const processOutputFrameSchema = z.object({
  type: z.literal('output'),
  seq: z.int(),
  stream: z.enum(['stdout', 'stderr']),
  data: z.string(),
  encoding: encodingSchema,
  time: z.int().describe('Milliseconds since the epoch.'),
});
/** The last frame. A stream that ends without one is not complete: come back with `?after=<last seq>`. */
export const processExitFrameSchema = z.object({ type: z.literal('exit'), exitCode: z.int().nullable(), signal: z.string().nullable() });
export const processFrameSchema = z.discriminatedUnion('type', [processOutputFrameSchema, processExitFrameSchema]);
export type ProcessOutput = z.infer<typeof processOutputFrameSchema>;
export type ProcessExit = z.infer<typeof processExitFrameSchema>;

/** What a client says on a process's WebSocket, as text. Binary messages are its input. */
export const processCommandSchema = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('resize'), columns: terminalColumnsSchema, rows: terminalColumnsSchema }),
  z.strictObject({ type: z.literal('signal'), signal: signalSandboxExecSchema.shape.signal }),
  z.strictObject({ type: z.literal('eof') }),
]);
export type ProcessCommand = z.infer<typeof processCommandSchema>;
