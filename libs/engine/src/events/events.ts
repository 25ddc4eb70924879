import type { TenantId } from '#kernel';

/** What happened on the tenants' virtual hosts: the newest 256 of each are kept, then it is live. Images, volumes and containers publish here. */
export interface HostEvents {
  publish(tenantId: TenantId, event: Omit<HostEvent, 'timeNs'>): void;
  /**
   * Those after `sinceNs` that are kept (undefined: none of the past), then what comes, until `signal`. A reader that is too slow is ended with
   * `resource_exhausted`.
   */
  follow(tenantId: TenantId, sinceNs: bigint | undefined, signal: AbortSignal): AsyncIterable<HostEvent>;
  /** The newest event of a tenant; without one, when these records begin. Who follows from here on misses nothing. */
  position(tenantId: TenantId): bigint;
  /** Whether everything after that moment is still kept. Says so of this instant: to be followed at once. */
  covers(tenantId: TenantId, sinceNs: bigint): boolean;
  forget(tenantId: TenantId): void;
}

/** Actions are Docker's: image `pull tag untag delete import load push save`, volume `create destroy prune`, container `create start die kill stop destroy commit export rename pause unpause` … */
export interface HostEvent {
  /** Since 1970; rises from event to event. */
  readonly timeNs: bigint;
  readonly type: 'container' | 'image' | 'volume' | 'network' | 'builder';
  readonly action: string;
  readonly id: string;
  readonly attributes: Readonly<Record<string, string>>;
}
