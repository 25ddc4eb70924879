import type { ContainerRecord } from './container-record.js';
import { sharedContainer } from './network-mode.js';

interface Revived {
  readonly record: ContainerRecord;
  /** Starts it when its policy wants that. Never fails. */
  revive(): Promise<void>;
}

/** Each after those that it cannot start without: whom it is linked to, and whose network it shares. In a circle somebody begins. */
export function reviveInOrder(containers: readonly Revived[]): void {
  const byId = new Map(containers.map((container) => [container.record.id, container]));
  const begun = new Map<string, Promise<void>>();
  const revived = (container: Revived): Promise<void> => {
    const { id, network } = container.record;
    const known = begun.get(id);
    if (known !== undefined) return known;
    const { promise, resolve } = Promise.withResolvers<undefined>();
    begun.set(id, promise);
    const needed = [...network.links.map(({ containerId }) => containerId), sharedContainer(network) ?? ''].flatMap((other) => byId.get(other) ?? []);
    const waits = needed.filter((other) => !leadsTo(other, id, byId)).map(revived);
    void Promise.all(waits).then(() => container.revive()).then(() => { resolve(undefined); });
    return promise;
  };
  for (const container of containers) void revived(container);
}

function leadsTo(from: Revived, id: string, byId: ReadonlyMap<string, Revived>, seen = new Set<string>()): boolean {
  if (from.record.id === id) return true;
  if (seen.has(from.record.id)) return false;
  seen.add(from.record.id);
  const { network } = from.record;
  return [...network.links.map(({ containerId }) => containerId), sharedContainer(network) ?? ''].some((next) => {
    const other = byId.get(next);
    return other !== undefined && leadsTo(other, id, byId, seen);
  });
}
