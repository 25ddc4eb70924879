import { CodedError } from '#kernel';
import { decodeName, type TarEntryInput } from '../../tar/index.js';
import type { GitObject, GitObjects } from './git-objects.js';

const NANOS_PER_SECOND = 1_000_000_000n;
const HASH_BYTES = 20;
const MAX_DEPTH = 256;
const MAX_DOCUMENT_BYTES = 16 * 1024 * 1024;
const OWNER = { uid: 0, gid: 0 };

interface TreeRow {
  readonly mode: string;
  readonly name: string;
  readonly hash: string;
}

export interface CommitTree {
  readonly tree: string;
  readonly mtimeNs: bigint;
}

/** @throws CodedError `protocol_violation` */
export async function commitTree(objects: GitObjects, commit: string): Promise<CommitTree> {
  const text = (await documentOf(objects, objects.get(commit, 'commit'))).toString('utf8');
  const tree = /^tree ([0-9a-f]{40})$/m.exec(text)?.[1];
  const seconds = /^committer .* (\d{1,12}) [+-]\d{4}$/m.exec(text)?.[1] ?? '0';
  if (tree === undefined) throw new CodedError('protocol_violation', `the commit ${commit} has no tree`);
  return { tree, mtimeNs: BigInt(seconds) * NANOS_PER_SECOND };
}

/** The tree of a folder. @throws CodedError `not_found` */
export async function folderTree(objects: GitObjects, root: string, folder: string): Promise<string> {
  let tree = root;
  for (const name of folder.split('/').filter((each) => each !== '')) {
    const row = rowsOf(await documentOf(objects, objects.get(tree, 'tree'))).find((each) => each.name === name);
    if (row === undefined || kindOf(row) !== 'directory') throw new CodedError('not_found', `the repository has no folder ${JSON.stringify(folder.slice(0, 200))}`);
    tree = row.hash;
  }
  return tree;
}

/** Everything of a tree, parents first, at most so many entries: one tree may stand in many places of another, and what is small in the pack be without end as files. Submodules are empty folders, as of a plain clone. @throws CodedError `protocol_violation`, `resource_exhausted` */
export async function* treeEntries(objects: GitObjects, { tree, mtimeNs }: CommitTree, maxEntries: number): AsyncGenerator<TarEntryInput, void, undefined> {
  yield* below({ objects, mtimeNs, maxEntries, count: { left: maxEntries } }, tree, '', 0);
}

interface Walk {
  readonly objects: GitObjects;
  readonly mtimeNs: bigint;
  readonly maxEntries: number;
  readonly count: { left: number };
}

async function* below(walk: Walk, tree: string, parent: string, depth: number): AsyncGenerator<TarEntryInput, void, undefined> {
  const { objects, mtimeNs, maxEntries, count } = walk;
  if (depth > MAX_DEPTH) throw new CodedError('resource_exhausted', `the repository's folders are more than ${MAX_DEPTH} deep`);
  for (const row of rowsOf(await documentOf(objects, objects.get(tree, 'tree')))) {
    if ((count.left -= 1) < 0) throw new CodedError('resource_exhausted', `the repository has more than ${maxEntries} files and folders`);
    const path = `${parent}${row.name}`;
    const kind = kindOf(row);
    if (kind === 'directory') {
      yield { path: `${path}/`, type: 'directory', mode: 0o755, ...OWNER, mtimeNs };
      if (row.mode === '40000') yield* below(walk, row.hash, `${path}/`, depth + 1);
      continue;
    }
    const blob = objects.get(row.hash, 'blob');
    if (kind === 'symlink') yield { path, type: 'symlink', mode: 0o777, ...OWNER, mtimeNs, linkname: decodeName(await documentOf(objects, blob)) };
    else yield { path, type: 'file', mode: kind === 'program' ? 0o755 : 0o644, ...OWNER, mtimeNs, size: blob.size, content: objects.bytes(blob) };
  }
}

function kindOf({ mode }: TreeRow): 'directory' | 'symlink' | 'program' | 'file' {
  if (mode === '40000' || mode === '160000') return 'directory';
  if (mode === '120000') return 'symlink';
  return (Number.parseInt(mode, 8) & 0o100) === 0 ? 'file' : 'program';
}

/** `mode name\0hash`, one behind the other. @throws CodedError `protocol_violation` for a name that is more than a name */
function rowsOf(bytes: Buffer): TreeRow[] {
  const rows: TreeRow[] = [];
  for (let at = 0; at < bytes.length; ) {
    const space = bytes.indexOf(0x20, at);
    const end = bytes.indexOf(0, space);
    const mode = bytes.toString('latin1', at, space);
    const name = decodeName(bytes.subarray(space + 1, end));
    if (space < 0 || end < 0 || end + HASH_BYTES >= bytes.length + 1 || !/^[0-7]{5,6}$/.test(mode)) throw new CodedError('protocol_violation', 'a tree of the repository is damaged');
    if (name === '' || name === '.' || name === '..' || name.includes('/')) throw new CodedError('protocol_violation', `a tree of the repository has the name ${JSON.stringify(name.slice(0, 100))}`);
    rows.push({ mode, name, hash: bytes.toString('hex', end + 1, end + 1 + HASH_BYTES) });
    at = end + 1 + HASH_BYTES;
  }
  return rows;
}

function documentOf(objects: GitObjects, object: GitObject): Promise<Buffer> {
  if (object.size > MAX_DOCUMENT_BYTES) throw new CodedError('resource_exhausted', `a ${object.type} of the repository is larger than ${MAX_DOCUMENT_BYTES} bytes`);
  return objects.whole(object);
}
