import { randomBytes } from 'node:crypto';
import { CodedError } from '#kernel';

const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]+$/;
const MOST_CHARACTERS = 255;
export const ANONYMOUS_LABEL = 'com.docker.volume.anonymous';

export function anonymousName(): string {
  return randomBytes(32).toString('hex');
}

/** Docker's grammar and texts. @throws CodedError `invalid_argument` */
export function assertVolumeName(name: string): void {
  if (name.length === 1) throw invalid('volume name is too short, names should be at least two alphanumeric characters');
  if (!NAME.test(name)) {
    throw invalid(
      `create ${name}: ${JSON.stringify(name)} includes invalid characters for a local volume name, only "[a-zA-Z0-9][a-zA-Z0-9_.-]" are allowed. If you intended to pass a host directory, use absolute path`,
    );
  }
  if (name.length > MOST_CHARACTERS) throw invalid(`create ${name.slice(0, 20)}…: a volume name has at most ${MOST_CHARACTERS} characters`);
}

/**
 * A path in the tenant's host tree, relative to its top: blank parts and dots taken away, `..` resolved as text and never above the top (whoever
 * opens it does that below the top, for links on the way are the guests').
 * @throws CodedError `invalid_argument`
 */
export function pathInHostTree(path: string): string {
  if (!path.startsWith('/')) throw invalid(`invalid mount path: '${path}' mount path must be absolute`);
  if (path.includes('\0') || Buffer.byteLength(path) > 4095) throw invalid('invalid mount path: too long, or with a NUL');
  const parts: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') parts.pop();
    else if (part !== '' && part !== '.') parts.push(part);
  }
  return parts.join('/');
}

function invalid(message: string): CodedError {
  return new CodedError('invalid_argument', message);
}
