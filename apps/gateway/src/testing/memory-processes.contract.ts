import { EventEmitter, once } from 'node:events';
import { createHash } from 'node:crypto';
import { duplexPair, type Duplex } from 'node:stream';
import { inputFramesOf, outputFrameHead, type ContainerView, type CreateExecBody, type ExecView, type HostEventView, type OutputKind, type TerminalSizeBody } from '#contracts';
import { CodedError } from '#kernel';
import type { AttachExecRequest, AttachRequest, ExecName, HostProcesses, ProcessConnection } from '../nodes/host-processes.js';
import { stdcopyFrame } from '../protocols/docker/stdcopy.js';

/** What it needs of the host in memory. */
interface Surroundings {
  readonly bell: EventEmitter<{ event: [HostEventView]; ended: [string] }>;
  readonly calls: { readonly name: string; readonly given: unknown }[];
  container(ref: string): ContainerView;
  end(container: ContainerView, exitCode: number): void;
}

/** What a program says, to each who looks on in the form that it asked for. */
class MemoryProcess {
  readonly input: Buffer[] = [];
  readonly sizes: TerminalSizeBody[] = [];
  readonly bell = new EventEmitter<{ input: [Buffer]; eof: []; ended: [number] }>();
  readonly requests: AttachRequest[] = [];
  private readonly watchers: { readonly socket: Duplex; readonly request: AttachRequest }[] = [];
  private readonly log: { readonly seq: number; readonly stream: 'stdout' | 'stderr'; readonly bytes: Buffer }[] = [];
  exitCode: number | undefined;
  /** Input waits for the program. */
  readonly running = Promise.withResolvers<undefined>();

  constructor(readonly tty: boolean) {
    this.bell.setMaxListeners(0);
  }

  open(request: AttachRequest): ProcessConnection {
    this.requests.push(request);
    const [ours, theirs] = duplexPair();
    ours.on('error', () => undefined);
    theirs.on('error', () => undefined);
    this.watchers.push({ socket: ours, request });
    for (const one of this.log) if (request.logs && one.seq > (request.after ?? 0)) this.render(ours, request, one);
    if (this.exitCode !== undefined || !request.follow) this.close(ours, request);
    this.obey(ours, request).catch(() => undefined);
    return { socket: theirs, tty: this.tty };
  }

  write(stream: 'stdout' | 'stderr', bytes: Buffer | string): void {
    const one = { seq: this.log.length + 1, stream, bytes: Buffer.from(bytes) };
    this.log.push(one);
    for (const { socket, request } of this.watchers) this.render(socket, request, one);
  }

  end(exitCode: number): void {
    this.exitCode = exitCode;
    this.bell.emit('ended', exitCode);
    for (const { socket, request } of this.watchers) this.close(socket, request);
  }

  private render(socket: Duplex, request: AttachRequest, { seq, stream, bytes }: { readonly seq: number; readonly stream: 'stdout' | 'stderr'; readonly bytes: Buffer }): void {
    if (!request[stream] || socket.destroyed || socket.writableEnded) return;
    const format = request.format === 'auto' ? (this.tty ? 'raw' : 'stdcopy') : request.format;
    socket.write(format === 'raw' ? bytes : format === 'stdcopy' ? stdcopyFrame(stream, bytes) : frame(stream, seq, bytes));
  }

  private close(socket: Duplex, { format }: AttachRequest): void {
    if (socket.writableEnded || socket.destroyed) return;
    if (format === 'frames') socket.write(frame('end', 0, Buffer.from(JSON.stringify({ exitCode: this.exitCode }))));
    socket.end();
  }

  private async obey(socket: Duplex, request: AttachRequest): Promise<void> {
    for await (const { kind, bytes } of inputFramesOf(socket.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>)) {
      if (kind === 'resize') this.sizes.push({ columns: bytes.readUInt16BE(0), rows: bytes.readUInt16BE(2) });
      else if (kind === 'detach') socket.end();
      else if (!request.stdin) continue;
      await this.running.promise;
      if (kind !== 'stdin' && kind !== 'end') continue;
      if (kind === 'end' || (this.tty && bytes.equals(Buffer.from([4])))) this.bell.emit('eof');
      else {
        this.input.push(bytes);
        this.bell.emit('input', bytes);
      }
    }
  }
}

