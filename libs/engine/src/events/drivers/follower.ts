import { CodedError } from '#kernel';
import type { HostEvent } from '../events.js';

/** Beyond what one reply to a burst takes (a prune of some hundred volumes), an unread event would only cost memory. */
const MOST_UNREAD = 1024;

/** One reader: what it has not read yet, bounded. Not for two `next` at once by the iteration protocol, yet safe. */
export class Follower implements AsyncIterableIterator<HostEvent> {
  readonly #unread: HostEvent[];
  readonly #waiting: PromiseWithResolvers<IteratorResult<HostEvent>>[] = [];
  #fault: CodedError | undefined;
  #ended = false;

  constructor(
    past: readonly HostEvent[],
    private readonly onEnd: (follower: Follower) => void,
  ) {
    this.#unread = [...past];
  }

  push(event: HostEvent): void {
    if (this.#ended) return;
    const reader = this.#waiting.shift();
    if (reader !== undefined) reader.resolve({ value: event, done: false });
    else if (this.#unread.length < MOST_UNREAD) this.#unread.push(event);
    else {
      this.#unread.length = 0;
      this.#fault = new CodedError('resource_exhausted', 'events came faster than they were read', { mostUnread: MOST_UNREAD });
      this.end();
    }
  }

  /** What is unread can still be read. Idempotent. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.onEnd(this);
    for (const reader of this.#waiting.splice(0)) reader.resolve({ value: undefined, done: true });
  }

  next(): Promise<IteratorResult<HostEvent>> {
    const event = this.#unread.shift();
    if (event !== undefined) return Promise.resolve({ value: event, done: false });
    if (this.#fault !== undefined) {
      const fault = this.#fault;
      this.#fault = undefined;
      return Promise.reject(fault);
    }
    if (this.#ended) return Promise.resolve({ value: undefined, done: true });
    const reader = Promise.withResolvers<IteratorResult<HostEvent>>();
    this.#waiting.push(reader);
    return reader.promise;
  }

  return(): Promise<IteratorResult<HostEvent>> {
    this.#unread.length = 0;
    this.end();
    return Promise.resolve({ value: undefined, done: true });
  }

  [Symbol.asyncIterator](): this {
    return this;
  }
}
