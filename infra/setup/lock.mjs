import { linkSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { identityOf, isAlive } from './processes.mjs';

/** Who holds the lock, or undefined when nobody alive does. */
export function lockHolder(file) {
  const holder = readHolder(file);
  return holder && isAlive(holder) ? holder : undefined;
}

/**
 * Takes the lock of a data folder for this process. link(2) fails when the name exists, so of two starters one wins; the holder's
 * start time tells a live holder from a process that got the pid of a dead one.
 * @returns { release } or { holder }: who has it
 */
export function takeLock(file, facts = {}) {
  const mine = { ...identityOf(process.pid), ...facts };
  const staged = `${file}.${process.pid}.${randomBytes(4).toString('hex')}`;
  writeFileSync(staged, JSON.stringify(mine), { mode: 0o644 });
  try {
    for (let attempt = 0; attempt < 5; attempt += 1) {
      if (tryLink(staged, file)) return { release: () => release(file, mine) };
      const holder = readHolder(file);
      if (holder && isAlive(holder)) return { holder };
      putAside(file);
    }
    return { holder: readHolder(file) ?? {} };
  } finally {
    rmSync(staged, { force: true });
  }
}

function tryLink(staged, file) {
  try {
    linkSync(staged, file);
    return true;
  } catch (error) {
    if (error.code === 'EEXIST') return false;
    throw error;
  }
}

/** Another starter may have replaced the dead lock in the meantime: what was moved is looked at again, and given back if it lives. */
function putAside(file) {
  const aside = `${file}.dead.${process.pid}`;
  try {
    renameSync(file, aside);
  } catch (error) {
    if (error.code === 'ENOENT') return;
    throw error;
  }
  const moved = readHolder(aside);
  if (moved && isAlive(moved)) tryLink(aside, file);
  rmSync(aside, { force: true });
}

function release(file, mine) {
  const holder = readHolder(file);
  if (holder?.pid === mine.pid && holder.startTime === mine.startTime) rmSync(file, { force: true });
}

function readHolder(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
