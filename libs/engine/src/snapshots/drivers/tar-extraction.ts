import { spawn } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import type { Writable } from 'node:stream';
import { CodedError, asError, finishDigest, type Digest } from '#kernel';

/** Kept of what the programs say, bytes. */
const STDERR_LIMIT = 4096;
/** The smallest thing that can be a tar: one block of zeros (tar(5)). */
const BLOCK_BYTES = 512;

/** Numbers for owners, never names: the host's /etc/passwd knows nothing of the layer's. Modes of directories last, so that a read-only one can be filled. */
const TAR_ARGS = ['--extract', '--numeric-owner', '--same-owner', '--same-permissions', '--xattrs', '--xattrs-include=*', '--delay-directory-restore', '--file=-'];

/** Both the end of a program and what it said on stderr. */
interface Ending {
  readonly exitCode: number | null;
  readonly stderr: string;
}

/**
 * Extracts a tar into an existing directory with the host's GNU tar, and returns the digest of the bytes that came.
 *
 * The program is a plain child of this process: layers are unpacked at set-up, once each and not per run, so the time that a fork of
 * Node takes does not matter, and a stream into stdin needs no seam in the spawner.
 * @throws CodedError `invalid_argument`, `resource_exhausted`; what `source` throws
 */
export async function extractTar(source: AsyncIterable<Uint8Array>, directory: string): Promise<Digest> {
  const child = spawn('tar', [...TAR_ARGS, '--directory', directory], { stdio: ['pipe', 'ignore', 'pipe'], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } });
  const ended = endingOf(child);
  // It is awaited below; a failing source must not leave the rejection of a missing program unhandled.
  ended.catch(() => undefined);
  // EPIPE: tar ended before its input. Its exit code tells why.
  child.stdin.on('error', () => undefined);
  const hash = createHash('sha256');
  let size = 0;
  try {
    for await (const chunk of source) {
      hash.update(chunk);
      size += chunk.byteLength;
      await feed(child.stdin, chunk);
    }
  } catch (error) {
    child.kill('SIGKILL');
    await ended;
    throw error;
  }
  child.stdin.end();
  const { exitCode, stderr } = await ended;
  if (exitCode !== 0) throw extractionError(stderr);
  if (size < BLOCK_BYTES) throw new CodedError('invalid_argument', 'not a tar archive: too short', { size });
  return finishDigest(hash);
}

/** Runs a host program to its end. @throws CodedError `internal` with the program's own words when it fails */
export async function runTool(program: string, args: readonly string[]): Promise<string> {
  const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'pipe'], env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin', LC_ALL: 'C' } });
  const stdout: Buffer[] = [];
  child.stdout.on('data', (chunk: Buffer) => stdout.push(chunk));
  const { exitCode, stderr } = await endingOf(child);
  if (exitCode !== 0) throw new CodedError('internal', `${program} failed`, { exitCode, stderr });
  return Buffer.concat(stdout).toString();
}

/** Writes with back-pressure. When the reader is gone the bytes go nowhere: the source is still read to its end for its digest. */
async function feed(stdin: Writable, chunk: Uint8Array): Promise<void> {
  if (stdin.destroyed || stdin.write(chunk)) return;
  const stop = new AbortController();
  try {
    await Promise.race([once(stdin, 'drain', { signal: stop.signal }), once(stdin, 'close', { signal: stop.signal })]);
  } catch {
    // An 'error' event: the stream is closed, which the next call sees.
  } finally {
    stop.abort();
  }
}

function endingOf(child: ReturnType<typeof spawn>): Promise<Ending> {
  let stderr = '';
  child.stderr?.on('data', (chunk: Buffer) => {
    if (stderr.length < STDERR_LIMIT) stderr += chunk.toString();
  });
  return new Promise((resolve, reject) => {
    child.once('error', (error) => {
      reject(new CodedError('failed_precondition', `${child.spawnfile} cannot be started`, { program: child.spawnfile }, { cause: asError(error) }));
    });
    child.once('close', (exitCode) => {
      resolve({ exitCode, stderr: stderr.slice(0, STDERR_LIMIT).trim() });
    });
  });
}

function extractionError(stderr: string): CodedError {
  if (/No space left on device|Disk quota exceeded/.test(stderr)) return new CodedError('resource_exhausted', 'the disk is full', { stderr });
  return new CodedError('invalid_argument', 'the tar archive cannot be unpacked', { stderr });
}
