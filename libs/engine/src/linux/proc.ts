import { readFileSync } from 'node:fs';
import { readFile, readdir } from 'node:fs/promises';
import { errnoOf } from '#kernel';

/**
 * A process that cannot be mistaken for a later one with the same pid: a pid and its start time, in clock ticks since boot
 * (proc_pid_stat(5), field 22).
 */
export interface ProcessIdentity {
  readonly pid: number;
  readonly startTicks: number;
}

const START_TIME_FIELD = 22;
const STATE_FIELD = 3;

/** undefined when there is no such process, or only its zombie. */
export function identifyProcess(pid: number): Promise<ProcessIdentity | undefined> {
  return new Promise((resolve) => {
    resolve(identityOf(pid));
  });
}

function identityOf(pid: number): ProcessIdentity | undefined {
  let stat: string;
  try {
    // Made up by the kernel as it is read: nothing to wait for.
    stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return undefined;
    throw error;
  }
  // Field 2, the name, may hold blanks and brackets: fields are counted from its last bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  if (fields[STATE_FIELD - 3] === 'Z' || fields[STATE_FIELD - 3] === 'X') return undefined;
  return { pid, startTicks: Number(fields[START_TIME_FIELD - 3]) };
}

export async function isRunning(identity: ProcessIdentity): Promise<boolean> {
  return (await identifyProcess(identity.pid))?.startTicks === identity.startTicks;
}

/** Changes with every boot: pids of another boot mean nothing. */
export async function bootId(): Promise<string> {
  return (await readFile('/proc/sys/kernel/random/boot_id', 'latin1')).trim();
}

export async function listPids(): Promise<number[]> {
  return (await readdir('/proc')).filter((name) => /^\d+$/.test(name)).map(Number);
}

/** The lines of /proc/<pid>/cgroup as paths, without duplicates; [] when the process is gone. */
export async function cgroupPathsOf(pid: number): Promise<string[]> {
  try {
    const lines = (await readFile(`/proc/${pid}/cgroup`, 'utf8')).trim().split('\n');
    return [...new Set(lines.map((line) => line.split(':').slice(2).join(':')))];
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ESRCH') return [];
    throw error;
  }
}
