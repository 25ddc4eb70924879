import type { Duplex } from 'node:stream';
import type { CreateExecBody, ExecStdinBody, ExecView, TerminalSizeBody, TunnelFormat } from '#contracts';

/** What of a process is wanted, and how its bytes are to come. */
export interface AttachRequest {
  /** `auto`: raw from a terminal, multiplexed else. */
  readonly format: TunnelFormat;
  readonly stdin: boolean;
  readonly stdout: boolean;
  readonly stderr: boolean;
  /** What was written before, too. */
  readonly logs: boolean;
  /** False: only what there is, then the end. */
  readonly follow: boolean;
  /** Only what comes behind this number. */
  readonly after?: number;
  /** Absent: the usual ones. Empty: none. */
  readonly detachKeys?: Buffer;
}

export interface AttachExecRequest extends AttachRequest {
  /** Attach first, then start it, in one call. */
  readonly start: boolean;
  readonly size?: TerminalSizeBody;
  /** The streams that the exec was created with in place of those here. */
  readonly asCreated?: boolean;
}

/**
 * What is read is the process's output in the format that was asked for; its end is the end of the output. What is written are frames (`inputFrame`), whatever the
 * format. To close it detaches; the program goes on.
 */
export interface ProcessConnection {
  readonly socket: Duplex;
  readonly tty: boolean;
}

/** Of an exec: its id, or the name that a client chose where `ref` says of which container. */
export interface ExecName {
  readonly id: string;
  readonly ref?: string;
}

/**
 * Processes of a tenant's containers: their main ones (attach) and further ones (exec). The engine's `ContainerProcesses` over node RPC, with its errors; a
 * connection's bytes are ready for the client, the node renders them.
 */
export interface HostProcesses {
  attach(ref: string, request: AttachRequest, signal: AbortSignal): Promise<ProcessConnection>;
  resize(ref: string, size: TerminalSizeBody): Promise<void>;
  createExec(ref: string, request: CreateExecBody): Promise<{ readonly id: string }>;
  /** Made, attached to and started in one call. One that its name has made before is an error. */
  runExec(ref: string, exec: CreateExecBody, request: AttachRequest & Pick<AttachExecRequest, 'size'>, signal: AbortSignal): Promise<ProcessConnection & { readonly id: string }>;
  exec(name: ExecName): Promise<ExecView>;
  execs(ref: string): Promise<ExecView[]>;
  startExec(name: ExecName): Promise<void>;
  attachExec(name: ExecName, request: AttachExecRequest, signal: AbortSignal): Promise<ProcessConnection>;
  resizeExec(name: ExecName, size: TerminalSizeBody): Promise<void>;
  signalExec(name: ExecName, signal: string): Promise<void>;
  writeExec(name: ExecName, stdin: ExecStdinBody, signal: AbortSignal): Promise<void>;
  /** Resolves when it has ended. */
  waitExec(name: ExecName, signal: AbortSignal): Promise<ExecView>;
  /** A TCP connection to what listens on the container's loopback. */
  connect(ref: string, port: number, signal: AbortSignal): Promise<ProcessConnection>;
}
