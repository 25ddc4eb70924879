import { spawn } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { CodedError, asError } from '#kernel';
import { mmdebstrapArguments, type DebianRecipe } from './debian-recipe.js';
import { packageFailure } from './package-failures.js';
import { tarDirectoryEntry } from './tar-directory-entry.js';

export interface DebianBuild {
  readonly recipe: DebianRecipe;
  /** A path where nothing is; the root file system is made below it, and gone afterwards. */
  readonly workDir: string;
  /** Times in the tar are no later, seconds since the epoch. */
  readonly sourceDateEpoch: number;
  readonly signal: AbortSignal;
  /** Of the whole image, its import included. */
  onStep(percent: number, message: string): void;
}

const STEPS: readonly [RegExp, number, string][] = [
  [/running apt-get update/, 5, 'fetches package lists'],
  [/downloading packages/, 15, 'fetches packages'],
  [/extracting archives/, 35, 'unpacks packages'],
  [/installing essential packages/, 45, 'installs packages'],
  [/installing remaining packages/, 60, 'installs packages'],
  [/cleaning package lists/, 80, 'tidies up'],
  [/creating tarball/, 85, 'packs the layer'],
];

const NAMESPACES = ['--pdeathsig', 'KILL', 'unshare', '--mount', '--propagation', 'slave', '--pid', '--fork', '--kill-child=SIGKILL', '--mount-proc'];
/** $1: the working folder, $2: the size of a tmpfs over it or empty, then the program. */
const START = 'work="$1"; size="$2"; shift 2; if [ -n "$size" ]; then mount -t tmpfs -o "mode=0711,size=$size" tmpfs "$work" || exit; fi; exec "$@"';
/** From this much memory on, a root file system is made in memory: dpkg writes each file apart, which a busy disk makes slow. */
const TMPFS_FROM_BYTES = 4 * 1024 ** 3;

/** Kept of what the program says, lines. */
const TAIL_LINES = 40;

/**
 * Makes a minimal Debian and streams its root file system as an uncompressed tar. The stream ends well only when all of it was made.
 * @throws CodedError `failed_precondition`, `unavailable`, `resource_exhausted`, `cancelled`, `internal`
 */
export async function* debianRootfs(build: DebianBuild): AsyncGenerator<Uint8Array, void, void> {
  // mmdebstrap may fetch as the user _apt, who must be able to enter.
  await mkdir(build.workDir, { mode: 0o711 });
  // mmdebstrap mounts /proc, /sys and /dev into what it makes. In mount and pid name spaces of its own they, and every process of
  // it, end with it, however it ends; so nobody ever removes files through a mount that a killed one has left.
  const child = spawn('setpriv', [...NAMESPACES, 'sh', '-c', START, 'sh', build.workDir, tmpfsSize(), ...environment(build), 'mmdebstrap', ...mmdebstrapArguments(build.recipe)], {
    stdio: ['ignore', 'pipe', 'pipe'],
    signal: build.signal,
    killSignal: 'SIGKILL',
  });
  const tail: string[] = [];
  readLines(child.stderr, (line) => {
    tail.push(line);
    if (tail.length > TAIL_LINES) tail.shift();
    const step = STEPS.find(([pattern]) => line.startsWith('I: ') && pattern.test(line));
    if (step) build.onStep(step[1], step[2]);
  });
  const ended = new Promise<number | null>((resolve, reject) => {
    let failure: Error | undefined;
    child.once('error', (error) => {
      failure = error;
      // A program that never started has no 'close'.
      if (child.pid === undefined) reject(error);
    });
    child.once('close', (exitCode) => {
      if (failure) reject(failure);
      else resolve(exitCode);
    });
  });
  ended.catch(() => undefined);
  try {
    // `--skip=output/dev` leaves out the folder too; sandboxes mount their own on it.
    yield tarDirectoryEntry('./dev/', build.sourceDateEpoch);
    for await (const chunk of child.stdout) yield chunk as Buffer;
    const exitCode = await ended;
    if (exitCode !== 0) throw failureOf(tail, exitCode);
  } catch (error) {
    if (build.signal.aborted) throw new CodedError('cancelled', 'the making of a root file system was stopped', {}, { cause: asError(error) });
    throw error;
  } finally {
    child.kill('SIGKILL');
    await ended.catch(() => undefined);
    await rm(build.workDir, { recursive: true, force: true });
  }
}

function tmpfsSize(): string {
  const available = process.availableMemory();
  return available < TMPFS_FROM_BYTES ? '' : String(Math.floor(available * 0.4));
}

function environment({ workDir, sourceDateEpoch }: DebianBuild): string[] {
  return ['env', `TMPDIR=${workDir}`, `SOURCE_DATE_EPOCH=${sourceDateEpoch}`, 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C.UTF-8'];
}

function failureOf(tail: readonly string[], exitCode: number | null): CodedError {
  const { code, message } = packageFailure(tail) ?? { code: 'internal' as const, message: `mmdebstrap failed: ${tail.findLast((line) => /^(?:E:|mmdebstrap|env:|unshare|setpriv)/.test(line)) ?? tail.at(-1) ?? 'without a word'}` };
  return new CodedError(code, message, { exitCode, output: tail });
}

function readLines(stream: NodeJS.ReadableStream, onLine: (line: string) => void): void {
  let rest = '';
  stream.setEncoding('utf8');
  stream.on('data', (text: string) => {
    const lines = (rest + text).split(/[\r\n]+/);
    // A line without an end is no line to keep whole.
    rest = (lines.pop() ?? '').slice(-2000);
    for (const line of lines) onLine(line.slice(0, 2000));
  });
}
