import { setTimeout as sleep } from 'node:timers/promises';
import { asError, type Logger } from '#kernel';
import type { AgentEvent } from '../../runtime/index.js';
import { endOf, type EventSource, type ProcessEnd, type ProcessSink } from './process-sink.js';
import { ChannelFlow, PATIENCE_MS } from './channel-flow.js';
import { ChannelReader, type ReadChannel, type ReaderOptions } from './channel-reader.js';
import type { ContainerLog, LogPosition } from './container-log.js';
import { FrameWindow, type HeldFrame } from './frame-window.js';
import { isEnd, isOutput, type FrameHead } from './log-frames.js';

/** Output that waits to be written. Beyond it the agent, hence the guest, waits. */
const MAX_PENDING_BYTES = 1024 * 1024;
/** Of one call of the kernel. */
const BATCH_FRAMES = 512;
const RETRY_MS = 500;
const NOTHING = Buffer.alloc(0);

export interface ChannelOptions {
  readonly logger: Logger;
  /** False: output is written only while somebody reads it, who may fall behind. */
  readonly keepsOutput: boolean;
  readonly patienceMs?: number;
}

/**
 * What one process has put out and how it ended: on its way from the agent to the log, and to those who look on. They read from memory what has just come and
 * from the log's files what they have missed. Frames are counted by an index that lives as long as this object.
 */
export class ProcessChannel implements ProcessSink, ReadChannel {
  private readonly window = new FrameWindow();
  private newest: FrameHead | undefined;
  private newestStarted: FrameHead | undefined;
  private readonly readers = new Set<ChannelReader>();
  private source: EventSource | undefined;
  private writing: Promise<void> | undefined;
  private readonly flow: ChannelFlow;
  private over = false;

  constructor(
    readonly log: ContainerLog,
    private readonly options: ChannelOptions,
  ) {
    this.newest = log.last;
    this.newestStarted = log.lastStarted;
    this.flow = new ChannelFlow(this.readers, options.patienceMs ?? PATIENCE_MS, (held) => { this.source?.hold(held); });
  }

  /** The newest frame that has come, written or not. */
  get last(): FrameHead | undefined {
    return this.newest;
  }

  /** How the process of that start ended; undefined: it has not yet. */
  endOf(start: number): FrameHead | undefined {
    return this.newest !== undefined && this.newest.start === start && isEnd(this.newest) ? this.newest : undefined;
  }

  /** When it was started, and as which pid; undefined: not yet, or that is no longer known. */
  startedOf(start: number): FrameHead | undefined {
    return this.newestStarted?.start === start ? this.newestStarted : undefined;
  }

  /** The end of that start as far as it is written. */
  writtenEndOf(start: number): FrameHead | undefined {
    const { last } = this.log;
    return last !== undefined && last.start === start && isEnd(last) ? last : undefined;
  }

  /** The agent's number of the first event that is not in the log; undefined: there is none. */
  get oldestPending(): number | undefined {
    return this.window.oldestPending?.head.seq;
  }

  get crowded(): boolean {
    return this.window.pendingBytes >= MAX_PENDING_BYTES;
  }

  get end(): number {
    return this.window.end;
  }

  get totalBytes(): number {
    return this.window.totalBytes;
  }

  get heldBytes(): { readonly all: number; readonly pending: number } {
    return { all: this.window.heldBytes, pending: this.window.pendingBytes };
  }

  get firstNumber(): number | undefined {
    return this.window.firstNumber;
  }

  /** From now on events come from there. What still waits to be written is tried again, what is held back is held again. */
  connect(source: EventSource): void {
    this.source = source;
    if (this.flow.held) source.hold(true);
    this.startWriting();
  }

  /** An event of the process in that start. What has come before is passed over: the agent sends again what was not acknowledged. */
  take(event: AgentEvent, start: number): void {
    const { newest } = this;
    if (this.over || (newest !== undefined && newest.start === start && newest.seq >= event.seq)) return;
    const payload = event.type === 'output' ? event.data : NOTHING;
    this.push({ ...meaningOf(event), start, timeUs: event.timeUs, seq: event.seq, length: payload.length, number: (newest?.number ?? 0) + (event.type === 'output' ? 1 : 0) }, payload);
  }

