import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, renameSync, statSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/**
 * One hash over the names, sizes and contents of source files. Contents, not times: a fresh clone and a `git checkout` there and
 * back have new times over the same text.
 */
export function hashTree(root, folders, accept) {
  const hash = createHash('sha256');
  for (const folder of folders) walk(root, folder, accept, hash);
  return hash.digest('hex');
}

function walk(root, path, accept, hash) {
  let info;
  try {
    info = statSync(join(root, path));
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  if (info.isFile()) {
    if (!accept(path)) return;
    hash.update(`${path}\0${info.size}\0`);
    hash.update(readFileSync(join(root, path)));
    return;
  }
  for (const name of readdirSync(join(root, path)).sort()) {
    if (name !== 'node_modules' && name !== 'dist' && name !== 'generated') walk(root, join(path, name), accept, hash);
  }
}

export function readStamp(file) {
  try {
    return readFileSync(file, 'utf8').trim();
  } catch {
    return '';
  }
}

/** Written after the work it vouches for, in one step. */
export function writeStamp(file, value) {
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, `${value}\n`);
  renameSync(`${file}.new`, file);
}
