import { CodedError } from '#kernel';
import { opaquePathOf, whiteoutPathOf, type TarEntryInput } from '../../tar/index.js';
import { FRAME, type TreeNode } from './frames.js';
import { decodeData, decodeNode, type TreeResult } from './frame-fields.js';
import { treeError } from './tree-errors.js';
import type { TreeHelper } from './tree-helper.js';

const ZEROS = Buffer.alloc(65_536);

export interface PackedNames {
  /** What a directory is called, and stands before each of its paths. */
  readonly name: string;
  /** It is no directory that is packed: the one entry has this name and no other. */
  readonly own: boolean;
  /** Its failure, as the caller's callers are to know it. */
  readonly error: (result: TreeResult, archive: boolean) => CodedError;
}

const AS_FOUND: PackedNames = { name: '', own: false, error: treeError };

/** What a helper that reads finds, as entries of an archive. @throws CodedError as `Trees.pack` */
export async function* packedEntries(helper: TreeHelper, names: PackedNames = AS_FOUND): AsyncGenerator<TarEntryInput, void, void> {
  for (let frame = await helper.next(); frame !== undefined; frame = await helper.next()) {
    if (frame.kind !== FRAME.entry) throw new CodedError('internal', 'the tree helper sent data of no file');
    yield entryOf(named(decodeNode(frame.body), names), helper);
  }
  const result = await helper.result();
  if (result.errno !== 0) throw names.error(result, false);
}

function named(node: TreeNode, { name, own }: PackedNames): TreeNode {
  if (name === '') return node;
  if (own) return { ...node, path: name };
  const before = name.endsWith('/') ? name : `${name}/`;
  const path = node.path === '' ? name : before + node.path;
  return node.type === 'hardlink' ? { ...node, path, linkname: before + node.linkname } : { ...node, path };
}

function entryOf(node: TreeNode, helper: TreeHelper): TarEntryInput {
  const { mode, uid, gid, mtimeNs, xattrs, linkname, devmajor, devminor } = node;
  switch (node.type) {
    case 'whiteout':
      return { path: whiteoutPathOf(node.path), type: 'file', mode: 0o600, uid: 0, gid: 0, mtimeNs };
    case 'opaque':
      return { path: opaquePathOf(node.path), type: 'file', mode: 0o600, uid: 0, gid: 0, mtimeNs };
    case 'file':
      return { path: node.path, type: 'file', mode, uid, gid, mtimeNs, xattrs, size: node.size, content: contentOf(node.size, helper) };
    case 'directory':
    case 'symlink':
    case 'hardlink':
    case 'char':
    case 'block':
    case 'fifo':
      return { path: node.path === '' ? './' : node.path, type: node.type, mode, uid, gid, mtimeNs, xattrs, linkname, devmajor, devminor };
  }
}

/** Exactly `size` bytes: holes, and the end of a file that shrank meanwhile, are zeros. */
async function* contentOf(size: number, helper: TreeHelper): AsyncGenerator<Buffer, void, void> {
  let at = 0;
  while (at < size) {
    const frame = await helper.next();
    if (frame?.kind !== FRAME.data) {
      if (frame !== undefined) helper.giveBack(frame);
      break;
    }
    const { offset, bytes } = decodeData(frame.body);
    yield* zeros(offset - at);
    yield bytes;
    at = offset + bytes.length;
  }
  yield* zeros(size - at);
}

function* zeros(length: number): Generator<Buffer, void, void> {
  for (let left = length; left > 0; left -= ZEROS.length) yield left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS;
}
