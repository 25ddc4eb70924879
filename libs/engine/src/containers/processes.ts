import type { TenantId } from '#kernel';

/**
 * Talking to what runs in containers: the main process (attach) and further ones (exec). Output goes to a log file before it is acknowledged to the
 * agent, an exec's too, and who looks on reads from there: many at once, late, again after a restart of the worker, from any number on. A process is
 * held back (its writes block) while one who is attached lags too far behind, so nothing is lost and nothing is buffered without bound; who takes nothing for a
 * minute is cut off. To go away (`close`, a lost connection, detach keys) never ends a process. An exec lives with its container's run.
 */
export interface ContainerProcesses {
  /**
   * Output from now on (with `logs`, from the log's beginning) until the main process ends. To be called before `start` so that nothing is missed. A container that does not run is fine:
   * the streams open with its next start.
   * @throws CodedError `not_found` (`No such container: X`), `conflict` (`You cannot attach to a paused container, unpause it first`, the same of a restarting one)
   */
  attach(tenantId: TenantId, text: string, options: AttachOptions): Promise<ProcessStream>;
  /** Of the main process's terminal; before its start: the size it starts with. Sizes of 0 change nothing. @throws CodedError `conflict` (`Container X is not running`) */
  resize(tenantId: TenantId, text: string, size: TerminalSize): Promise<void>;

  /**
   * @throws CodedError `not_found`, `conflict` (`container X is not running`, `container X is paused, unpause the container before exec`), `invalid_argument`;
   * with `id` one that is known already is given back as it is.
   */
  createExec(tenantId: TenantId, text: string, request: ExecSpec): Promise<{ readonly id: string }>;
  /** @throws CodedError `not_found` (`No such exec instance: X`) */
  getExec(tenantId: TenantId, execId: string): Promise<Exec>;
  /** Of a container, oldest first; those that have ended are kept for a while (the last 64). */
  listExecs(tenantId: TenantId, text: string): Promise<Exec[]>;
  /**
   * Resolves when the program is running. Its streams are had by `attachExec`, before or after.
   * @throws CodedError `conflict` (`exec command X is already running`, `exec command X has already run`; its container does not run), `invalid_argument` with details.exitCode 126 or 127 and Docker's words (`OCI runtime exec failed: exec failed: unable to start container process: exec: "x": executable file not found in $PATH: unknown`)
   */
  startExec(tenantId: TenantId, execId: string, size?: TerminalSize): Promise<void>;
  /** The end of the stream's input is that of the program's; a client that just goes away leaves it open for who comes back. */
  attachExec(tenantId: TenantId, execId: string, options: AttachOptions): Promise<ProcessStream>;
  resizeExec(tenantId: TenantId, execId: string, size: TerminalSize): Promise<void>;
  /** To its process group. Idempotent when it has ended. */
  signalExec(tenantId: TenantId, execId: string, signal: string): Promise<void>;
  /** Resolves when it has ended. */
  waitExec(tenantId: TenantId, execId: string, signal: AbortSignal): Promise<Exec>;
}

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

export interface ExecSpec {
  /** Chosen by the client: 64 hex digits. Absent: a random one. */
  readonly id?: string;
  readonly argv: readonly string[];
  /** Beside the container's own. */
  readonly env: readonly string[];
  /** '' the container's. */
  readonly workingDir: string;
  /** `user[:group]`; '' the container's. */
  readonly user: string;
  readonly tty: boolean;
  readonly openStdin: boolean;
  readonly privileged: boolean;
  /** Kept for `inspect`: what the client wants attached, detach keys. */
  readonly clientConfig: Readonly<Record<string, unknown>>;
}

export interface Exec {
  readonly id: string;
  readonly containerId: string;
  readonly request: ExecSpec;
  readonly state: 'created' | 'running' | 'ended';
  /** null while it runs. */
  readonly exitCode: number | null;
  readonly signal: number | null;
  /** In the sandbox's pid name space as far as it is known; 0: none. */
  readonly pid: number;
  readonly createdAt: number;
  readonly startedAt: number | undefined;
  readonly finishedAt: number | undefined;
}

export interface AttachOptions {
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** What was written before, too. */
  readonly logs: boolean;
  /** False: only what there is (`logs`), then the end. */
  readonly follow: boolean;
  /** Only frames behind this number (`ProcessChunk.seq`). */
  readonly after?: number;
  /** On a terminal: these bytes in the input close the stream. Default: ctrl-p, ctrl-q. Empty: none. */
  readonly detachKeys?: Buffer;
}

export interface ProcessChunk {
  /** Rises without gaps within a process's log that is read whole. */
  readonly seq: number;
  readonly stream: 'stdout' | 'stderr';
  readonly timeMs: number;
  readonly bytes: Buffer;
}

/** Bytes both ways of one process, for one who looks on. */
export interface ProcessStream {
  /** A terminal: one stream, `stdout`. */
  readonly tty: boolean;
  /** One consumer. Ends with the last output of the process, or when this stream is closed; @throws CodedError `resource_exhausted` (the reader lagged and was cut off) */
  output(): AsyncIterable<ProcessChunk>;
  /** Resolves when the bytes are with the agent: who waits for it passes the process's back-pressure on. After the process's end they are dropped. */
  write(bytes: Uint8Array): Promise<void>;
  /** End of file, behind what was written; of a terminal, and of a main process whose input more than one client may write to: as `close`. */
  end(): Promise<void>;
  /** How the process ended; undefined: the stream was closed, or the process was detached from. Settles after the last chunk was handed out. */
  readonly ended: Promise<{ readonly exitCode: number } | undefined>;
  /** Idempotent. The process goes on. */
  close(): void;
}
