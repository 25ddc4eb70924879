import { CodedError } from '#kernel';
import { protocolViolation } from './frames.js';
import type { Reply } from './messages.js';

export interface Answer {
  /** Of the file that was asked for. */
  readonly chunks: Buffer[];
  readonly value: number;
}

interface PendingRequest {
  readonly resolve: (answer: Answer) => void;
  readonly reject: (error: Error) => void;
  readonly timer: NodeJS.Timeout | undefined;
  /** How many bytes of file data the answer may bring. */
  readonly maxBytes: number;
  readonly chunks: Buffer[];
  receivedBytes: number;
}

export interface RequestBounds {
  /** undefined: as long as the connection lasts. */
  readonly timeoutMs: number | undefined;
  readonly maxBytes: number;
}

/** Late answers to requests that were given up are expected; so many of them are not. */
const MAX_GIVEN_UP = 1024;
const MAX_ID = 0xffff_ffff;

/** Requests that wait for the agent's answer. */
export class PendingRequests {
  private readonly pending = new Map<number, PendingRequest>();
  private readonly givenUp = new Map<number, number>();
  private lastId = 0;

  get size(): number {
    return this.pending.size;
  }

  /** The id to send, and the answer's pieces once it is complete. */
  open(bounds: RequestBounds): { id: number; answer: Promise<Answer> } {
    if (this.givenUp.size >= MAX_GIVEN_UP) throw new CodedError('unavailable', 'the guest agent no longer answers');
    const id = this.nextId();
    const { promise, resolve, reject } = Promise.withResolvers<Answer>();
    const { timeoutMs, maxBytes } = bounds;
    const timer = timeoutMs === undefined ? undefined : setTimeout(() => { this.giveUp(id, timeoutMs); }, timeoutMs);
    this.pending.set(id, { resolve, reject, timer, maxBytes, chunks: [], receivedBytes: 0 });
    return { id, answer: promise };
  }

  /** @throws CodedError `protocol_violation` for an answer to nothing */
  settle(id: number, reply: Reply): void {
    const request = this.pending.get(id);
    if (request === undefined) {
      if (this.givenUp.delete(id)) return;
      throw protocolViolation('an answer to no request');
    }
    this.pending.delete(id);
    clearTimeout(request.timer);
    if (reply.code === undefined) request.resolve({ chunks: request.chunks, value: reply.value });
    else request.reject(new CodedError(reply.code, reply.message));
  }

  /** @throws CodedError `protocol_violation` for data that nobody asked for */
  receive(id: number, data: Buffer): void {
    const request = this.pending.get(id);
    if (request === undefined) {
      const left = this.givenUp.get(id);
      if (left === undefined || left < data.length) throw protocolViolation('file data for no request');
      this.givenUp.set(id, left - data.length);
      return;
    }
    request.receivedBytes += data.length;
    if (request.receivedBytes > request.maxBytes) throw protocolViolation('more file data than was asked for');
    request.chunks.push(data);
  }

  rejectAll(error: Error): void {
    for (const request of this.pending.values()) {
      clearTimeout(request.timer);
      request.reject(error);
    }
    this.pending.clear();
  }

  private giveUp(id: number, timeoutMs: number): void {
    const request = this.pending.get(id);
    if (request === undefined) return;
    this.pending.delete(id);
    this.givenUp.set(id, request.maxBytes - request.receivedBytes);
    request.reject(new CodedError('deadline_exceeded', `the guest agent did not answer within ${timeoutMs} ms`));
  }

  private nextId(): number {
    do this.lastId = this.lastId >= MAX_ID ? 1 : this.lastId + 1;
    while (this.pending.has(this.lastId) || this.givenUp.has(this.lastId));
    return this.lastId;
  }
}