  /** The process has ended without the agent's word. Idempotent. */
  conclude(start: number, end: ProcessEnd): void {
    if (this.over || this.endOf(start) !== undefined) return;
    const seq = this.newest?.start === start ? this.newest.seq : 0;
    this.push({ ...end, start, seq, length: 0, number: this.newest?.number ?? 0 }, NOTHING);
  }

  /** Resolves when there is nothing left to write, or when it cannot be written and nobody waits for it. */
  async settled(): Promise<void> {
    await this.writing;
  }

  read(options: ReaderOptions): ChannelReader {
    const reader = new ChannelReader(this, options);
    if (!this.over) this.readers.add(reader);
    else reader.close();
    return reader;
  }

  /** No more will come: who looks on is at the end. */
  async close(): Promise<void> {
    this.over = true;
    this.flow.close();
    for (const reader of [...this.readers]) reader.finish();
    await this.writing;
  }

  /** The start that readers waited for has failed: they are at the end. */
  disappoint(): void {
    for (const reader of [...this.readers]) reader.finish();
  }

  frameAt(index: number): HeldFrame | undefined {
    return this.window.at(index);
  }

  get windowStart(): { readonly index: number; readonly at: LogPosition } {
    return { index: this.window.start, at: this.window.oldest?.at ?? this.log.end };
  }

  progressed(): void {
    this.trim();
    this.flow.regulate();
  }

  forget(reader: ChannelReader): void {
    if (!this.readers.delete(reader)) return;
    this.progressed();
  }

  private push(head: FrameHead, payload: Buffer): void {
    this.newest = head;
    if (head.type === 'started') this.newestStarted = head;
    this.window.push({ head, payload, at: undefined, kept: this.options.keepsOutput || !isOutput(head) || this.isWatched() });
    for (const reader of this.readers) reader.wake();
    this.startWriting();
    this.flow.regulate();
  }

  private isWatched(): boolean {
    for (const { wantsOutput } of this.readers) if (wantsOutput) return true;
    return false;
  }

  private startWriting(): void {
    this.writing ??= this.write();
  }

  private async write(): Promise<void> {
    // What comes in the same turn is written together.
    await Promise.resolve();
    try {
      for (let told = false; this.window.oldestPending !== undefined; ) {
        const failure = await this.writeSome();
        if (failure === undefined) continue;
        // As long as the node's disk is full the process waits.
        if (!told) this.options.logger.error({ err: failure }, 'containers: the log of a process cannot be written; it waits');
        told = true;
        await sleep(RETRY_MS);
        if (this.over || this.source?.alive() !== true) return;
      }
    } finally {
      // In the same step as the look at what is left: what comes from now on begins anew.
      this.writing = undefined;
    }
  }

  /** At least the first of what waits. @returns why it could not */
  private async writeSome(): Promise<Error | undefined> {
    const batch = this.window.pending(BATCH_FRAMES);
    const passedOver = batch.findIndex(({ kept }) => !kept);
    try {
      this.window.wrote(passedOver === 0 ? [this.log.end] : await this.log.append(passedOver < 0 ? batch : batch.slice(0, passedOver)));
    } catch (error) {
      return asError(error);
    }
    this.trim();
    this.source?.written();
    return undefined;
  }

  private trim(): void {
    const { window, readers } = this;
    let needed = window.end;
    for (const { index } of readers) needed = Math.min(needed, index);
    window.trim(needed, (index, { at }) => {
      for (const reader of readers) if (reader.index === index) reader.fallBack(at ?? this.log.end);
    });
  }
}

function meaningOf(event: AgentEvent): Pick<FrameHead, 'type' | 'value'> {
  switch (event.type) {
    case 'started':
      return { type: 'started', value: event.pid };
    case 'output':
      return { type: event.stream, value: 0 };
    case 'exit':
      return endOf(event.exit);
  }
}