function frame(kind: OutputKind, seq: number, bytes: Buffer): Buffer {
  return Buffer.concat([outputFrameHead({ kind, seq, timeMs: 1_700_000_000_000 + seq, bytes }), bytes]);
}

/** Processes in memory: `echo WORDS`, `cat` (what comes on stdin, until its end), `flood` (8 MiB), `exit N`, `sleep`; `missing` is not there. */
export class MemoryProcesses implements HostProcesses {
  readonly execsById = new Map<string, { view: ExecView; readonly process: MemoryProcess }>();
  private readonly mains = new Map<string, MemoryProcess>();

  constructor(private readonly host: Surroundings) {}

  main(id: string): MemoryProcess {
    const one = this.host.container(id);
    const known = this.mains.get(one.id) ?? new MemoryProcess(one.request.process.tty);
    this.mains.set(one.id, known);
    return known;
  }

  /** The container runs: so does its main process. */
  started(one: ContainerView): void {
    const process = this.main(one.id);
    this.host.bell.once('ended', () => { if (one.state.status === 'exited' && process.exitCode === undefined) process.end(one.state.exitCode); });
    this.play(process, [one.path, ...one.args], (exitCode) => { if (one.path === 'cat') this.host.end(one, exitCode); });
  }

  // eslint-disable-next-line @typescript-eslint/require-await -- throws as a rejection
  attach = async (ref: string, request: AttachRequest): Promise<ProcessConnection> => this.main(this.host.container(ref).id).open(request);

  // eslint-disable-next-line @typescript-eslint/require-await -- throws as a rejection
  resize = async (ref: string, size: TerminalSizeBody): Promise<void> => {
    this.main(ref).sizes.push(size);
  };

  // eslint-disable-next-line @typescript-eslint/require-await -- throws as a rejection
  createExec = async (ref: string, { name, ...request }: CreateExecBody): Promise<{ readonly id: string }> => {
    const one = this.host.container(ref);
    if (one.state.status !== 'running') throw new CodedError('conflict', `container ${one.id} is not running`);
    const id = createHash('sha256').update(`${one.id}${name ?? String(Math.random())}`).digest('hex');
    const view: ExecView = { id, containerId: one.id, request, state: 'created', exitCode: null, signal: null, pid: 0, createdAt: 1_700_000_000_000 + this.execsById.size, startedAt: null, finishedAt: null };
    if (!this.execsById.has(id)) this.execsById.set(id, { view, process: new MemoryProcess(request.tty) });
    return { id };
  };

  runExec = async (ref: string, exec: CreateExecBody, request: AttachRequest & Pick<AttachExecRequest, 'size'>): Promise<ProcessConnection & { readonly id: string }> => {
    const { id } = await this.createExec(ref, exec);
    return { ...(await this.attachExec({ id }, { ...request, start: true })), id };
  };

  exec = async (name: ExecName): Promise<ExecView> => Promise.resolve(this.find(name).view);
  // eslint-disable-next-line @typescript-eslint/require-await -- throws as a rejection
  execs = async (ref: string): Promise<ExecView[]> => {
    const { id } = this.host.container(ref);
    return [...this.execsById.values()].map(({ view }) => view).filter(({ containerId }) => containerId === id);
  };

  // eslint-disable-next-line @typescript-eslint/require-await -- throws as a rejection
  startExec = async (name: ExecName): Promise<void> => {
    const found = this.find(name);
    const { argv } = found.view.request;
    if (found.view.state !== 'created') throw new CodedError('conflict', `exec ${found.view.id} is already running`);
    if (argv[0] === 'missing') found.view = { ...found.view, state: 'ended', exitCode: 127 };
    if (argv[0] === 'missing') throw new CodedError('invalid_argument', 'OCI runtime exec failed: exec failed: unable to start container process: exec: "missing": executable file not found in $PATH: unknown', { exitCode: 127 });
    found.view = { ...found.view, state: 'running', pid: 7, startedAt: 1_700_000_000_500 };
    this.play(found.process, argv, (exitCode) => {
      found.view = { ...found.view, state: 'ended', exitCode, pid: 0, finishedAt: 1_700_000_001_000 };
      found.process.end(exitCode);
    });
  };

