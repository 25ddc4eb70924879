import { posix } from 'node:path';
import { CodedError, isCodedError } from '#kernel';
import type { GuestEvent, GuestFile } from '../../tree/index.js';
import type { FileEvent, FileStat } from '../files.js';

const MAX_PATH_BYTES = 4095;
const NS_PER_MS = 1_000_000n;

/** A path as clients say it, from the root whether it begins with a slash or not. `.`, `..`, links and a slash at the end are the kernel's to resolve. */
export function guestPath(text: string): string {
  if (text === '' || text.includes('\0')) throw new CodedError('invalid_argument', 'a path is neither empty nor does it hold NUL');
  if (Buffer.byteLength(text) > MAX_PATH_BYTES) throw new CodedError('invalid_argument', `a path has at most ${MAX_PATH_BYTES} bytes`);
  return text.startsWith('/') ? text : `/${text}`;
}

export function statOf(file: GuestFile, path: string): FileStat {
  const { kind, size, mode, uid, gid, mtimeNs, linkTarget, resolvedTarget } = file;
  const resolved = kind !== 'symlink' || resolvedTarget !== '' ? resolvedTarget : posix.resolve('/', posix.dirname(path), linkTarget);
  return { name: posix.basename(posix.resolve('/', path)) || '/', path, kind, sizeBytes: size, mode, uid, gid, modifiedAt: Number(mtimeNs / NS_PER_MS), linkTarget, resolvedTarget: resolved };
}

export function eventOf({ kind, path, to, directory }: GuestEvent, folder: string): FileEvent {
  const absolute = (below: string): string => (below === '' ? posix.resolve('/', folder) : posix.resolve('/', folder, below));
  return { kind, path: absolute(path), directory, ...(kind === 'moved' ? { to: absolute(to) } : {}) };
}

/** Docker's words, which its clients show. `text` is what the client calls the container. */
export function fileError(error: unknown, text: string, path: string): unknown {
  if (!isCodedError(error)) return error;
  const { details } = error;
  const coded = (code: CodedError['code'], message: string): CodedError => new CodedError(code, message, { path }, { cause: error });
  if (error.code === 'not_found' && details.step !== undefined) return coded('not_found', `Could not find the file ${path} in container ${text}`);
  if (details.readOnly === 'root') return coded('permission_denied', 'container rootfs is marked read-only');
  if (details.readOnly === 'mount') return coded('permission_denied', 'mounted volume is marked read-only');
  return error;
}
