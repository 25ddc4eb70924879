import { Inject, Injectable } from '@nestjs/common';
import type { EventFrame, HostEventView } from '#contracts';
import type { Clock } from '#kernel';
import type { TenantCaller } from '../auth/caller.js';
import type { TenantHosts } from '../nodes/tenant-host.js';
import { CLOCK, TENANT_HOSTS } from '../platform/platform.js';
import { acceptsFrame, toEventFrame } from './event-frames.js';
import type { EventsQuery } from './event-requests.schema.js';

const HEARTBEAT_MS = 15_000;

/** What happens on a tenant's virtual host, as frames, with heartbeats between. */
@Injectable()
export class HostEventReader {
  constructor(
    @Inject(TENANT_HOSTS) private readonly hosts: TenantHosts,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * Resolves when the node follows: nothing that happens from then on is missed. The frames end with the signal, or when the node ends them.
   * @throws CodedError `gone` (events after `after` are not kept any more), `unavailable`
   */
  async open({ tenant }: TenantCaller, { after, ...filters }: EventsQuery, signal: AbortSignal): Promise<AsyncIterable<EventFrame>> {
    const { position, events } = await this.hosts.of(tenant).resumeEvents(after, signal);
    return this.frames(position, events, filters, signal);
  }

  private async *frames(position: string, events: AsyncIterable<HostEventView>, filters: Omit<EventsQuery, 'after'>, signal: AbortSignal): AsyncGenerator<EventFrame> {
    const heartbeat = (id: string): EventFrame => ({ frame: 'heartbeat', id, time: new Date(this.clock.now()).toISOString() });
    let last = position;
    yield heartbeat(last);
    const iterator = events[Symbol.asyncIterator]();
    try {
      let next = iterator.next();
      for (;;) {
        // Whoever stops reading leaves a promise that nobody awaits.
        next.catch(() => undefined);
        const step = await within(HEARTBEAT_MS, next);
        if (step === undefined) {
          yield heartbeat(last);
          continue;
        }
        if (step.done === true) return;
        next = iterator.next();
        last = step.value.timeNs;
        const frame = toEventFrame(step.value);
        if (acceptsFrame(filters, frame)) yield frame;
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    } finally {
      void iterator.return?.().catch(() => undefined);
    }
  }
}

/** Undefined when it takes longer. */
async function within<T>(ms: number, work: Promise<T>): Promise<T | undefined> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<undefined>((resolve) => {
    timer = setTimeout(resolve, ms, undefined);
  });
  try {
    return await Promise.race([work, late]);
  } finally {
    clearTimeout(timer);
  }
}
