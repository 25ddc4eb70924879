import { wholeHistory, type ImageHistoryEntry, type ImageRecord } from '../../images/index.js';

/** A member of the image's JSON, which may have more than the specification names (OCI image-spec, config.md): by which key of the cache each row of the history was made, or null. */
const MEMBER = 'sandbar.build.cache.v1';
const KEY = /^[0-9a-f]{64}$/;

/** A row of an image's history, and the key of the step that made it. null: nothing is said of that. */
export interface StepRow {
  readonly entry: ImageHistoryEntry;
  readonly key: string | null;
}

/** Lowest first, one for each layer that the history leaves out too. Whatever the member is, unless it fits the history and is made of keys it is as if it were not there. */
export function stepRows({ config, rawConfig }: Pick<ImageRecord, 'config' | 'rawConfig'>): readonly StepRow[] {
  const member = rawConfig[MEMBER];
  const keys = isKeys(member, config.history?.length ?? 0) ? member : [];
  return wholeHistory(config).map((entry, index) => ({ entry, key: keys[index] ?? null }));
}

/** For the image that a step makes, on top of one with these rows. It follows from them and the key alone, as all of an image's ID must. */
export function stepRecord(below: readonly StepRow[], key: string): Readonly<Record<string, unknown>> {
  return { [MEMBER]: [...below.map((row) => row.key), key] };
}

function isKeys(value: unknown, length: number): value is readonly (string | null)[] {
  return Array.isArray(value) && value.length === length && value.every((key) => key === null || (typeof key === 'string' && KEY.test(key)));
}
