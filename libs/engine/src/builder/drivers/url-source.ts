import { createHash, type Hash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { open, rm } from 'node:fs/promises';
import { CodedError, PathPattern } from '#kernel';
import type { TarEntryInput } from '../../tar/index.js';
import { SPOOL_LIMITS, type BuildFiles, type BuildSession } from './build-session.js';

const NANOS_PER_MS = 1_000_000n;

export function isUrl(source: string): boolean {
  return /^https?:\/\//i.test(source);
}

/**
 * What an URL leads to, as a file with the mode 0600 and the server's time. @throws CodedError `invalid_argument` (no name, another checksum), as `UrlFetcher.open`
 */
export async function fetchedFile(session: BuildSession, text: string, checksum: string | undefined, intoDirectory: boolean): Promise<{ readonly name: string; readonly files: BuildFiles }> {
  if (checksum !== undefined && !/^sha256:[0-9a-f]{64}$/.test(checksum)) throw new CodedError('invalid_argument', `invalid checksum: ${checksum.slice(0, 100)}`);
  const name = nameOf(text);
  if (name === '' && intoDirectory) throw new CodedError('invalid_argument', `cannot determine filename from url: ${text.slice(0, 200)}`);
  const { lastModifiedMs, bytes } = await session.services.fetchUrl(text, session.signal);
  const path = session.newFile();
  const hash = createHash('sha256');
  const size = await kept(path, bytes, hash, text);
  const found = `sha256:${hash.digest('hex')}`;
  if (checksum !== undefined && checksum !== found) throw new CodedError('invalid_argument', `digest mismatch for ${text.slice(0, 200)}: expected ${checksum}, got ${found}`);
  const file = name === '' ? 'file' : name;
  const content = createReadStream(path) as AsyncIterable<Buffer>;
  const entry: TarEntryInput = { path: file, type: 'file', mode: 0o600, uid: 0, gid: 0, size, mtimeNs: BigInt(lastModifiedMs ?? 0) * NANOS_PER_MS, content };
  const files = await session.spool([entry]);
  await rm(path);
  return { name: file, files };
}

/** In a file: how long it is must be known before it can stand in an archive. */
async function kept(path: string, bytes: AsyncIterable<Uint8Array>, hash: Hash, url: string): Promise<number> {
  const handle = await open(path, 'wx', 0o600);
  let size = 0;
  try {
    for await (const chunk of bytes) {
      if ((size += chunk.length) > SPOOL_LIMITS.maxBytes) throw new CodedError('resource_exhausted', `what ${url.slice(0, 200)} leads to is larger than ${SPOOL_LIMITS.maxBytes} bytes`);
      hash.update(chunk);
      await handle.appendFile(chunk);
    }
  } finally {
    await handle.close();
  }
  return size;
}

function nameOf(text: string): string {
  const { pathname } = new URL(text);
  try {
    const name = decodeURIComponent(pathname.slice(pathname.lastIndexOf('/') + 1));
    return name.includes('/') || name === '..' || name === '.' || !PathPattern.isLiteral(name) ? '' : name;
  } catch {
    return '';
  }
}
