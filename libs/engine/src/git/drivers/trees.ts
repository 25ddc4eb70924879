import { CodedError } from '#kernel';
import { decodeName } from '../../tar/index.js';
import type { GitObject, GitObjects } from './git-objects.js';

const NANOS_PER_SECOND = 1_000_000_000n;
const HASH_BYTES = 20;
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;
/** The mode of a submodule: its hash is a commit of another repository. */
export const GITLINK = '160000';

export interface TreeRow {
  /** Octal, as the tree has it. */
  readonly mode: string;
  readonly name: string;
  readonly hash: string;
}

export interface CommitTree {
  readonly tree: string;
  readonly mtimeNs: bigint;
}

/** Trees, at most so many rows of them: one may stand in many places of another. Rows count when they are read, as all of a folder's lie in memory while one below it is looked at. */
export class Trees {
  private left: number;

  constructor(
    readonly objects: GitObjects,
    private readonly maxEntries: number,
  ) {
    this.left = maxEntries;
  }

  /** @throws CodedError `protocol_violation`, `resource_exhausted` */
  async rowsOf(tree: string): Promise<TreeRow[]> {
    const { objects, maxEntries } = this;
    const rows = rowsIn(await documentOf(objects, objects.get(tree, 'tree')));
    if ((this.left -= rows.length) < 0) throw new CodedError('resource_exhausted', `the repository has more than ${maxEntries} files and folders`, { maxEntries });
    return rows;
  }
}

/** @throws CodedError `protocol_violation` */
export async function commitTree(objects: GitObjects, commit: string): Promise<CommitTree> {
  const text = (await documentOf(objects, objects.get(commit, 'commit'))).toString('utf8');
  const tree = /^tree ([0-9a-f]{40})$/m.exec(text)?.[1];
  const seconds = /^committer .* (\d{1,12}) [+-]\d{4}$/m.exec(text)?.[1] ?? '0';
  if (tree === undefined) throw new CodedError('protocol_violation', `the commit ${commit} has no tree`);
  return { tree, mtimeNs: BigInt(seconds) * NANOS_PER_SECOND };
}

/** A submodule is a directory, though no tree. */
export function kindOf({ mode }: TreeRow): 'directory' | 'symlink' | 'program' | 'file' {
  if (mode === '40000' || mode === GITLINK) return 'directory';
  if (mode === '120000') return 'symlink';
  return (Number.parseInt(mode, 8) & 0o100) === 0 ? 'file' : 'program';
}

/** `mode name\0hash`, one behind the other. @throws CodedError `protocol_violation` for a name that is more than a name, or that Git takes for a repository's own */
function rowsIn(bytes: Buffer): TreeRow[] {
  const rows: TreeRow[] = [];
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const end = bytes.indexOf(0, space);
    const mode = bytes.toString('latin1', at, space);
    const name = decodeName(bytes.subarray(space + 1, end));
    if (space < 0 || end < 0 || end + HASH_BYTES >= bytes.length + 1 || !/^[0-7]{5,6}$/.test(mode)) throw new CodedError('protocol_violation', 'a tree of the repository is damaged');
    if (name === '' || name === '.' || name === '..' || name.includes('/') || name.toLowerCase() === '.git') throw new CodedError('protocol_violation', `a tree of the repository has the name ${JSON.stringify(name.slice(0, 100))}`);
    rows.push({ mode, name, hash: bytes.toString('hex', end + 1, end + 1 + HASH_BYTES) });
    at = end + 1 + HASH_BYTES;
  }
  return rows;
}

/** @throws CodedError `resource_exhausted` */
export function documentOf(objects: GitObjects, object: GitObject): Promise<Buffer> {
  if (object.size > MAX_DOCUMENT_BYTES) throw new CodedError('resource_exhausted', `a ${object.type} of the repository is larger than ${MAX_DOCUMENT_BYTES} bytes`);
  return objects.whole(object);
}
