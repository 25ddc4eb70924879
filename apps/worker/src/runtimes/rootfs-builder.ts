import { spawn } from 'node:child_process';
import { mkdir, rm } from 'node:fs/promises';
import { CodedError, asError } from '#kernel';
import { mmdebstrapArguments, type RootfsRecipe } from './rootfs-recipe.js';
import { tarDirectoryEntry } from './tar-directory-entry.js';

export interface BuildStep {
  readonly phase: 'fetch' | 'install' | 'pack';
  /** Of the whole image, import included. */
  readonly percent: number;
}

export interface RootfsBuild {
  readonly recipe: RootfsRecipe;
  /** A path where nothing is; the root file system is made below it, and gone afterwards. */
  readonly workDir: string;
  /** Times in the tar are no later, seconds since the epoch. */
  readonly sourceDateEpoch: number;
  readonly signal: AbortSignal;
  onStep(step: BuildStep): void;
}

const STEPS: readonly [RegExp, BuildStep][] = [
  [/running apt-get update/, { phase: 'fetch', percent: 5 }],
  [/downloading packages/, { phase: 'fetch', percent: 15 }],
  [/extracting archives/, { phase: 'install', percent: 35 }],
  [/installing essential packages/, { phase: 'install', percent: 45 }],
  [/installing remaining packages/, { phase: 'install', percent: 60 }],
  [/cleaning package lists/, { phase: 'pack', percent: 80 }],
  [/creating tarball/, { phase: 'pack', percent: 85 }],
];

const FAILURES: readonly [RegExp, ConstructorParameters<typeof CodedError>[0], string][] = [
  [/No space left on device|enough free space/, 'resource_exhausted', 'the disk is full'],
  [/Unable to locate package|has no installation candidate/, 'failed_precondition', 'a package does not exist in this Debian suite'],
  [/NO_PUBKEY|is not signed|signatures couldn't be verified|EXPKEYSIG/, 'failed_precondition', "the packages' signatures cannot be verified: update the package debian-archive-keyring"],
  [/Could not resolve|Temporary failure resolving|Could not connect|Unable to connect|Connection (?:failed|timed out|refused)|Failed to fetch/, 'unavailable', 'the package mirror cannot be reached'],
];

const NAMESPACES = ['--pdeathsig', 'KILL', 'unshare', '--mount', '--propagation', 'slave', '--pid', '--fork', '--kill-child=SIGKILL', '--mount-proc'];
/** $1: the working folder, $2: the size of a tmpfs over it or empty, then the program. */
const START = 'work="$1"; size="$2"; shift 2; if [ -n "$size" ]; then mount -t tmpfs -o "mode=0711,size=$size" tmpfs "$work" || exit; fi; exec "$@"';
/** From this much memory on, a root file system is made in memory: dpkg writes each file apart, which a busy disk makes slow. */
const TMPFS_FROM_BYTES = 4 * 1024 ** 3;

/** Kept of what the program says, lines. */
const TAIL_LINES = 40;

/**
 * Makes a root file system and streams it as an uncompressed tar. The stream ends well only when all of it was made.
 * @throws CodedError `failed_precondition`, `unavailable`, `resource_exhausted`, `cancelled`, `internal`
 */
export async function* buildRootfs(build: RootfsBuild): AsyncGenerator<Uint8Array, void, void> {
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
    const step = STEPS.find(([pattern]) => line.startsWith('I: ') && pattern.test(line))?.[1];
    if (step) build.onStep(step);
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

function environment({ workDir, sourceDateEpoch }: RootfsBuild): string[] {
  return ['env', `TMPDIR=${workDir}`, `SOURCE_DATE_EPOCH=${sourceDateEpoch}`, 'PATH=/usr/sbin:/usr/bin:/sbin:/bin', 'LC_ALL=C.UTF-8'];
}

function failureOf(tail: readonly string[], exitCode: number | null): CodedError {
  const text = tail.join('\n');
  const [, code, message] = FAILURES.find(([pattern]) => pattern.test(text)) ?? [undefined, 'internal' as const, 'mmdebstrap failed'];
  const words = tail.filter((line) => /^(?:E:|Err:|W: Failed|mmdebstrap|env:|unshare|setpriv)/.test(line.trim())).slice(0, 6);
  return new CodedError(code, `${message}: ${words.join(' | ') || tail.at(-1) || 'without a word'}`, { exitCode, output: tail });
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
