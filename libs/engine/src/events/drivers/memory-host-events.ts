import { systemClock, type Clock, type TenantId } from '#kernel';
import type { HostEvent, HostEvents } from '../events.js';
import { Follower } from './follower.js';

const KEPT = 256;

interface TenantEvents {
  /** Oldest first. */
  readonly kept: HostEvent[];
  readonly followers: Set<Follower>;
}

/** In this process's memory: a restart forgets the past, as Docker's own daemon does. */
export class MemoryHostEvents implements HostEvents {
  readonly #tenants = new Map<TenantId, TenantEvents>();
  readonly #clock: Clock;
  #lastNs = 0n;

  constructor({ clock = systemClock }: { readonly clock?: Clock } = {}) {
    this.#clock = clock;
  }

  publish(tenantId: TenantId, event: Omit<HostEvent, 'timeNs'>): void {
    const nowNs = BigInt(Math.floor(this.#clock.now())) * 1_000_000n;
    this.#lastNs = nowNs > this.#lastNs ? nowNs : this.#lastNs + 1n;
    const dated: HostEvent = { ...event, attributes: { ...event.attributes }, timeNs: this.#lastNs };
    const { kept, followers } = this.#of(tenantId);
    kept.push(dated);
    if (kept.length > KEPT) kept.shift();
    for (const follower of [...followers]) follower.push(dated);
  }

  /** Live from this call on, whenever the reading begins. */
  follow(tenantId: TenantId, sinceNs: bigint | undefined, signal: AbortSignal): AsyncIterable<HostEvent> {
    const { kept, followers } = this.#of(tenantId);
    const past = sinceNs === undefined ? [] : kept.filter(({ timeNs }) => timeNs > sinceNs);
    const stop = (): void => {
      follower.end();
    };
    const follower = new Follower(past, (ended) => {
      followers.delete(ended);
      signal.removeEventListener('abort', stop);
    });
    followers.add(follower);
    if (signal.aborted) stop();
    else signal.addEventListener('abort', stop, { once: true });
    return follower;
  }

  forget(tenantId: TenantId): void {
    const events = this.#tenants.get(tenantId);
    this.#tenants.delete(tenantId);
    for (const follower of [...(events?.followers ?? [])]) follower.end();
  }

  #of(tenantId: TenantId): TenantEvents {
    let events = this.#tenants.get(tenantId);
    if (events === undefined) {
      events = { kept: [], followers: new Set() };
      this.#tenants.set(tenantId, events);
    }
    return events;
  }
}
