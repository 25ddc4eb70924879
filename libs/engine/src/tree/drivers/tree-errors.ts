import { constants } from 'node:os';
import { CodedError, type ErrorCode } from '#kernel';
import type { TreeResult } from './frame-fields.js';

const ERRNO_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));
const ABSENT = new Set(['ENOENT', 'ENOTDIR', 'ELOOP']);
/** Steps that end at a path which the caller named. */
const NAMED_STEPS = new Set(['open the root', 'open the path', 'open a layer']);
/** Steps that no archive has a part in. */
const OWN_STEPS = /^(read a frame|read the request|write a frame|enter |join |become |drop |limit |prepare |mount |make the mounts|unshare |leave |open \/proc)/;
/** What an archive can bring about by what it says. */
const ARCHIVE_ERRORS = new Set([
  'E2BIG', 'EACCES', 'EBUSY', 'EEXIST', 'EFBIG', 'EINVAL', 'EISDIR', 'ELOOP', 'EMLINK', 'ENAMETOOLONG', 'ENODEV', 'ENOENT', 'ENOTDIR', 'ENOTEMPTY', 'ENXIO', 'EOPNOTSUPP', 'EOVERFLOW', 'EPERM', 'ERANGE', 'EXDEV',
]);

export function errnoName(number: number): string {
  return ERRNO_NAMES.get(number) ?? `errno ${number}`;
}

/** The error behind a result that is none. `archive`: an entry of a tar was being made. */
export function treeError({ errno: number, step, path }: TreeResult, archive: boolean): CodedError {
  const errno = errnoName(number);
  const details = { step, errno, path };
  const error = (code: ErrorCode, message: string): CodedError => new CodedError(code, message, details);
  if (errno === 'ENOSPC' || errno === 'EDQUOT') return error('resource_exhausted', 'no space left on device');
  if (errno === 'ENOMEM' || errno === 'EMFILE' || errno === 'ENFILE') return error('resource_exhausted', `the tree helper is short of resources: ${errno}`);
  if (NAMED_STEPS.has(step) && ABSENT.has(errno)) return error('not_found', `no such directory: ${path}`);
  if (archive && !OWN_STEPS.test(step) && ARCHIVE_ERRORS.has(errno)) return error('invalid_argument', `the archive's entry ${JSON.stringify(path)} cannot be made: ${step}: ${errno}`);
  if (errno === 'ENAMETOOLONG') return error('invalid_argument', `a path of the tree is too long for an archive: ${path.slice(0, 80)}…`);
  return error('internal', `the tree helper failed: ${step}: ${errno}`);
}
