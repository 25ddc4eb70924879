import { open, readFile } from 'node:fs/promises';
import { errnoOf } from '#kernel';
import type { Sandbox } from '../../runtime/index.js';

/** A process of a sandbox, by the numbers that it has inside. */
export interface SandboxProcess {
  readonly pid: number;
  readonly parentPid: number;
  readonly groupPid: number;
  readonly sessionPid: number;
  readonly uid: number;
  readonly gid: number;
  readonly name: string;
  /** '' when it has none: a zombie. */
  readonly commandLine: string;
  /** One letter (proc(5)). */
  readonly state: string;
  readonly isForeground: boolean;
  /** 0: none. Device numbers as stat(2) has them. */
  readonly terminal: number;
  readonly nice: number;
  readonly threads: number;
  readonly cpuTicks: number;
  /** Since the machine's start. */
  readonly startTicks: number;
  readonly virtualBytes: number;
  readonly residentBytes: number;
}

const AGENT_PID = 1;
/** What is shown in the main process's place is what programs in a container are used to be. */
const MAIN_PID = 1;
const AT_ONCE = 32;
const MAX_COMMAND_BYTES = 4096;
const PAGE_BYTES = 4096;

/**
 * What runs in a sandbox. The agent is left out and its place given to the main process, whose number is 1 here as in any other engine: orphans are its children.
 * Read from the node's /proc, so it works on a frozen sandbox, and asks nothing of the guest.
 */
export async function sandboxProcesses(sandbox: Sandbox): Promise<SandboxProcess[]> {
  const queue = await sandbox.pids();
  const found: RawProcess[] = [];
  const next = async (): Promise<void> => {
    for (let hostPid = queue.shift(); hostPid !== undefined; hostPid = queue.shift()) {
      const process = await readProcess(hostPid, sandbox.id);
      if (process !== undefined) found.push(process);
    }
  };
  await Promise.all(Array.from({ length: AT_ONCE }, next));
  return asGuestSees(found);
}

interface RawProcess extends SandboxProcess {
  readonly hostPid: number;
  readonly hostParent: number;
  readonly hostGroup: number;
  readonly hostSession: number;
}

function asGuestSees(found: readonly RawProcess[]): SandboxProcess[] {
  const agent = found.find(({ pid }) => pid === AGENT_PID);
  const guests = found.filter((process) => process !== agent).sort((one, other) => one.startTicks - other.startTicks || one.pid - other.pid);
  const main = guests[0];
  const inside = new Map(found.map(({ hostPid, pid }) => [hostPid, pid]));
  const shown = (hostPid: number): number => {
    const pid = inside.get(hostPid);
    return pid === undefined ? 0 : pid === main?.pid ? MAIN_PID : pid;
  };
  const base = agent?.uid ?? 0;
  return guests.map(({ hostPid, hostParent, hostGroup, hostSession, ...process }) => ({
    ...process,
    pid: shown(hostPid),
    parentPid: hostPid === main?.hostPid ? 0 : shown(hostParent),
    groupPid: shown(hostGroup),
    sessionPid: shown(hostSession),
    // The agent is root inside.
    uid: process.uid - base,
    gid: process.gid - (agent?.gid ?? 0),
  }));
}

/** Undefined: it has ended, and its number may be another's. */
async function readProcess(hostPid: number, sandboxId: string): Promise<RawProcess | undefined> {
  try {
    const [stat, status, commandLine, cgroup] = await Promise.all([
      readFile(`/proc/${hostPid}/stat`, 'utf8'),
      readFile(`/proc/${hostPid}/status`, 'utf8'),
      readCommandLine(hostPid),
      readFile(`/proc/${hostPid}/cgroup`, 'utf8'),
    ]);
    return cgroup.includes(`/${sandboxId}`) ? parseProcess(hostPid, stat, status, commandLine) : undefined;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOENT' || errno === 'ESRCH') return undefined;
    throw error;
  }
}

/** The name stands in parentheses and may hold any of them (proc_pid_stat(5)). */
function parseProcess(hostPid: number, stat: string, status: string, commandLine: string): RawProcess | undefined {
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  const number = (index: number): number => Number(fields[index - 3] ?? 0);
  const row = (name: string): string[] => new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(status)?.[1]?.split(/\s+/) ?? [];
  const pid = Number(row('NSpid')[1]);
  if (!Number.isInteger(pid)) return undefined;
  return {
    hostPid,
    hostParent: number(4),
    hostGroup: number(5),
    hostSession: number(6),
    pid,
    parentPid: 0,
    groupPid: 0,
    sessionPid: 0,
    uid: Number(row('Uid')[1]),
    gid: Number(row('Gid')[1]),
    name: printable(stat.slice(stat.indexOf('(') + 1, stat.lastIndexOf(')'))),
    commandLine,
    state: fields[0] ?? '?',
    isForeground: number(8) > 0 && number(8) === number(5),
    terminal: number(7),
    nice: number(19),
    threads: number(20),
    cpuTicks: number(14) + number(15),
    startTicks: number(22),
    virtualBytes: number(23),
    residentBytes: number(24) * PAGE_BYTES,
  };
}

async function readCommandLine(hostPid: number): Promise<string> {
  const handle = await open(`/proc/${hostPid}/cmdline`, 'r');
  try {
    const { buffer, bytesRead } = await handle.read(Buffer.alloc(MAX_COMMAND_BYTES), 0, MAX_COMMAND_BYTES, 0);
    return printable(buffer.toString('utf8', 0, bytesRead).replace(/\0+$/, '').replaceAll('\0', ' '));
  } finally {
    await handle.close();
  }
}

/** A guest names its processes as it likes. */
function printable(text: string): string {
  return text.replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
}
