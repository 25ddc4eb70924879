import { CodedError } from '#kernel';
import type { AgentEvent } from './agent.js';

/** What an event costs beside its data. Less than the agent's own count, so that an honest agent never exceeds the bound here. */
const EVENT_BYTES = 64;

/** Events between the socket and their one consumer. */
export class EventQueue {
  private readonly waiting: AgentEvent[] = [];
  private head = 0;
  private bytes = 0;
  private ended = false;
  private consumed = false;
  private wake: (() => void) | undefined;

  /** @param onTaken called after an event went to the consumer */
  constructor(private readonly onTaken: () => void) {}

  get queuedBytes(): number {
    return this.bytes;
  }

  push(event: AgentEvent): void {
    this.waiting.push(event);
    this.bytes += sizeOf(event);
    this.wake?.();
  }

  /** What is queued is still delivered. */
  end(): void {
    this.ended = true;
    this.wake?.();
  }

  /** @throws CodedError `failed_precondition` on a second call: an event goes to one consumer */
  consume(): AsyncIterable<AgentEvent> {
    if (this.consumed) throw new CodedError('failed_precondition', 'the events already have a consumer');
    this.consumed = true;
    return this.iterate();
  }

  private async *iterate(): AsyncGenerator<AgentEvent> {
    for (;;) {
      const event = this.take();
      if (event !== undefined) yield event;
      else if (this.ended) return;
      else await this.arrival();
    }
  }

  private async arrival(): Promise<void> {
    await new Promise<void>((resolve) => {
      this.wake = resolve;
    });
    this.wake = undefined;
  }

  private take(): AgentEvent | undefined {
    const event = this.waiting[this.head];
    if (event === undefined) return undefined;
    this.head += 1;
    if (this.head === this.waiting.length) {
      this.waiting.length = 0;
      this.head = 0;
    } else if (this.head >= 1024) {
      this.waiting.splice(0, this.head);
      this.head = 0;
    }
    this.bytes -= sizeOf(event);
    this.onTaken();
    return event;
  }
}

function sizeOf(event: AgentEvent): number {
  return EVENT_BYTES + (event.type === 'output' ? event.data.length : 0);
}
