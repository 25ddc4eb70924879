/** Chosen by the host, unique within a sandbox: starting the same id twice starts one process. 1 … 2³¹-1. */
export type ProcessId = number;

export interface ProcessSpec {
  readonly id: ProcessId;
  readonly argv: readonly string[];
  /** `NAME=value`; the whole environment. */
  readonly env: readonly string[];
  readonly cwd: string;
  readonly uid: number;
  readonly gid: number;
  readonly supplementaryGids?: readonly number[];
  /** By setrlimit(2)'s names; a number is the soft and the hard limit alike, -1 none. A hard limit above the sandbox's own is lowered to it. */
  readonly rlimits?: Readonly<Record<string, number | { readonly soft: number; readonly hard: number }>>;
  /** Root gets every capability that the agent holds itself, not only what the sandbox's processes get. */
  readonly privileged?: boolean;
  /** It is killed, with its group, when the connection that starts it is over. */
  readonly tied?: boolean;
  /** Only if a read of each of these files gives just that; one that cannot be read gives nothing. At most 4. */
  readonly expects?: readonly ExpectedFile[];
  /** `pipes`: stdin, stdout and stderr apart. `pty`: one terminal; its output comes as stdout. */
  readonly stdio: { readonly kind: 'pipes'; readonly stdin: boolean } | { readonly kind: 'pty'; readonly columns: number; readonly rows: number };
}

export interface ExpectedFile {
  readonly path: string;
  readonly content: Uint8Array;
}

/** How a process ended. Usage is of the process and the children it waited for (getrusage(2)). */
export interface ProcessExit {
  /** null when a signal ended it. */
  readonly exitCode: number | null;
  readonly signal: number | null;
  readonly userTimeUs: number;
  readonly systemTimeUs: number;
  readonly maxRssBytes: number;
}

/**
 * Events are numbered without gaps per sandbox, from 1. `exit` comes after the last output of its process: when both streams are
 * at their end, or, when a descendant keeps them open, 100 ms after the process ended with what had come until then.
 * `time` is the agent's CLOCK_REALTIME in microseconds: of the read for output, of the end for an exit; `started` is of execve.
 */
export type AgentEvent =
  | { readonly seq: number; readonly timeUs: number; readonly type: 'started'; readonly processId: ProcessId; /** In the sandbox's pid name space. */ readonly pid: number }
  | { readonly seq: number; readonly timeUs: number; readonly type: 'output'; readonly processId: ProcessId; readonly stream: 'stdout' | 'stderr'; readonly data: Buffer }
  | { readonly seq: number; readonly timeUs: number; readonly type: 'exit'; readonly processId: ProcessId; readonly exit: ProcessExit };

export interface GuestFileSpec {
  /** Absolute in the guest. Missing parents are made (mode 0755, same owner). One that ends in `/`, without content, is a folder: made when missing. */
  readonly path: string;
  readonly content: Uint8Array;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
}

/**
 * The host's end of a connection to the guest agent (PID 1 of a sandbox). One connection at a time: a new one takes over. What the
 * agent says is untrusted: anything against the protocol ends the connection with `protocol_violation`.
 */
export interface GuestAgent {
  /**
   * Every event after the `after` given at connect, in order, each once. (With `kept`: none before one that is acknowledged.) Ends when the connection does; `closed` tells why.
   * One consumer. Not consuming stops the reading, hence the guest's writes.
   */
  events(): AsyncIterable<AgentEvent>;
  /** The agent may forget events up to `seq`. Unacknowledged output is bounded: beyond it the guest's writes block. */
  acknowledge(seq: number): void;
  /**
   * Resolves when execve succeeded. Idempotent by id.
   * @throws CodedError `not_found` (no such program or cwd), `permission_denied` (not executable), `resource_exhausted` (pids), `invalid_argument`,
   *   `failed_precondition` (a file does not hold what it `expects`: nothing was started, the id is free)
   */
  start(spec: ProcessSpec): Promise<void>;
  /**
   * `offset`: of the first byte in the whole of the process's stdin. Idempotent: what the agent has taken before is left out, so what may
   * have come can be sent again, over another connection too. Resolves when the bytes are in its bounded buffer, with how many it has
   * taken in all.
   * @throws CodedError `not_found`, `failed_precondition` (stdin closed, or bytes before these are missing)
   */
  writeStdin(id: ProcessId, offset: number, data: Uint8Array): Promise<number>;
  /** End of file, after what was written. Idempotent. */
  closeStdin(id: ProcessId): Promise<void>;
  /** To the process group, or to the process alone as a container's first process gets its signals. Idempotent when it has ended. */
  signal(id: ProcessId, signal: number, options?: { readonly alone: boolean }): Promise<void>;
  /** SIGKILL to every process but the agent. */
  killAll(): Promise<void>;
  resize(id: ProcessId, columns: number, rows: number): Promise<void>;
  /** Held: its output is no longer read, so its writes will block; what had been read still comes. Ends with the connection. Idempotent when it has ended. */
  holdOutput(id: ProcessId, held: boolean): Promise<void>;
  /** @throws CodedError `resource_exhausted` (ENOSPC), `invalid_argument`, `permission_denied` */
  writeFile(file: GuestFileSpec): Promise<void>;
  /** @throws CodedError `not_found`, `payload_too_large`, `invalid_argument` (not a regular file) */
  readFile(path: string, maxBytes: number): Promise<Buffer>;
  /** The highest process id that was to be started until this connection was made; 0: none. */
  readonly highestId: ProcessId;
  /** Closes the connection; the sandbox goes on. Idempotent. */
  close(): void;
  /** Settles when the connection is over: undefined when we closed it or another took over, else why. */
  readonly closed: Promise<Error | undefined>;
}

export interface ConnectOptions {
  readonly socketPath: string;
  /** Last event already safe with the host; 0 for all. `kept`: every event that the agent still has; the host knows by itself which it has had. */
  readonly after: number | 'kept';
  readonly timeoutMs: number;
}
