import type { CachePruneBody, CacheRecordView } from '#contracts';
import { badParameter } from './errors.js';
import { DockerFilters } from './filters.js';
import type { DockerQuery } from './query.js';

/** `docker system prune` hands its labels on: nothing here has any. */
const FILTERS = ['label', 'label!', 'until', 'id', 'parent', 'type', 'description', 'inuse', 'shared', 'private'];
/** BuildKit's names for what is kept. */
const TYPES = { step: 'regular', mount: 'exec.cachemount' } as const;
/** Of space that is reserved, at most used or to be left free: of which a node knows the first two, and they are one. */
const KEEPING = ['keep-storage', 'reserved-space', 'max-used-space'];

export function toBuildCache({ id, kind, parent, description, sizeBytes, createdAt, lastUsedAt, uses, inUse, shared }: CacheRecordView): object {
  return {
    ID: id.slice(0, 25),
    Parents: parent === undefined ? [] : [parent.slice(0, 25)],
    Type: TYPES[kind],
    Description: description,
    InUse: inUse,
    Shared: shared,
    Size: sizeBytes,
    CreatedAt: new Date(createdAt).toISOString(),
    LastUsedAt: new Date(lastUsedAt).toISOString(),
    UsageCount: uses,
  };
}

/** The query of `POST /build/prune`. @throws CodedError `invalid_argument`, `unsupported` */
export function cachePruneOf(query: DockerQuery, now: number): CachePruneBody {
  const filters = DockerFilters.parse(query.text('filters'), FILTERS);
  const listed = (name: string): string[] | undefined => (filters.has(name) ? [...filters.get(name)] : undefined);
  const untilMs = filters.until(now);
  const [keepBytes] = KEEPING.map((name) => query.integer(name)).filter((bytes) => bytes !== undefined && bytes > 0);
  if ((query.integer('min-free-space') ?? 0) > 0) throw badParameter('min-free-space: a part of the cache is kept by its own size alone (max-used-space)');
  const shared = filters.has('private') ? !filters.flag('private', true) : filters.has('shared') ? filters.flag('shared', true) : undefined;
  return { untilMs, ids: listed('id'), parents: listed('parent'), descriptions: listed('description'), kinds: kindsOf(filters), inUse: filters.has('inuse') ? filters.flag('inuse', true) : undefined, shared, keepBytes };
}

function kindsOf(filters: DockerFilters): CachePruneBody['kinds'] {
  if (filters.has('label')) return [];
  return filters.has('type') ? filters.get('type').map(kindOf) : undefined;
}

function kindOf(type: string): 'step' | 'mount' {
  const kind = (Object.keys(TYPES) as (keyof typeof TYPES)[]).find((each) => TYPES[each] === type);
  if (kind === undefined) throw badParameter(`invalid filter 'type=${type.slice(0, 100)}': regular or exec.cachemount`);
  return kind;
}
