import { CodedError } from '#kernel';
import type { TreeResult } from './frame-fields.js';
import { errnoName, treeError } from './tree-errors.js';

const UNSUITABLE = new Set(['EINVAL', 'ENAMETOOLONG', 'ELOOP', 'ENOTDIR', 'ENXIO', 'EOVERFLOW', 'EFBIG']);

/** As `treeError`, of files that a caller names one by one. The words are the system's, which who asks knows. */
export function guestTreeError(result: TreeResult, archive: boolean): CodedError {
  const errno = errnoName(result.errno);
  const { step, path } = result;
  const error = (code: CodedError['code'], message: string, more: Record<string, string> = {}): CodedError => new CodedError(code, message, { step, errno, path, ...more });
  if (errno === 'ESRCH') return error('unavailable', 'the sandbox has gone');
  if (errno === 'EROFS') return error('permission_denied', 'read-only file system', { readOnly: step === 'write to the root' ? 'root' : 'mount' });
  if (step === 'write to a tmpfs of a frozen sandbox') return error('conflict', 'nothing can be written to a tmpfs while the container is paused');
  if (step === 'overwrite a directory') return error('conflict', `cannot overwrite directory "/${path}" with non-directory`);
  if (step === 'overwrite with a directory') return error('conflict', `cannot overwrite non-directory "/${path}" with directory`);
  if (step === 'open the path' && errno === 'ENOTDIR') return error('invalid_argument', `not a directory: ${path}`);
  if (archive) return treeError(result, true);
  if (step === 'read what is no regular file') return error('invalid_argument', `not a regular file: ${path}`);
  if (errno === 'EEXIST') return error('already_exists', `file exists: ${path}`);
  if (errno === 'EISDIR') return error('conflict', `is a directory: ${path}`);
  if (errno === 'ENOTEMPTY') return error('conflict', `directory not empty: ${path}`);
  if (errno === 'EBUSY') return error('conflict', `something is mounted there: ${path}`);
  if (errno === 'EPERM' || errno === 'EACCES') return error('permission_denied', `operation not permitted: ${path}`);
  if (errno === 'ESTALE') return error('unavailable', `the file became shorter while it was read: ${path}`);
  if (errno === 'E2BIG') return error('resource_exhausted', `more files than can be listed: ${path}`);
  if (step === 'watch' && (errno === 'EMFILE' || errno === 'ENOSPC')) return error('resource_exhausted', 'too many directories are watched');
  if (UNSUITABLE.has(errno) && step !== 'open the path') return error('invalid_argument', `${path}: ${errno}`);
  return treeError(result, false);
}
