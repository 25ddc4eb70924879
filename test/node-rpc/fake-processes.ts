import { once, EventEmitter } from 'node:events';
import type { AttachOptions, ContainerProcesses, Exec, ExecSpec, ProcessChunk, ProcessStream, TerminalSize } from '#engine';
import { CodedError } from '#kernel';

const NOW = 1_700_000_000_000;

/** One process: what tests make it write and what they see that it was written. Output waits for its readers, as the engine's does. */
export class FakeProcess {
  readonly written: Buffer[] = [];
  readonly sizes: TerminalSize[] = [];
  readonly signals: string[] = [];
  readonly streams = new Set<FakeStream>();
  inputEnded = false;
  opened: AttachOptions[] = [];
  /** Set by a program that does not read. */
  reading: Promise<unknown> = Promise.resolve();
  exitCode: number | undefined;
  readonly bell = new EventEmitter();
  private seq = 0;

  constructor(readonly tty: boolean) {}

  open(options: AttachOptions): ProcessStream {
    this.opened.push(options);
    const stream = new FakeStream(this, options);
    this.streams.add(stream);
    return stream;
  }

  /** Resolves when every reader has taken it. */
  async write(stream: 'stdout' | 'stderr', bytes: Buffer | string): Promise<void> {
    this.seq += 1;
    const chunk = { seq: this.seq, stream, timeMs: NOW + this.seq, bytes: Buffer.from(bytes) };
    await Promise.all([...this.streams].map((one) => one.hand(chunk)));
  }

  end(exitCode: number): void {
    this.exitCode = exitCode;
    for (const stream of this.streams) stream.finish({ exitCode });
    this.bell.emit('ended');
  }

  get input(): string {
    return Buffer.concat(this.written).toString();
  }
}

export class FakeStream implements ProcessStream {
  private readonly end_ = Promise.withResolvers<{ readonly exitCode: number } | undefined>();
  private queue: { readonly chunk: ProcessChunk; readonly taken: () => void }[] = [];
  private wake: (() => void) | undefined;
  private over = false;
  closed = false;
  failure: CodedError | undefined;

  constructor(
    private readonly process: FakeProcess,
    private readonly options: AttachOptions,
  ) {}

  get tty(): boolean {
    return this.process.tty;
  }

  get ended(): Promise<{ readonly exitCode: number } | undefined> {
    return this.end_.promise;
  }

  hand(chunk: ProcessChunk): Promise<void> {
    if (this.over || !this.options[chunk.stream]) return Promise.resolve();
    return new Promise((taken) => {
      this.queue.push({ chunk, taken });
      this.wake?.();
    });
  }

  async *output(): AsyncIterable<ProcessChunk> {
    for (;;) {
      const next = this.queue.shift();
      if (next !== undefined) {
        try {
          yield next.chunk;
        } finally {
          next.taken();
        }
        continue;
      }
      if (this.failure !== undefined) throw this.failure;
      if (this.over) return;
      await new Promise<void>((resolve) => { this.wake = resolve; });
    }
  }

  async write(bytes: Uint8Array): Promise<void> {
    await this.process.reading;
    if (!this.over) this.process.written.push(Buffer.from(bytes));
  }

  async end(): Promise<void> {
    await this.process.reading;
    this.process.inputEnded = true;
    this.process.bell.emit('eof');
  }

  finish(how: { readonly exitCode: number } | undefined): void {
    this.over = true;
    this.end_.resolve(how);
    this.wake?.();
  }

  fail(error: CodedError): void {
    this.failure = error;
    this.finish(undefined);
  }

  close(): void {
    if (this.closed) return;
    this.closed = true;
    for (const { taken } of this.queue.splice(0)) taken();
    this.process.streams.delete(this);
    this.finish(undefined);
    this.process.bell.emit('closed');
  }
}