  attachExec = async (name: ExecName, request: AttachExecRequest): Promise<ProcessConnection> => {
    const { process, view } = this.find(name);
    const { attachStdin, attachStdout, attachStderr } = view.request.clientConfig;
    const connection = process.open(request.asCreated === true ? { ...request, stdin: attachStdin, stdout: attachStdout, stderr: attachStderr } : request);
    if (request.size !== undefined) process.sizes.push(request.size);
    if (request.start) await this.startExec(name);
    return connection;
  };

  // eslint-disable-next-line @typescript-eslint/require-await -- throws as a rejection
  resizeExec = async (name: ExecName, size: TerminalSizeBody): Promise<void> => {
    this.find(name).process.sizes.push(size);
  };

  // eslint-disable-next-line @typescript-eslint/require-await -- throws as a rejection
  signalExec = async (name: ExecName, signal: string): Promise<void> => {
    const found = this.find(name);
    this.host.calls.push({ name: 'signalExec', given: signal });
    if (found.view.state !== 'running') return;
    found.view = { ...found.view, state: 'ended', exitCode: 137, signal: 9, pid: 0, finishedAt: 1_700_000_001_000 };
    found.process.end(137);
  };

  // eslint-disable-next-line @typescript-eslint/require-await -- throws as a rejection
  writeExec = async (name: ExecName, { data, eof }: { readonly data: string; readonly eof: boolean }): Promise<void> => {
    const { process, view } = this.find(name);
    if (view.state !== 'running') throw new CodedError('failed_precondition', 'the program has ended', { started: true });
    process.bell.emit('input', Buffer.from(data, 'base64'));
    if (eof) process.bell.emit('eof');
  };

  waitExec = async (name: ExecName, signal: AbortSignal): Promise<ExecView> => {
    const found = this.find(name);
    if (found.view.state !== 'ended') await once(found.process.bell, 'ended', { signal });
    return this.find(name).view;
  };

  /** Port 7 gives back what it gets. */
  // eslint-disable-next-line @typescript-eslint/require-await -- throws as a rejection
  connect = async (ref: string, port: number): Promise<ProcessConnection> => {
    this.host.container(ref);
    if (port !== 7) throw new CodedError('failed_precondition', `nothing listens on port ${port} of the sandbox`, { port });
    const echo = new MemoryProcess(true);
    const connection = echo.open({ format: 'raw', stdin: true, stdout: true, stderr: false, logs: false, follow: true });
    this.play(echo, ['cat'], (exitCode) => { echo.end(exitCode); });
    return connection;
  };

  find({ id, ref }: ExecName): { view: ExecView; readonly process: MemoryProcess } {
    const found = this.execsById.get(id) ?? (ref === undefined ? undefined : this.execsById.get(createHash('sha256').update(`${this.host.container(ref).id}${id}`).digest('hex')));
    if (found === undefined || (ref !== undefined && this.host.container(ref).id !== found.view.containerId)) throw new CodedError('not_found', `No such exec instance: ${id}`);
    return found;
  }

  private play(process: MemoryProcess, [program = '', ...args]: readonly string[], end: (exitCode: number) => void): void {
    process.running.resolve(undefined);
    if (program === 'cat') {
      process.bell.on('input', (bytes) => { process.write('stdout', bytes); });
      process.bell.once('eof', () => { end(0); });
      return;
    }
    if (program === 'echo') process.write('stdout', `${args.join(' ')}\n`);
    if (program === 'flood') for (let number = 0; number < 128; number += 1) process.write('stdout', Buffer.alloc(64 * 1024, 'x'));
    if (program !== 'sleep') setTimeout(() => { end(program === 'exit' ? Number(args[0]) : 0); }, 5);
  }
}
