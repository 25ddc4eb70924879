import { systemClock, type Clock, type TenantId } from '#kernel';
import type { HostEvent, HostEvents } from '../events.js';
import { Follower } from './follower.js';

const KEPT = 256;

interface TenantEvents {
  /** Oldest first. */
  readonly kept: HostEvent[];
  /** The newest that is not kept any more. */
  droppedNs: bigint;
  readonly followers: Set<Follower>;
}

/** In this process's memory: a restart forgets the past, as Docker's own daemon does. */
export class MemoryHostEvents implements HostEvents {
  readonly #tenants = new Map<TenantId, TenantEvents>();
  readonly #clock: Clock;
  /** What happened before this process began is not known. */
  readonly #beginNs: bigint;
  #lastNs: bigint;

  constructor({ clock = systemClock }: { readonly clock?: Clock } = {}) {
    this.#clock = clock;
    this.#beginNs = BigInt(Math.floor(clock.now())) * 1_000_000n - 1n;
    this.#lastNs = this.#beginNs;
  }

  publish(tenantId: TenantId, event: Omit<HostEvent, 'timeNs'>): void {
    const nowNs = BigInt(Math.floor(this.#clock.now())) * 1_000_000n;
    this.#lastNs = nowNs > this.#lastNs ? nowNs : this.#lastNs + 1n;
    const dated: HostEvent = { ...event, attributes: { ...event.attributes }, timeNs: this.#lastNs };
    const tenant = this.#of(tenantId);
    const { kept, followers } = tenant;
    kept.push(dated);
    if (kept.length > KEPT) tenant.droppedNs = kept.shift()?.timeNs ?? tenant.droppedNs;
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

  position(tenantId: TenantId): bigint {
    const tenant = this.#tenants.get(tenantId);
    return tenant?.kept.at(-1)?.timeNs ?? tenant?.droppedNs ?? this.#beginNs;
  }

  covers(tenantId: TenantId, sinceNs: bigint): boolean {
    return sinceNs >= (this.#tenants.get(tenantId)?.droppedNs ?? this.#beginNs);
  }

  forget(tenantId: TenantId): void {
    const events = this.#tenants.get(tenantId);
    this.#tenants.delete(tenantId);
    for (const follower of [...(events?.followers ?? [])]) follower.end();
  }

  #of(tenantId: TenantId): TenantEvents {
    let events = this.#tenants.get(tenantId);
    if (events === undefined) {
      events = { kept: [], droppedNs: this.#beginNs, followers: new Set() };
      this.#tenants.set(tenantId, events);
    }
    return events;
  }
}
