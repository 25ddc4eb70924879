import { CodedError, type TenantId } from '#kernel';

/** Builds of one tenant that may wait here; those that are jobs wait in their queue. */
const MAX_WAITING = 32;

interface Places {
  taken: number;
  readonly waiting: (() => void)[];
}

/** Keeps each tenant to its number of builds at a time, however they came: as jobs, or over Docker's API. */
export class BuildPlaces {
  private readonly tenants = new Map<TenantId, Places>();

  /** Whether one more may begin at once. */
  free(tenantId: TenantId, share: number): boolean {
    return (this.tenants.get(tenantId)?.taken ?? 0) < share;
  }

  /** To be called when it is over; undefined: there is no place just now. */
  take(tenantId: TenantId, share: number): (() => void) | undefined {
    if (!this.free(tenantId, share)) return undefined;
    const places = this.of(tenantId);
    places.taken += 1;
    return () => { this.leave(tenantId, places); };
  }

  /** As `take`, when there is one, in the order in which they came. @throws CodedError `resource_exhausted` (too many wait), `cancelled` */
  async wait(tenantId: TenantId, share: number, signal: AbortSignal): Promise<() => void> {
    const places = this.of(tenantId);
    if (places.taken < share) places.taken += 1;
    else await turn(places, signal);
    return () => { this.leave(tenantId, places); };
  }

  private of(tenantId: TenantId): Places {
    const places = this.tenants.get(tenantId) ?? { taken: 0, waiting: [] };
    this.tenants.set(tenantId, places);
    return places;
  }

  private leave(tenantId: TenantId, places: Places): void {
    const next = places.waiting.shift();
    // The place goes from hand to hand.
    if (next !== undefined) next();
    else if ((places.taken -= 1) === 0) this.tenants.delete(tenantId);
  }
}

function turn({ waiting }: Places, signal: AbortSignal): Promise<void> {
  if (waiting.length >= MAX_WAITING) throw new CodedError('resource_exhausted', `more than ${MAX_WAITING} builds of the tenant wait`);
  return new Promise((resolve, reject) => {
    const leave = (): void => {
      waiting.splice(waiting.indexOf(begin), 1);
      reject(new CodedError('cancelled', 'the build was cancelled'));
    };
    const begin = (): void => {
      signal.removeEventListener('abort', leave);
      resolve();
    };
    waiting.push(begin);
    if (signal.aborted) leave();
    else signal.addEventListener('abort', leave, { once: true });
  });
}
