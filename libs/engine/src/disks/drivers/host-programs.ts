import { execFile } from 'node:child_process';
import { CodedError } from '#kernel';

export interface ProgramResult {
  readonly exitCode: number;
  readonly stdout: string;
  readonly stderr: string;
}

const ENVIRONMENT = { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' };
/** Formatting and resizing write some kilobytes per GiB: beyond this the disk below hangs. */
const TIMEOUT_MS = 60_000;

/**
 * Runs a program of util-linux or e2fsprogs as a child of this process, hence in its mount name space: the spawner has one of its own, and
 * what it mounts nobody else sees. Rare: when a disk is made, mounted, resized, removed.
 * @throws CodedError `unavailable` (no such program), `deadline_exceeded`
 */
export function runHostProgram(program: string, args: readonly string[]): Promise<ProgramResult> {
  return new Promise((resolve, reject) => {
    const options = { env: ENVIRONMENT, cwd: '/', timeout: TIMEOUT_MS, killSignal: 'SIGKILL', encoding: 'utf8' } as const;
    const child = execFile(program, args, options, (error, stdout, stderr) => {
      if (error === null || typeof error.code === 'number') resolve({ exitCode: child.exitCode ?? 0, stdout, stderr });
      else if (error.killed === true) reject(new CodedError('deadline_exceeded', `${program} took longer than ${TIMEOUT_MS} ms`, { program }));
      else reject(new CodedError('unavailable', `${program} could not be run`, { program }, { cause: error }));
    });
  });
}

/** @throws CodedError `internal` when it fails, with what it said; else as `runHostProgram` */
export async function mustRun(program: string, args: readonly string[]): Promise<string> {
  const { exitCode, stdout, stderr } = await runHostProgram(program, args);
  if (exitCode !== 0) throw failed(program, exitCode, stderr);
  return stdout.trim();
}

export function failed(program: string, exitCode: number, stderr: string): CodedError {
  return new CodedError('internal', `${program} failed: ${stderr.trim().slice(0, 500)}`, { program, exitCode });
}
