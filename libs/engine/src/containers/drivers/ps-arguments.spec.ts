import fc from 'fast-check';
import { isCodedError } from '#kernel';
import { parsePsArguments } from './ps-arguments.js';
import type { PsMoment } from './ps-columns.js';
import type { SandboxProcess } from './sandbox-processes.js';

const HOUR = 3600_000;
const moment: PsMoment = { now: 100 * HOUR, bootAt: 0, memoryBytes: 1000 * 1024, nameOf: (uid) => (uid === 0 ? 'root' : String(uid)) };
const aProcess: SandboxProcess = {
  pid: 7, parentPid: 1, groupPid: 7, sessionPid: 7, uid: 0, gid: 0, name: 'sh', commandLine: 'sh -c x', state: 'S', isForeground: true, terminal: (136 << 8) | 3, nice: 5, threads: 2,
  cpuTicks: 360_050, startTicks: (99 * HOUR) / 10, virtualBytes: 2048, residentBytes: 10 * 1024,
};
const row = (args: string, process: Partial<SandboxProcess> = {}): string[] => parsePsArguments(args).map(({ column }) => column.text({ ...aProcess, ...process }, moment));
const titles = (args: string): string => parsePsArguments(args).map(({ title }) => title).join(' ');

describe('the arguments of ps', () => {
  it.each([
    ['', 'UID PID PPID C STIME TTY TIME CMD'],
    ['-ef', 'UID PID PPID C STIME TTY TIME CMD'],
    ['aux', 'USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND'],
    ['-aux', 'USER PID %CPU %MEM VSZ RSS TTY STAT START TIME COMMAND'],
    ['ax', 'PID TTY STAT TIME COMMAND'],
    ['-e', 'PID TTY TIME CMD'],
    ['-o pid,comm', 'PID COMMAND'],
    ['-opid,args -o user', 'PID COMMAND USER'],
    ['-eo pid,etime=SINCE', 'PID SINCE'],
    ['axo pid,vsz', 'PID VSZ'],
  ])('%j shows %s', (args, expected) => {
    expect(titles(args)).toBe(expected);
  });

  it.each([
    ['-o comm', "Couldn't find PID field in ps output"],
    ['-o pid,nothing', 'ps: unknown user-defined format specifier "nothing"'],
    ['-o pid,comm=PID', 'specifying "comm=PID" is not allowed'],
    ['--forest', 'ps: unsupported argument: --forest'],
    ['-Z', "ps: unsupported option -- 'Z'"],
    ['-p 1', "ps: unsupported option -- 'p'"],
  ])('%j is refused', (args, message) => {
    expect(() => parsePsArguments(args)).toThrow(expect.objectContaining({ code: 'invalid_argument', message }));
  });

  it('are taken or refused, whatever they are', () => {
    fc.assert(fc.property(fc.string({ maxLength: 40 }), (args) => {
      try {
        expect(row(args).length).toBeGreaterThan(0);
      } catch (error) {
        if (!isCodedError(error, 'invalid_argument')) throw error;
      }
    }));
  });

  it('show a process as ps does', () => {
    expect(row('-ef')).toEqual(['root', '7', '1', '99', '03:00', 'pts/3', '01:00:00', 'sh -c x']);
    expect(row('aux')).toEqual(['root', '7', '100.0', '1.0', '2', '10', 'pts/3', 'SNsl+', '03:00', '60:00', 'sh -c x']);
    expect(row('-o pid,etime,stat,cmd,tty', { startTicks: 0, state: 'Z', threads: 1, nice: -1, sessionPid: 1, isForeground: false, commandLine: '', terminal: 0 })).toEqual(['7', '4-04:00:00', 'Z<', '[sh] <defunct>', '?']);
    expect(row('-o pid,stime,args', { startTicks: 0, commandLine: '' })).toEqual(['7', 'Jan01', '[sh]']);
  });
});
