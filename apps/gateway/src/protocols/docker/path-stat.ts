import { posix } from 'node:path';
import type { FileStatView } from '#contracts';

/** Bits of Go's os.FileMode, which are not the kernel's. */
const GO_KIND: Readonly<Record<FileStatView['kind'], number>> = {
  file: 0,
  directory: 2 ** 31,
  symlink: 2 ** 27,
  block: 2 ** 26,
  char: 2 ** 26 + 2 ** 21,
  fifo: 2 ** 25,
  socket: 2 ** 24,
};
const GO_SET_ID: readonly (readonly [number, number])[] = [
  [0o4000, 2 ** 23],
  [0o2000, 2 ** 22],
  [0o1000, 2 ** 20],
];

export const PATH_STAT_HEADER = 'X-Docker-Container-Path-Stat';

/** What `docker cp` knows a path by, from the header. */
export function pathStat(stat: FileStatView): string {
  const { path, sizeBytes, modifiedAt, resolvedTarget } = stat;
  const value = { name: baseOf(path), size: sizeBytes, mode: goMode(stat), mtime: new Date(modifiedAt).toISOString(), linkTarget: resolvedTarget };
  return Buffer.from(JSON.stringify(value)).toString('base64');
}

/** Whether a directory's entries are meant and not itself: the client then expects their names to begin with `./`. */
export function meansContents(path: string): boolean {
  return path.endsWith('/.');
}

function baseOf(path: string): string {
  if (path.endsWith('/.')) return '.';
  return posix.basename(posix.resolve('/', path)) || '/';
}

function goMode({ kind, mode }: FileStatView): number {
  return GO_SET_ID.reduce((sum, [bit, goBit]) => ((mode & bit) === 0 ? sum : sum + goBit), GO_KIND[kind] + (mode & 0o777));
}
