import type { CachePruneBody } from '#contracts';
import type { CachePruning, CacheRecord } from '#engine';

/** What a request says, as the engine takes it. */
export function cachePruning({ keepBytes, ...filter }: CachePruneBody): CachePruning {
  const said = Object.values(filter).some((value) => value !== undefined);
  return { ...(keepBytes === undefined ? {} : { keepBytes }), ...(said ? { accepts: (record) => accepts(filter, record) } : {}) };
}

function accepts({ untilMs, ids, parents, kinds, descriptions, inUse, shared }: CachePruneBody, record: CacheRecord): boolean {
  const begins = (wanted: readonly string[] | undefined, value: string): boolean => wanted?.some((each) => value.startsWith(each)) ?? true;
  return (
    (untilMs === undefined || record.lastUsedAt < untilMs) &&
    begins(ids, record.id) &&
    begins(parents, record.parent ?? '') &&
    (kinds?.includes(record.kind) ?? true) &&
    (descriptions?.some((each) => record.description.includes(each)) ?? true) &&
    (inUse ?? record.inUse) === record.inUse &&
    (shared ?? record.shared) === record.shared
  );
}
