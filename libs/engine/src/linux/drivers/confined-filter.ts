import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CodedError } from '#kernel';

export interface FilterLimits {
  readonly memoryBytes: number;
  readonly cpuSeconds: number;
}

const NOBODY = '65534';
const MAX_FAULT_BYTES = 1000;

/**
 * What a program of the node makes of hostile bytes, from its input to its output. It runs as nobody, without capabilities and without a way to get any, in name spaces
 * of its own (no network, no other process to be seen), writes no file, and is gone when the stream is: unshare(1), setpriv(1), prlimit(1).
 * @throws CodedError `invalid_argument` when it ends by anything but success. What the source throws, likewise.
 */
export async function* confinedFilter([program = '', ...args]: readonly string[], source: AsyncIterable<Uint8Array>, { memoryBytes, cpuSeconds }: FilterLimits): AsyncGenerator<Buffer, void, undefined> {
  const walls = ['--net', '--ipc', '--uts', '--mount', '--pid', '--fork', '--kill-child', 'prlimit', `--as=${memoryBytes}`, `--cpu=${cpuSeconds}`, '--fsize=0', '--nofile=16', '--core=0', '--'];
  const nobody = ['setpriv', '--reuid', NOBODY, '--regid', NOBODY, '--clear-groups', '--no-new-privs', '--bounding-set=-all', '--inh-caps=-all', '--'];
  const child = spawn('unshare', [...walls, ...nobody, program, ...args], { stdio: ['pipe', 'pipe', 'pipe'], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' }, cwd: '/' });
  const ended = once(child, 'close') as Promise<[number | null]>;
  ended.catch(() => undefined);
  let broken: unknown;
  const fed = pipeline(Readable.from(source, { objectMode: false }), child.stdin).catch((error: unknown) => {
    // Who has heard enough closes its input: how it ends tells whether that was right.
    broken = error;
  });
  let fault = '';
  child.stderr.setEncoding('utf8').on('data', (text: string) => {
    fault = (fault + text).slice(0, MAX_FAULT_BYTES);
  });
  try {
    for await (const piece of child.stdout as AsyncIterable<Buffer>) yield piece;
    const [exitCode] = await ended;
    await fed;
    if (exitCode !== 0) throw new CodedError('invalid_argument', `${program}: ${fault.trim().slice(0, 200) || `ended with ${exitCode ?? 'a signal'}`}`, {}, { cause: broken });
  } finally {
    // The end of its parent is its own.
    child.kill('SIGKILL');
  }
}
