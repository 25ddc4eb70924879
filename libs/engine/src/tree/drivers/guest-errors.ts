import { CodedError, type ErrorCode } from '#kernel';
import type { TreeResult } from './frame-fields.js';
import { errnoName, treeError } from './tree-errors.js';

type Meaning = readonly [ErrorCode, (path: string) => string];

/** What the helper was doing tells more than the errno. */
const STEPS: Readonly<Partial<Record<string, Meaning>>> = {
  'write to a tmpfs of a frozen sandbox': ['conflict', () => 'nothing can be written to a tmpfs while the container is paused'],
  'overwrite a directory': ['conflict', (path) => `cannot overwrite directory "/${path}" with non-directory`],
  'overwrite with a directory': ['conflict', (path) => `cannot overwrite non-directory "/${path}" with directory`],
  'read what is no regular file': ['invalid_argument', (path) => `not a regular file: ${path}`],
};

const changed = (path: string): string => `it was changed while it was worked on: ${path}`;

/** Of files that are named one by one; of an archive's entries they mean something else. */
const ERRNOS: Readonly<Partial<Record<string, Meaning>>> = {
  EEXIST: ['already_exists', (path) => `file exists: ${path}`],
  EISDIR: ['conflict', (path) => `is a directory: ${path}`],
  ENOTEMPTY: ['conflict', (path) => `directory not empty: ${path}`],
  EBUSY: ['conflict', (path) => `something is mounted there: ${path}`],
  EPERM: ['permission_denied', (path) => `operation not permitted: ${path}`],
  EACCES: ['permission_denied', (path) => `operation not permitted: ${path}`],
  // What was opened a moment ago is no more what it was: the guest is at work too.
  ENOENT: ['conflict', changed],
  EXDEV: ['conflict', changed],
  ESTALE: ['unavailable', (path) => `the file became shorter while it was read: ${path}`],
  E2BIG: ['resource_exhausted', (path) => `more files than can be listed: ${path}`],
};
const UNSUITABLE = new Set(['EINVAL', 'ENAMETOOLONG', 'ELOOP', 'ENOTDIR', 'ENXIO', 'EOVERFLOW', 'EFBIG']);

/** As `treeError`, of the files of a sandbox. The words are the system's, which who asks knows. */
export function guestTreeError(result: TreeResult, archive: boolean): CodedError {
  const errno = errnoName(result.errno);
  const { step, path } = result;
  const error = (code: ErrorCode, message: string, more: Record<string, string> = {}): CodedError => new CodedError(code, message, { step, errno, path, ...more });
  if (errno === 'ESRCH') return error('unavailable', 'the sandbox has gone');
  if (errno === 'EROFS') return error('permission_denied', 'read-only file system', { readOnly: step === 'write to the root' ? 'root' : 'mount' });
  if (step === 'open the path' && errno === 'ENOTDIR') return error('invalid_argument', `not a directory: ${path}`);
  if (step === 'watch' && (errno === 'EMFILE' || errno === 'ENOSPC')) return error('resource_exhausted', 'too many directories are watched');
  if (step === 'open the path' && (errno === 'ENOENT' || errno === 'ELOOP')) return treeError(result, archive);
  const meaning = STEPS[step] ?? (archive ? undefined : ERRNOS[errno]);
  if (meaning !== undefined) return error(meaning[0], meaning[1](path));
  if (!archive && UNSUITABLE.has(errno)) return error('invalid_argument', `${path}: ${errno}`);
  return treeError(result, archive);
}
