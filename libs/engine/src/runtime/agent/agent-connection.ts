import type { Socket } from 'node:net';
import { asError, CodedError, StreamGarbage } from '#kernel';
import type { AgentEvent, GuestAgent, GuestFileSpec, ProcessId, ProcessSpec } from './agent.js';
import { EventQueue } from './event-queue.js';
import { encodeFrame, encodeHeader, FLAG_ALONE, FLAG_HOLD, FLAG_MORE, FrameDecoder, FrameType, MAX_PAYLOAD_BYTES, PROTOCOL_VERSION, protocolViolation } from './frames.js';
import { type AgentMessage, decodeMessage, MAX_PROCESS_ID, type Welcome } from './messages.js';
import { type Answer, PendingRequests } from './pending-requests.js';
import { encodeHello, encodeProcess, encodeReadFile, encodeResize, encodeSignal, encodeStart, encodeStdin, encodeWriteFile } from './requests.js';

/** Above it the socket is read only while an answer is awaited: answers come behind events. */
const PAUSE_BYTES = 512 * 1024;
/** An honest agent keeps at most 4 MiB unacknowledged. */
const MAX_QUEUED_BYTES = 8 * 1024 * 1024;
/** Some times what is read and held at a time: the mebibyte that a log keeps for those who read it live, and slabs. */
const GARBAGE_BYTES = 8 * 1024 * 1024;
const STDIN_PIECE_BYTES = 256 * 1024;
const FILE_PIECE_BYTES = 512 * 1024;
/** What writing files is expected to manage at least; it stretches the time an answer may take. */
const FILE_BYTES_PER_MS = 8 * 1024;

export interface AgentConnectionOptions {
  readonly after: number | 'kept';
  /** Of the greeting and, anew, of each request but stdin, which waits for the guest. */
  readonly timeoutMs: number;
}

/** One connection to the guest agent over a connected socket. Opened by `connectAgent`. */
export class AgentConnection implements GuestAgent {
  readonly closed: Promise<Error | undefined>;
  private readonly decoder = new FrameDecoder();
  private readonly garbage = new StreamGarbage(GARBAGE_BYTES);
  private readonly requests = new PendingRequests();
  private readonly queue = new EventQueue(() => { this.regulate(); });
  private readonly stdinTurns = new Map<ProcessId, Promise<unknown>>();
  private readonly settleClosed: (error: Error | undefined) => void;
  private readonly greeting = Promise.withResolvers<Welcome>();
  private welcomed = false;
  private over = false;
  private lastSeq = 0;
  private acknowledged = 0;
  private highest = 0;
  private acknowledgeScheduled = false;
  private gathering = false;

  constructor(private readonly socket: Socket, private readonly options: AgentConnectionOptions) {
    const { promise, resolve } = Promise.withResolvers<Error | undefined>();
    this.closed = promise;
    this.settleClosed = resolve;
    // Whoever does not wait for the greeting learns of its failure by `closed`.
    this.greeting.promise.catch(() => undefined);
    socket.on('error', (error) => { this.end(new CodedError('unavailable', 'the guest agent is gone', {}, { cause: error })); });
    socket.on('close', () => { this.end(new CodedError('unavailable', 'the guest agent is gone')); });
  }

  /** @throws CodedError `unsupported`, `failed_precondition` (events after `after` are forgotten), `protocol_violation`, `unavailable`, `deadline_exceeded` */
  async greet(): Promise<void> {
    this.socket.write(encodeFrame(FrameType.hello, {}, encodeHello(this.options.after === 'kept' ? 0 : this.options.after)));
    const timer = setTimeout(() => {
      this.end(new CodedError('deadline_exceeded', `the guest agent did not greet within ${this.options.timeoutMs} ms`));
    }, this.options.timeoutMs);
    try {
      await this.greeting.promise;
    } finally {
      clearTimeout(timer);
    }
  }

  events(): AsyncIterable<AgentEvent> {
    return this.queue.consume();
  }

  acknowledge(seq: number): void {
    if (!Number.isSafeInteger(seq) || seq < 0 || seq > this.lastSeq) throw new CodedError('invalid_argument', `event ${seq} has not come`);
    if (seq <= this.acknowledged) return;
    this.acknowledged = seq;
    if (this.acknowledgeScheduled || this.over) return;
    this.acknowledgeScheduled = true;
    setImmediate(() => {
      this.acknowledgeScheduled = false;
      if (!this.over) this.socket.write(encodeFrame(FrameType.acknowledge, { seq: this.acknowledged }));
    });
  }

