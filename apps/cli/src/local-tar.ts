import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CliError } from './failure.js';

/** Entries of a local folder as a tar, by tar(1). @throws CliError when it cannot read all of them */
export async function* packFolder(folder: string): AsyncGenerator<Buffer> {
  const tar = spawn('tar', ['-C', folder, '-cf', '-', '.'], { stdio: ['ignore', 'pipe', 'pipe'] });
  const end = endOf(tar, `${folder} cannot be read`);
  // Told when it is awaited.
  end.catch(() => undefined);
  try {
    yield* tar.stdout as AsyncIterable<Buffer>;
    await end;
  } finally {
    tar.kill();
  }
}

/**
 * A tar into a local folder, by tar(1), which lets no entry out of it. What comes out belongs to the person who runs this and has no more rights than
 * their umask grants: the archive comes from a sandbox, which may have written it by hand.
 * @throws CliError when not all of it can be written; what the source throws
 */
export async function unpackInto(folder: string, source: AsyncIterable<Uint8Array>): Promise<void> {
  const tar = spawn('tar', ['-C', folder, '-xf', '-', '--no-same-owner', '--no-same-permissions'], { stdio: ['pipe', 'ignore', 'pipe'] });
  const end = endOf(tar, `${folder} cannot be written`);
  end.catch(() => undefined);
  try {
    await pipeline(Readable.from(source, { objectMode: false }), tar.stdin);
  } catch (error) {
    // tar has gone before it had all: it says why.
    if (tar.exitCode === null && !isBrokenPipe(error)) {
      tar.kill();
      throw error;
    }
  }
  await end;
}

async function endOf(tar: ChildProcess, what: string): Promise<void> {
  let said = '';
  tar.stderr?.setEncoding('utf8').on('data', (text: string) => (said = (said + text).slice(-4096)));
  let code: number | null;
  try {
    [code] = (await once(tar, 'close')) as [number | null];
  } catch (error) {
    throw new CliError(`tar cannot be executed: ${String(error)}`);
  }
  if (code !== 0) throw new CliError(`${what}: ${said.trim()}`);
}

function isBrokenPipe(error: unknown): boolean {
  return error instanceof Error && 'code' in error && (error.code === 'EPIPE' || error.code === 'ERR_STREAM_PREMATURE_CLOSE');
}
