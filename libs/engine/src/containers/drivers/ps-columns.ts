import type { SandboxProcess } from './sandbox-processes.js';

/** What a column's text depends on beside the process. */
export interface PsMoment {
  /** Milliseconds. */
  readonly now: number;
  readonly bootAt: number;
  readonly memoryBytes: number;
  readonly nameOf: (uid: number) => string;
}

export interface PsColumn {
  readonly title: string;
  readonly text: (process: SandboxProcess, moment: PsMoment) => string;
}

/** Of /proc on Linux, whatever the kernel's own. */
const TICKS_PER_SECOND = 100;
const KIB = 1024;
const DAY_MS = 86_400_000;
const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
/** Majors of pseudo-terminals (Documentation/admin-guide/devices.txt). */
const FIRST_PTS_MAJOR = 136;

const startedAt = ({ startTicks }: SandboxProcess, { bootAt }: PsMoment): number => bootAt + (startTicks * 1000) / TICKS_PER_SECOND;
const elapsedSeconds = (process: SandboxProcess, moment: PsMoment): number => Math.max(0, Math.floor((moment.now - startedAt(process, moment)) / 1000));
const cpuSeconds = ({ cpuTicks }: SandboxProcess): number => Math.floor(cpuTicks / TICKS_PER_SECOND);
const cpuShare = (process: SandboxProcess, moment: PsMoment): number => (process.cpuTicks / TICKS_PER_SECOND / Math.max(1, elapsedSeconds(process, moment))) * 100;
const two = (number: number): string => String(number).padStart(2, '0');
const user = ({ uid }: SandboxProcess, { nameOf }: PsMoment): string => nameOf(uid);

/** Names of `ps -o`. Times are UTC, as a container's are. */
export const PS_COLUMNS: ReadonlyMap<string, PsColumn> = new Map(
  Object.entries({
    pid: { title: 'PID', text: ({ pid }) => String(pid) },
    ppid: { title: 'PPID', text: ({ parentPid }) => String(parentPid) },
    ...same(['pgid', 'PGID', 'pgrp', 'PGRP'], ({ groupPid }) => String(groupPid)),
    ...same(['sid', 'SID', 'sess', 'SESS', 'session', 'SESS'], ({ sessionPid }) => String(sessionPid)),
    ...same(['uid', 'UID', 'euid', 'EUID', 'ruid', 'RUID'], ({ uid }) => String(uid)),
    ...same(['gid', 'GID', 'egid', 'EGID', 'rgid', 'RGID'], ({ gid }) => String(gid)),
    ...same(['uid_name', 'UID', 'user', 'USER', 'euser', 'EUSER', 'ruser', 'RUSER', 'uname', 'USER'], user),
    ...same(['comm', 'COMMAND', 'ucmd', 'CMD', 'ucomm', 'COMMAND'], ({ name, state }) => (state === 'Z' ? `${name} <defunct>` : name)),
    ...same(['args', 'COMMAND', 'command', 'COMMAND', 'cmd', 'CMD'], commandOf),
    ...same(['stat', 'STAT'], statOf),
    ...same(['s', 'S', 'state', 'S'], ({ state }) => state),
    ...same(['tty', 'TT', 'tt', 'TT', 'tname', 'TTY'], ({ terminal }) => terminalOf(terminal)),
    ...same(['time', 'TIME', 'cputime', 'TIME'], (process) => clock(cpuSeconds(process))),
    bsdtime: { title: 'TIME', text: (process) => `${Math.floor(cpuSeconds(process) / 60)}:${two(cpuSeconds(process) % 60)}` },
    etime: { title: 'ELAPSED', text: (process, moment) => elapsed(elapsedSeconds(process, moment)) },
    etimes: { title: 'ELAPSED', text: (process, moment) => String(elapsedSeconds(process, moment)) },
    ...same(['stime', 'STIME', 'start_time', 'START', 'start', 'STARTED', 'bsdstart', 'START'], (process, moment) => shortDate(startedAt(process, moment), moment.now)),
    lstart: { title: 'STARTED', text: (process, moment) => new Date(startedAt(process, moment)).toUTCString() },
    c: { title: 'C', text: (process, moment) => String(Math.min(99, Math.floor(cpuShare(process, moment)))) },
    ...same(['pcpu', '%CPU', '%cpu', '%CPU'], (process, moment) => cpuShare(process, moment).toFixed(1)),
    ...same(['pmem', '%MEM', '%mem', '%MEM'], ({ residentBytes }, { memoryBytes }) => ((residentBytes / memoryBytes) * 100).toFixed(1)),
    ...same(['vsz', 'VSZ', 'vsize', 'VSZ'], ({ virtualBytes }) => String(Math.floor(virtualBytes / KIB))),
    ...same(['rss', 'RSS', 'rssize', 'RSS', 'rsz', 'RSZ'], ({ residentBytes }) => String(Math.floor(residentBytes / KIB))),
    ...same(['ni', 'NI', 'nice', 'NI'], ({ nice }) => String(nice)),
    ...same(['nlwp', 'NLWP', 'thcount', 'THCNT'], ({ threads }) => String(threads)),
  } satisfies Record<string, PsColumn>),
);

/** @param names name, title, name, title … */
function same(names: readonly string[], text: PsColumn['text']): Record<string, PsColumn> {
  const columns: Record<string, PsColumn> = {};
  for (let at = 0; at + 1 < names.length; at += 2) columns[names[at] ?? ''] = { title: names[at + 1] ?? '', text };
  return columns;
}

function commandOf({ commandLine, name, state }: SandboxProcess): string {
  if (state === 'Z') return `[${name}] <defunct>`;
  return commandLine === '' ? `[${name}]` : commandLine;
}

function statOf({ state, nice, pid, sessionPid, threads, isForeground }: SandboxProcess): string {
  return `${state}${nice < 0 ? '<' : nice > 0 ? 'N' : ''}${pid === sessionPid ? 's' : ''}${threads > 1 ? 'l' : ''}${isForeground ? '+' : ''}`;
}

/** Device numbers as the kernel packs them: the minor's low 8 bits, the major's 12, the minor's rest. */
function terminalOf(device: number): string {
  const major = (device >> 8) & 0xfff;
  const minor = (device & 0xff) | ((device >> 12) & 0xfff00);
  return major >= FIRST_PTS_MAJOR && major < FIRST_PTS_MAJOR + 8 ? `pts/${(major - FIRST_PTS_MAJOR) * 2 ** 20 + minor}` : '?';
}

function clock(seconds: number): string {
  const days = Math.floor(seconds / 86_400);
  return `${days > 0 ? `${days}-` : ''}${two(Math.floor(seconds / 3600) % 24)}:${two(Math.floor(seconds / 60) % 60)}:${two(seconds % 60)}`;
}

function elapsed(seconds: number): string {
  return clock(seconds).replace(/^00:/, '');
}

function shortDate(at: number, now: number): string {
  const date = new Date(at);
  return now - at < DAY_MS ? `${two(date.getUTCHours())}:${two(date.getUTCMinutes())}` : `${MONTHS[date.getUTCMonth()] ?? ''}${two(date.getUTCDate())}`;
}
