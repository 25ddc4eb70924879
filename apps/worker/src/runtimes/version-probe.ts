import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { CodedError } from '#kernel';

/** $1 is the root file system, the rest a command. The layer is shared by all sandboxes: it is seen read-only, by the user `runner`, without a network. */
const SCRIPT = `mount --bind "$1" "$1" && mount -o remount,bind,ro "$1" && root="$1" && shift && exec chroot --userspec=1000:1000 "$root" "$@"`;
const TIMEOUT_MS = 20_000;

/** The first line that a command of an unpacked root file system prints. @throws CodedError `failed_precondition` */
export async function probeVersion(rootfs: string, command: readonly string[]): Promise<string> {
  const args = ['--mount', '--propagation', 'slave', '--net', '--ipc', '--pid', '--fork', '--kill-child=SIGKILL', 'sh', '-c', SCRIPT, 'sh', rootfs, 'env', '-i', 'PATH=/usr/local/bin:/usr/bin:/bin', 'LC_ALL=C.UTF-8', ...command];
  let output: string;
  try {
    const { stdout, stderr } = await promisify(execFile)('unshare', args, { timeout: TIMEOUT_MS, killSignal: 'SIGKILL', maxBuffer: 1 << 20, cwd: '/' });
    output = stdout.trim() === '' ? stderr : stdout;
  } catch (error) {
    throw new CodedError('failed_precondition', `the version command ${command.join(' ')} fails in its own root file system`, { command }, { cause: error });
  }
  return (output.trim().split('\n')[0] ?? '').slice(0, 200);
}