/** One container, `c`, whose main process and execs are in memory. A program `missing` is not found. */
export class FakeProcesses implements ContainerProcesses {
  readonly execs = new Map<string, { exec: Exec; process: FakeProcess }>();
  readonly main: FakeProcess;

  constructor(
    readonly containerId: string,
    tty = false,
  ) {
    this.main = new FakeProcess(tty);
  }

  attach = (_tenant: string, text: string, options: AttachOptions): Promise<ProcessStream> => {
    this.assertContainer(text);
    return Promise.resolve(this.main.open(options));
  };

  resize = (_tenant: string, text: string, size: TerminalSize): Promise<void> => {
    this.assertContainer(text);
    this.main.sizes.push(size);
    return Promise.resolve();
  };

  createExec = (_tenant: string, text: string, request: ExecSpec): Promise<{ readonly id: string }> => {
    this.assertContainer(text);
    const id = request.id ?? String(this.execs.size).padStart(64, '0');
    const exec: Exec = { id, containerId: this.containerId, request, state: 'created', exitCode: null, signal: null, pid: 0, createdAt: NOW, startedAt: undefined, finishedAt: undefined };
    if (!this.execs.has(id)) this.execs.set(id, { exec, process: new FakeProcess(request.tty) });
    return Promise.resolve({ id });
  };

  // eslint-disable-next-line @typescript-eslint/require-await -- throws as a rejection
  getExec = async (_tenant: string, id: string): Promise<Exec> => this.find(id).exec;
  listExecs = (): Promise<Exec[]> => Promise.resolve([...this.execs.values()].map(({ exec }) => exec));

  // eslint-disable-next-line @typescript-eslint/require-await -- throws as a rejection
  startExec = async (_tenant: string, id: string, size?: TerminalSize): Promise<void> => {
    const found = this.find(id);
    if (found.exec.state !== 'created') throw new CodedError('conflict', `exec ${id} is already running`);
    const [program = ''] = found.exec.request.argv;
    if (program === 'missing') throw new CodedError('invalid_argument', `OCI runtime exec failed: exec failed: unable to start container process: exec: "missing": executable file not found in $PATH: unknown`, { exitCode: 127 });
    found.exec = { ...found.exec, state: 'running', startedAt: NOW + 1 };
    if (size !== undefined) found.process.sizes.push(size);
    found.process.bell.once('ended', () => {
      found.exec = { ...found.exec, state: 'ended', exitCode: found.process.exitCode ?? 0, finishedAt: NOW + 2 };
    });
    if (program === 'true') found.process.end(0);
  };

  // eslint-disable-next-line @typescript-eslint/require-await -- throws as a rejection
  attachExec = async (_tenant: string, id: string, options: AttachOptions): Promise<ProcessStream> => this.find(id).process.open(options);

  // eslint-disable-next-line @typescript-eslint/require-await -- throws as a rejection
  resizeExec = async (_tenant: string, id: string, size: TerminalSize): Promise<void> => {
    this.find(id).process.sizes.push(size);
  };

  // eslint-disable-next-line @typescript-eslint/require-await -- throws as a rejection
  signalExec = async (_tenant: string, id: string, signal: string): Promise<void> => {
    const { process } = this.find(id);
    process.signals.push(signal);
    if (signal === 'KILL') process.end(137);
  };

  waitExec = async (_tenant: string, id: string, signal: AbortSignal): Promise<Exec> => {
    const { process } = this.find(id);
    if (process.exitCode === undefined) await once(process.bell, 'ended', { signal });
    return this.find(id).exec;
  };

  process(id: string): FakeProcess {
    return this.find(id).process;
  }

  private find(id: string): { exec: Exec; process: FakeProcess } {
    const found = this.execs.get(id);
    if (found === undefined) throw new CodedError('not_found', `No such exec instance: ${id}`);
    return found;
  }

  private assertContainer(text: string): void {
    if (text !== 'c' && text !== this.containerId) throw new CodedError('not_found', `No such container: ${text}`);
  }
}
