import { CodedError } from '#kernel';
import { decompressed } from '../../images/index.js';
import { isLayerName, readTar, type TarEntryInput } from '../../tar/index.js';
import type { FoundSource } from '../context/source-paths.js';
import type { SpooledEntry } from '../context/spooled-archive.js';
import type { BuildFiles } from './build-session.js';
import { inputOf } from './stage-source.js';

const BLOCK_BYTES = 512;
const CHECKSUM = { from: 148, to: 156 };

/** A file of the context that ADD unpacks. */
export interface AddedArchive {
  readonly files: BuildFiles;
  readonly entry: SpooledEntry;
}

/** Whether its first bytes, decompressed, are a tar's, whatever it is called. @throws CodedError `unsupported` (xz, bzip2) */
export async function archiveAt(files: BuildFiles, { entry }: FoundSource): Promise<AddedArchive | undefined> {
  if (entry.type !== 'file' || !('offset' in entry)) return undefined;
  try {
    const head = await firstBlock(decompressed(files.archive.content(entry)));
    return isTarHeader(head) ? { files, entry } : undefined;
  } catch (error) {
    // Begins as compressed, and is none: a file as any other.
    if (error instanceof CodedError && error.code === 'invalid_argument') return undefined;
    throw error;
  }
}

/** What is in it, below `destination`, to whom it belongs there. @throws CodedError `invalid_argument` for a path that leads out of it */
export async function* unpacked({ files, entry: file }: AddedArchive, destination: string): AsyncGenerator<TarEntryInput, void, undefined> {
  const root = destination.split('/').filter((name) => name !== '');
  const placed = (path: string): string => {
    const names = path.split('/').filter((name) => name !== '' && name !== '.');
    if (names.includes('..')) throw new CodedError('invalid_argument', `the archive's entry ${JSON.stringify(path.slice(0, 200))} leaves it`);
    return [...root, ...names].join('/');
  };
  for await (const entry of readTar(decompressed(files.archive.content(file)))) {
    const path = placed(entry.path);
    // The place itself stays as it is, and nothing of an archive hides what is there.
    if (path === root.join('/') || !path.split('/').every(isLayerName)) continue;
    yield inputOf(entry, entry.type === 'directory' ? `${path}/` : path, entry.type === 'hardlink' ? placed(entry.linkname) : '');
  }
}

async function firstBlock(bytes: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  let length = 0;
  for await (const chunk of bytes) {
    chunks.push(chunk);
    if ((length += chunk.length) >= BLOCK_BYTES) break;
  }
  return Buffer.concat(chunks).subarray(0, BLOCK_BYTES);
}

/** By the sum of its bytes, its own field taken as spaces: POSIX pax(1), "ustar Interchange Format". */
function isTarHeader(block: Buffer): boolean {
  if (block.length < BLOCK_BYTES) return false;
  const digits = /^\s*([0-7]+)/.exec(block.toString('latin1', CHECKSUM.from, CHECKSUM.to))?.[1];
  let sum = 0;
  for (const [at, byte] of block.entries()) sum += at >= CHECKSUM.from && at < CHECKSUM.to ? 0x20 : byte;
  return digits !== undefined && Number.parseInt(digits, 8) === sum;
}
