import { CodedError, type TenantId } from '#kernel';

/** Builds of one tenant at the same time; more wait, in the order in which they came. */
const AT_ONCE = 2;
/** Builds of one tenant that may wait. */
const MAX_WAITING = 32;

interface Places {
  taken: number;
  readonly waiting: (() => void)[];
}

/** Keeps each tenant to its number of builds at a time. */
export class BuildPlaces {
  private readonly tenants = new Map<TenantId, Places>();

  /** @throws CodedError `resource_exhausted` (too many wait), `cancelled` */
  async within<T>(tenantId: TenantId, signal: AbortSignal, work: () => Promise<T>): Promise<T> {
    const places = this.tenants.get(tenantId) ?? { taken: 0, waiting: [] };
    this.tenants.set(tenantId, places);
    if (places.taken < AT_ONCE) places.taken += 1;
    else await this.turn(places, signal);
    try {
      return await work();
    } finally {
      const next = places.waiting.shift();
      // The place goes from hand to hand.
      if (next !== undefined) next();
      else if ((places.taken -= 1) === 0) this.tenants.delete(tenantId);
    }
  }

  private turn({ waiting }: Places, signal: AbortSignal): Promise<void> {
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
}
