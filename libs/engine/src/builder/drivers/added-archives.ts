import { CodedError } from '#kernel';
import { isLayerName, readTar, type TarEntryInput } from '../../tar/index.js';
import type { FoundSource } from '../context/source-paths.js';
import type { SpooledEntry } from '../context/spooled-archive.js';
import { SPOOL_LIMITS, type BuildFiles } from './build-session.js';
import { opened } from './foreign-compression.js';
import { inputOf } from './stage-source.js';
import { isTarHeader, withHead } from './tar-head.js';

/** A file of the context that ADD unpacks. */
export interface AddedArchive {
  readonly files: BuildFiles;
  readonly entry: SpooledEntry;
}

/** Whether its first bytes, decompressed, are a tar's, whatever it is called. What cannot be read is none. */
export async function archiveAt(files: BuildFiles, { entry }: FoundSource): Promise<AddedArchive | undefined> {
  if (entry.type !== 'file' || !('offset' in entry)) return undefined;
  try {
    const { head, bytes } = await withHead(opened(files.archive.content(entry)));
    await bytes.return();
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
  let bytes = 0;
  for await (const entry of readTar(opened(files.archive.content(file)), { maxEntries: SPOOL_LIMITS.maxEntries })) {
    bytes += entry.size;
    if (bytes > SPOOL_LIMITS.maxBytes) throw new CodedError('resource_exhausted', `the archive holds more than ${SPOOL_LIMITS.maxBytes} bytes`, { maxBytes: SPOOL_LIMITS.maxBytes });
    const path = placed(entry.path);
    // The place itself stays as it is, and nothing of an archive hides what is there.
    if (path === root.join('/') || !path.split('/').every(isLayerName)) continue;
    yield inputOf(entry, entry.type === 'directory' ? `${path}/` : path, entry.type === 'hardlink' ? placed(entry.linkname) : '');
  }
}
