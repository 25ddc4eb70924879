import { setImmediate } from 'node:timers/promises';
import { CodedError, type IgnoreFile } from '#kernel';
import type { SpooledArchive } from './spooled-archive.js';

/** Patterns times paths: what a context may cost. */
const MAX_LOOKS = 200_000_000;
/** Paths after which others get their turn. */
const TURN_PATHS = 500;

/** @throws CodedError `resource_exhausted`: too many patterns for so many files */
export async function withoutIgnored(archive: SpooledArchive, ignore: IgnoreFile): Promise<SpooledArchive> {
  const { size } = archive.entries;
  if (size * ignore.patterns > MAX_LOOKS) throw new CodedError('resource_exhausted', `.dockerignore: ${ignore.patterns} patterns are too many for a context of ${size} files`);
  const ignored = new Set<string>();
  let looked = 0;
  for (const path of archive.entries.keys()) {
    if ((looked += 1) % TURN_PATHS === 0) await setImmediate();
    if (path !== '' && ignore.ignores(path)) ignored.add(path);
  }
  return archive.without((path) => ignored.has(path));
}
