import { execFileSync } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { silentLogger } from '#kernel';
import { HelperTrees } from '../index.js';

const REPOSITORY = join(import.meta.dirname, '../../../../..');

/** Trees with the real helper: of SANDBAR_TEST_PROGRAMS, where a machine without a compiler gets them, or built when need be. */
export function realTrees(): HelperTrees {
  const made = process.env.SANDBAR_TEST_PROGRAMS;
  const folder = made ?? join(REPOSITORY, 'dist/native');
  if (made === undefined) {
    mkdirSync(folder, { recursive: true });
    execFileSync(process.execPath, [join(REPOSITORY, 'infra/native/build.mjs'), 'sandbar-tree'], { stdio: 'pipe' });
  }
  return new HelperTrees({ program: join(folder, 'sandbar-tree'), logger: silentLogger });
}
