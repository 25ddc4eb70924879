import type { CreateExecBody, ExecView, TerminalSizeBody } from '#contracts';
import { consoleSizeOf } from './console-size.js';
import { detachKeysOf } from './detach-keys.js';
import { pick } from './docker-body.js';
import { badParameter } from './errors.js';

const FIELDS = ['User', 'Privileged', 'Tty', 'AttachStdin', 'AttachStdout', 'AttachStderr', 'Detach', 'DetachKeys', 'Env', 'WorkingDir', 'Cmd', 'ConsoleSize'] as const;
const START_FIELDS = ['Detach', 'Tty', 'ConsoleSize'] as const;

/** Docker's body of `POST /containers/{id}/exec`. @throws CodedError `invalid_argument` */
export function translateExec(body: Readonly<Record<string, unknown>>): CreateExecBody {
  const given = pick(body, FIELDS);
  const argv = texts(given.Cmd, 'Cmd');
  if (argv.length === 0) throw badParameter('No exec command specified');
  const keys = text(given.DetachKeys, 'DetachKeys');
  const detachKeys = keys === '' ? Buffer.alloc(0) : detachKeysOf(keys);
  if (detachKeys === undefined) throw badParameter(`Invalid escape keys (${keys.slice(0, 100)}) provided`);
  const attachStdin = flag(given.AttachStdin, 'AttachStdin');
  return {
    argv,
    env: texts(given.Env, 'Env'),
    workingDir: text(given.WorkingDir, 'WorkingDir'),
    user: text(given.User, 'User'),
    tty: flag(given.Tty, 'Tty'),
    openStdin: attachStdin,
    privileged: flag(given.Privileged, 'Privileged'),
    clientConfig: {
      attachStdin,
      attachStdout: flag(given.AttachStdout, 'AttachStdout'),
      attachStderr: flag(given.AttachStderr, 'AttachStderr'),
      detachKeys: detachKeys.toString('base64'),
      name: '',
      timeoutMs: null,
    },
  };
}

export interface ExecStart {
  readonly detach: boolean;
  readonly tty: boolean;
  readonly size: TerminalSizeBody | undefined;
}

/** Docker's body of `POST /exec/{id}/start`. @throws CodedError `invalid_argument` */
export function translateExecStart(body: Readonly<Record<string, unknown>>): ExecStart {
  const { Detach, Tty, ConsoleSize } = pick(body, START_FIELDS);
  return { detach: flag(Detach, 'Detach'), tty: flag(Tty, 'Tty'), size: consoleSizeOf(ConsoleSize) };
}

/** Every field of `GET /exec/{id}/json`. */
export function toExecInspect({ id, containerId, request, state, exitCode, pid }: ExecView): object {
  const { argv, user, tty, openStdin, privileged, clientConfig } = request;
  return {
    ID: id,
    Running: state === 'running',
    ExitCode: exitCode,
    ProcessConfig: { tty, entrypoint: argv[0] ?? '', arguments: argv.slice(1), privileged, ...(user === '' ? {} : { user }) },
    OpenStdin: openStdin,
    OpenStderr: clientConfig.attachStderr,
    OpenStdout: clientConfig.attachStdout,
    CanRemove: state === 'ended',
    ContainerID: containerId,
    DetachKeys: clientConfig.detachKeys,
    Pid: pid,
  };
}

function text(value: unknown, name: string): string {
  if (value === undefined) return '';
  if (typeof value !== 'string') throw badParameter(`invalid JSON: ${name} must be a string`);
  return value;
}

function flag(value: unknown, name: string): boolean {
  if (value === undefined) return false;
  if (typeof value !== 'boolean') throw badParameter(`invalid JSON: ${name} must be a boolean`);
  return value;
}

function texts(value: unknown, name: string): string[] {
  if (value === undefined) return [];
  // As Go's decoder has it for Cmd: one string is a list of one.
  if (typeof value === 'string' && name === 'Cmd') return [value];
  if (!Array.isArray(value) || !value.every((one) => typeof one === 'string')) throw badParameter(`invalid JSON: ${name} must be an array of strings`);
  return value;
}
