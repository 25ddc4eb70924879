import { CodedError } from '#kernel';
import type { ProcessId, ProcessSpec } from '../../runtime/index.js';
import type { ExecSpec, TerminalSize } from '../processes.js';
import { hostnameOf, type ContainerRecord } from './container-record.js';
import type { GuestUser } from './guest-accounts.js';
import { cleanPath, processEnv } from './process-plan.js';

const DEFAULT_SIZE: TerminalSize = { columns: 80, rows: 24 };
const MAX_STRINGS = 32_768;
/** Of arguments and environment together: they and the rest fit into one frame to the agent. */
const MAX_STRING_BYTES = 896 * 1024;

/** What would only show when it is started. @throws CodedError `invalid_argument` */
export function checkExec({ argv, env, workingDir }: ExecSpec): void {
  if (argv.length === 0 || argv[0] === '') throw new CodedError('invalid_argument', 'No exec command specified');
  cleanPath(workingDir);
  const strings = [...argv, ...env];
  if (strings.some((text) => text.includes('\0'))) throw new CodedError('invalid_argument', 'arguments and environment must not hold NUL');
  if (env.some((entry) => entry === '' || entry.startsWith('='))) throw new CodedError('invalid_argument', 'invalid environment variable: =');
  const bytes = strings.reduce((sum, text) => sum + Buffer.byteLength(text) + 1, 0);
  if (strings.length > MAX_STRINGS || bytes > MAX_STRING_BYTES) throw new CodedError('invalid_argument', 'argument list too long', { maxBytes: MAX_STRING_BYTES, maxStrings: MAX_STRINGS });
}

export function workingDirOf(container: ContainerRecord, { workingDir }: ExecSpec): string {
  return workingDir === '' ? container.effective.workingDir : cleanPath(workingDir);
}

/** A further process of a container, in the container's own surroundings. */
export function planExec(container: ContainerRecord, spec: ExecSpec, { id, user, size = DEFAULT_SIZE }: { readonly id: ProcessId; readonly user: GuestUser; readonly size: TerminalSize | undefined }): ProcessSpec {
  const { argv, env, tty, openStdin, privileged } = spec;
  const { hostname = hostnameOf(container), env: ambient = [] } = container.ambient ?? {};
  return {
    id,
    argv,
    env: processEnv({ env: [...ambient, ...container.effective.env, ...env], hostname, tty, home: user.home }),
    cwd: workingDirOf(container, spec),
    uid: user.uid,
    gid: user.gid,
    supplementaryGids: user.supplementaryGids,
    rlimits: container.request.process.ulimits ?? {},
    privileged: privileged || container.request.capabilities.privileged,
    stdio: tty ? { kind: 'pty', ...size } : { kind: 'pipes', stdin: openStdin },
  };
}
