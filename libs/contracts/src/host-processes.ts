import { z } from 'zod';

/** Of a terminal; 0 leaves a dimension as it is. */
export const terminalSizeSchema = z.strictObject({ columns: z.int().min(0).max(65_535), rows: z.int().min(0).max(65_535) });
export type TerminalSizeBody = z.infer<typeof terminalSizeSchema>;

/** What the client of a new exec wants of it, kept with the exec by the node: how its streams are opened when nothing else is said, and what `inspect` shows. */
export const execClientConfigSchema = z.strictObject({
  attachStdin: z.boolean(),
  attachStdout: z.boolean(),
  attachStderr: z.boolean(),
  /** Base64 of the bytes that detach from it; '' the usual ones. */
  detachKeys: z.base64().max(1024),
  /** The client's own name for the exec, of which its id was made; '' none. */
  name: z.string().max(256),
  /** The exec is killed when it runs longer; null: never. */
  timeoutMs: z.int().min(1).nullable(),
});
export type ExecClientConfig = z.infer<typeof execClientConfigSchema>;

/** Bytes of all arguments and variables of an exec together: execve(2) takes no more than a quarter of the stack's limit. */
export const MAX_EXEC_BYTES = 2 * 1024 * 1024;

/** The wire form of the engine's ExecSpec. */
export const createExecSchema = z.strictObject({
  /** Chosen by the caller: the exec that has it already in this container is given back as it is. */
  name: z.string().max(256).optional(),
  argv: z.array(z.string()).min(1),
  env: z.array(z.string()),
  workingDir: z.string(),
  user: z.string(),
  tty: z.boolean(),
  openStdin: z.boolean(),
  privileged: z.boolean(),
  clientConfig: execClientConfigSchema,
});
export type CreateExecBody = z.infer<typeof createExecSchema>;

export const execViewSchema = z.object({
  id: z.string(),
  containerId: z.string(),
  request: createExecSchema.omit({ name: true }),
  state: z.enum(['created', 'running', 'ended']),
  exitCode: z.int().nullable(),
  signal: z.int().nullable(),
  pid: z.int(),
  createdAt: z.int(),
  startedAt: z.int().nullable(),
  finishedAt: z.int().nullable(),
});
export type ExecView = z.infer<typeof execViewSchema>;

export const signalExecSchema = z.strictObject({ signal: z.string().max(32) });

/** For a program's standard input, beside its streams. */
export const execStdinSchema = z.strictObject({ data: z.base64(), eof: z.boolean() });
export type ExecStdinBody = z.infer<typeof execStdinSchema>;

/** How the node renders a process's bytes on an upgraded connection. `docs/node-rpc.md` */
export const tunnelFormatSchema = z.enum(['raw', 'stdcopy', 'auto', 'frames']);
export type TunnelFormat = z.infer<typeof tunnelFormatSchema>;

/** The protocol that node RPC upgrades to. */
export const TUNNEL_PROTOCOL = 'sandbar-stream';
/** Of the 101: whether the process has a terminal, '1' or '0'. */
export const TUNNEL_TTY_HEADER = 'sandbar-tty';
/** Of the 101: the exec that was made with it. */
export const TUNNEL_EXEC_HEADER = 'sandbar-exec';