  async start(spec: ProcessSpec): Promise<void> {
    await this.request(FrameType.start, encodeStart(spec));
  }

  async writeStdin(id: ProcessId, offset: number, data: Uint8Array): Promise<number> {
    return this.inTurn(id, async () => {
      let taken = 0;
      let at = 0;
      do {
        const piece = data.subarray(at, at + STDIN_PIECE_BYTES);
        const { id: request, answer } = this.open({ timeoutMs: undefined });
        this.socket.cork();
        this.send(FrameType.stdin, request, [encodeStdin(id, offset + at), piece], false);
        this.socket.uncork();
        taken = (await answer).value;
        at += piece.length;
        if (taken < offset + at) throw protocolViolation('it took stdin and did not');
      } while (at < data.length);
      return taken;
    });
  }

  async closeStdin(id: ProcessId): Promise<void> {
    const target = encodeProcess(id);
    await this.inTurn(id, () => this.request(FrameType.closeStdin, target));
  }

  async signal(id: ProcessId, signal: number, { alone = false }: { readonly alone?: boolean } = {}): Promise<void> {
    await this.request(FrameType.signal, encodeSignal(id, signal), { flags: alone ? FLAG_ALONE : 0 });
  }

  async killAll(): Promise<void> {
    await this.request(FrameType.killAll, Buffer.alloc(0));
  }

  async resize(id: ProcessId, columns: number, rows: number): Promise<void> {
    await this.request(FrameType.resize, encodeResize(id, columns, rows));
  }

  async holdOutput(id: ProcessId, held: boolean): Promise<void> {
    await this.request(FrameType.flow, encodeProcess(id), { flags: held ? FLAG_HOLD : 0 });
  }

  /** Answers whether the agent still does. Not a part of the sandbox's life: nothing in the guest notices. */
  async ping(): Promise<void> {
    await this.request(FrameType.ping, Buffer.alloc(0));
  }

  /** The content must not change before this resolves: it is sent from where it lies. */
  async writeFile(file: GuestFileSpec): Promise<void> {
    const head = encodeWriteFile(file);
    const timeoutMs = this.options.timeoutMs + Math.ceil(file.content.length / FILE_BYTES_PER_MS);
    const { id, answer } = this.open({ timeoutMs });
    let offset = Math.min(file.content.length, MAX_PAYLOAD_BYTES - head.length, FILE_PIECE_BYTES);
    this.socket.cork();
    this.send(FrameType.writeFile, id, [head, file.content.subarray(0, offset)], offset < file.content.length);
    while (offset < file.content.length) {
      const piece = file.content.subarray(offset, offset + FILE_PIECE_BYTES);
      offset += piece.length;
      this.send(FrameType.writeData, id, [piece], offset < file.content.length);
    }
    this.socket.uncork();
    await answer;
  }

  async readFile(path: string, maxBytes: number): Promise<Buffer> {
    const timeoutMs = this.options.timeoutMs + Math.ceil(Math.min(maxBytes, Number.MAX_SAFE_INTEGER) / FILE_BYTES_PER_MS);
    const { chunks } = await this.request(FrameType.readFile, encodeReadFile(path, maxBytes), { timeoutMs: Math.min(timeoutMs, 2 ** 31 - 1), maxBytes });
    return Buffer.concat(chunks);
  }

  get highestId(): ProcessId {
    return this.highest;
  }

  close(): void {
    this.end(undefined);
  }

  private open(bounds: { timeoutMs?: number | undefined; maxBytes?: number }): { id: number; answer: Promise<Answer> } {
    if (this.over) throw new CodedError('unavailable', 'the connection to the guest agent is closed');
    const timeoutMs = 'timeoutMs' in bounds ? bounds.timeoutMs : this.options.timeoutMs;
    const opened = this.requests.open({ timeoutMs, maxBytes: bounds.maxBytes ?? 0 });
    this.regulate();
    return opened;
  }

  private async request(type: number, payload: Buffer, bounds: { timeoutMs?: number | undefined; maxBytes?: number; flags?: number } = {}): Promise<Answer> {
    if (payload.length > MAX_PAYLOAD_BYTES) throw new CodedError('invalid_argument', `a request of ${payload.length} bytes is larger than a frame`);
    const { id, answer } = this.open(bounds);
    this.gather();
    this.socket.write(encodeFrame(type, { id, flags: bounds.flags ?? 0 }, payload));
    return answer;
  }

