import { readdirSync, readFileSync } from 'node:fs';
import { mkdir, rmdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError, errnoOf } from '#kernel';

/** What both drivers do with the files of a cgroup file system. A cgroup may vanish at any time: that is `not_found`. */

/*
 * Reading is synchronous inside: these files lie in the kernel's memory and are read in 20 µs, a fifth of what a trip through the thread
 * pool costs. Writing, making and removing wait for the kernel at times, so they are not.
 */

const REMOVE_ATTEMPTS = 40;
const KILL_DEADLINE_MS = 10_000;

function coded(error: unknown, path: string): unknown {
  const errno = errnoOf(error);
  if (errno === 'ENOENT' || errno === 'ENODEV') return new CodedError('not_found', 'no such cgroup', { path }, { cause: error });
  if (errno === 'EBUSY') return new CodedError('failed_precondition', 'the cgroup cannot take this value now', { path }, { cause: error });
  if (errno === 'EINVAL' || errno === 'ERANGE') return new CodedError('invalid_argument', 'the cgroup refuses this value', { path }, { cause: error });
  return error;
}

/** @throws CodedError `not_found` */
export function readText(path: string): Promise<string> {
  return settled(() => {
    try {
      return readFileSync(path, 'latin1').trim();
    } catch (error) {
      throw coded(error, path);
    }
  });
}

/** @throws CodedError `not_found` */
export async function readNumber(path: string): Promise<number> {
  return Number(await readText(path));
}

/** undefined when this kernel has no such file. */
export function readTextIfAny(path: string): Promise<string | undefined> {
  return settled(() => {
    try {
      return readFileSync(path, 'latin1').trim();
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV') return undefined;
      throw error;
    }
  });
}

function settled<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}

/** A line `name value` of a flat-keyed file, 0 when it is not there. */
export function keyedNumber(text: string, name: string): number {
  const line = text.split('\n').find((candidate) => candidate.startsWith(`${name} `));
  return line === undefined ? 0 : Number(line.slice(name.length + 1));
}

/** Every line `name value`. */
export function flatCounters(text: string): Record<string, number> {
  const counters: Record<string, number> = {};
  for (const line of text.split('\n')) {
    const at = line.lastIndexOf(' ');
    if (at > 0) counters[line.slice(0, at)] = Number(line.slice(at + 1));
  }
  return counters;
}

/** Without creating: the kernel makes these files. @throws CodedError `not_found`, `failed_precondition`, `invalid_argument` */
export async function writeValue(path: string, value: string | number): Promise<void> {
  try {
    await writeFile(path, String(value), { flag: 'r+' });
  } catch (error) {
    throw coded(error, path);
  }
}

/** False when this kernel has no such file. */
export async function writeIfAny(path: string, value: string | number): Promise<boolean> {
  try {
    await writeFile(path, String(value), { flag: 'r+' });
    return true;
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV') return false;
    throw coded(error, path);
  }
}

/** One level. True when it is new. @throws CodedError `not_found` when the parent is missing */
export async function makeCgroup(dir: string): Promise<boolean> {
  try {
    await mkdir(dir);
    return true;
  } catch (error) {
    if (errnoOf(error) === 'EEXIST') return false;
    throw coded(error, dir);
  }
}

/** Names of the child cgroups; [] when there is no such cgroup. */
export function childCgroups(dir: string): Promise<string[]> {
  return settled(() => {
    try {
      const entries = readdirSync(dir, { withFileTypes: true });
      return entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
    } catch (error) {
      if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENODEV') return [];
      throw error;
    }
  });
}

/** Host pids in that cgroup alone; [] when there is none such. Pid 0, a process that our pid name space does not show, is left out. */
export async function pidsIn(dir: string): Promise<number[]> {
  const text = await readTextIfAny(join(dir, 'cgroup.procs'));
  if (text === undefined || text === '') return [];
  return text.split('\n').map(Number).filter((pid) => pid > 0);
}

export async function pidsBelow(dir: string): Promise<number[]> {
  const [own, names] = await Promise.all([pidsIn(dir), childCgroups(dir)]);
  const below = await Promise.all(names.map((name) => pidsBelow(join(dir, name))));
  return [...own, ...below.flat()];
}

/** rmdir with its children, deepest first. Idempotent. @throws CodedError `failed_precondition` while a process is in it */
export async function removeCgroup(dir: string): Promise<void> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      await rmdir(dir);
      return;
    } catch (error) {
      const errno = errnoOf(error);
      if (errno === 'ENOENT' || errno === 'ENODEV') return;
      if (errno !== 'EBUSY' && errno !== 'ENOTEMPTY') throw error;
      for (const name of await childCgroups(dir)) await removeCgroup(join(dir, name));
      // The last process leaves a moment after it has vanished from cgroup.procs.
      if (attempt > 2 && ((await pidsIn(dir)).length > 0 || attempt >= REMOVE_ATTEMPTS)) {
        throw new CodedError('failed_precondition', 'a process is in the cgroup', { dir }, { cause: error });
      }
      await sleep(Math.min(attempt, 20));
    }
  }
}

export function signalAll(pids: readonly number[]): void {
  for (const pid of pids) {
    try {
      process.kill(pid, 'SIGKILL');
    } catch (error) {
      if (errnoOf(error) !== 'ESRCH') throw error;
    }
  }
}

/** Repeats `strike` until no process is below `dir`. @throws CodedError `deadline_exceeded` after 10 s */
export async function killUntilEmpty(dir: string, strike: (round: number) => Promise<void>): Promise<void> {
  const deadline = performance.now() + KILL_DEADLINE_MS;
  for (let round = 0; ; round += 1) {
    if ((await pidsBelow(dir)).length === 0) return;
    if (performance.now() > deadline) throw new CodedError('deadline_exceeded', 'processes of the cgroup do not die', { dir });
    await strike(round);
    // Killed processes take from 0.1 ms (nothing mapped) to seconds (gigabytes to free, a disk to wait for).
    for (let wait = 1; wait <= 16; wait *= 2) {
      if ((await pidsBelow(dir)).length === 0) return;
      await sleep(wait);
    }
  }
}
