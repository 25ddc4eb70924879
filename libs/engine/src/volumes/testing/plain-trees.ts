import { readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Trees } from '../../tree/index.js';

const absent = (): never => {
  throw new Error('not in these trees');
};

/** Removes and counts by plain calls: nobody else is at work in the folders of a test. */
export function plainTrees(): Trees {
  return {
    extract: absent,
    pack: absent,
    changes: absent,
    copyUp: absent,
    sync: () => Promise.resolve(),
    remove: (path) => rm(path, { recursive: true, force: true }),
    usage: async (path) => {
      const entries = await readdir(path, { recursive: true });
      const sizes = await Promise.all(entries.map(async (entry) => (await stat(join(path, entry))).blocks * 512));
      return { bytes: sizes.reduce((sum, size) => sum + size, 0), inodes: entries.length + 1 };
    },
  };
}