  /** What is asked in one turn leaves together: each call of the kernel wakes the agent. */
  private gather(): void {
    if (this.gathering) return;
    this.gathering = true;
    this.socket.cork();
    process.nextTick(() => {
      this.gathering = false;
      this.socket.uncork();
    });
  }

  private send(type: number, id: number, parts: readonly Uint8Array[], more: boolean): void {
    const length = parts.reduce((sum, part) => sum + part.length, 0);
    this.socket.write(encodeHeader(type, { id, flags: more ? FLAG_MORE : 0 }, length));
    for (const part of parts) if (part.length > 0) this.socket.write(part);
  }

  /** Stdin is a stream: one write of a process after the other, whoever calls. */
  private async inTurn<T>(id: ProcessId, work: () => Promise<T>): Promise<T> {
    const turn = (this.stdinTurns.get(id) ?? Promise.resolve()).then(work, work);
    this.stdinTurns.set(id, turn);
    try {
      return await turn;
    } finally {
      if (this.stdinTurns.get(id) === turn) this.stdinTurns.delete(id);
    }
  }

  /** What was handled may have ended it. */
  private isOver(): boolean {
    return this.over;
  }

  /** What the socket has read. The bytes are not to change any more. */
  receive(bytes: Buffer): void {
    try {
      for (const frame of this.decoder.push(bytes)) {
        this.handle(decodeMessage(frame));
        if (this.isOver()) return;
      }
      this.regulate();
    } catch (error) {
      this.end(asError(error));
    }
    this.garbage.passed(bytes.length);
  }

  private handle(message: AgentMessage): void {
    if (message.type === 'bye') {
      this.part(message);
      return;
    }
    if (this.welcomed === (message.type === 'welcome')) throw protocolViolation(this.welcomed ? 'a second greeting' : 'no greeting first');
    switch (message.type) {
      case 'welcome':
        this.acceptWelcome(message.welcome);
        break;
      case 'reply':
        this.requests.settle(message.id, message.reply);
        break;
      case 'fileData':
        this.requests.receive(message.id, message.data);
        break;
      case 'event':
        this.acceptEvent(message.event);
        break;
    }
  }

  private acceptWelcome(welcome: Welcome): void {
    if (welcome.version !== PROTOCOL_VERSION) throw new CodedError('unsupported', `the guest agent speaks version ${welcome.version}`);
    if (welcome.oldest < 1 || welcome.next < welcome.oldest || welcome.highestId > MAX_PROCESS_ID) throw protocolViolation('it greets with impossible numbers');
    const after = this.options.after === 'kept' ? welcome.oldest - 1 : this.options.after;
    if (welcome.next <= after) throw protocolViolation('it lost events that were numbered');
    if (welcome.oldest > after + 1) throw new CodedError('failed_precondition', `events after ${after} were acknowledged before`, { oldest: welcome.oldest });
    this.welcomed = true;
    this.highest = welcome.highestId;
    this.lastSeq = this.acknowledged = after;
    this.greeting.resolve(welcome);
  }

  private acceptEvent(event: AgentEvent): void {
    if (event.seq !== this.lastSeq + 1) throw protocolViolation(`event ${event.seq} behind event ${this.lastSeq}`);
    this.lastSeq = event.seq;
    this.queue.push(event);
    if (this.queue.queuedBytes > MAX_QUEUED_BYTES) throw protocolViolation('more unacknowledged output than it may keep');
  }

  private part(bye: Extract<AgentMessage, { type: 'bye' }>): void {
    if (bye.reason === 'taken_over') this.end(undefined);
    else this.end(new CodedError(bye.reason === 'version' ? 'unsupported' : 'protocol_violation', `guest agent: ${bye.message}`));
  }

  private regulate(): void {
    if (this.over) return;
    const wanted = this.queue.queuedBytes < PAUSE_BYTES || this.requests.size > 0;
    if (wanted && this.socket.isPaused()) this.socket.resume();
    else if (!wanted && !this.socket.isPaused()) this.socket.pause();
  }

  private end(error: Error | undefined): void {
    if (this.over) return;
    this.over = true;
    this.socket.destroy();
    const reason = error ?? new CodedError('unavailable', 'the connection to the guest agent is closed');
    this.greeting.reject(reason);
    this.requests.rejectAll(reason);
    this.queue.end();
    this.settleClosed(error);
  }
}
