import { encodeName, type TarEntryType } from '../../tar/index.js';

/** The frames of docs/engine/tree-protocol.md: `u32` length of what follows, `u8` kind, fields. Little-endian. */
export const FRAME = { result: 0, entry: 1, data: 2, end: 3, change: 4, found: 5, event: 6 } as const;
export const OPERATION = {
  write: 16,
  read: 17,
  changes: 18,
  usage: 19,
  remove: 20,
  sync: 21,
  stat: 22,
  list: 23,
  range: 24,
  store: 25,
  mkdir: 26,
  move: 27,
  delete: 28,
  watch: 29,
} as const;

/** What the helper can make and find: a tar's types, and overlayfs' two marks. */
export const NODE_TYPES = ['file', 'directory', 'symlink', 'hardlink', 'char', 'block', 'fifo', 'whiteout', 'opaque'] as const satisfies readonly (TarEntryType | 'whiteout' | 'opaque')[];
export type NodeType = (typeof NODE_TYPES)[number];
const TYPE_NUMBERS = Object.fromEntries(NODE_TYPES.map((type, number) => [type, number])) as Readonly<Record<NodeType, number>>;

export interface TreeNode {
  readonly type: NodeType;
  /** Relative, clean; '' is the root. */
  readonly path: string;
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  readonly size: number;
  readonly mtimeNs: bigint;
  readonly linkname: string;
  readonly devmajor: number;
  readonly devminor: number;
  readonly xattrs: ReadonlyMap<string, Buffer>;
}

export interface TreeRequest {
  readonly operation: keyof typeof OPERATION;
  readonly layer?: boolean;
  /** Of `write`: only into an empty directory. Of `read`: only a directory. */
  readonly strict?: boolean;
  /** `root` is a running sandbox's first process, `dirs` are the files by which its cgroup is joined. */
  readonly sandbox?: boolean;
  /** Of `write`: directories and other things do not take each other's place. */
  readonly sameKinds?: boolean;
  readonly recursive?: boolean;
  /** '' for the overlay of `dirs`. */
  readonly root: string;
  readonly path?: string;
  readonly dirs?: readonly string[];
  /** What only this operation is told, encoded. */
  readonly fields?: Buffer;
}

const NS_PER_SECOND = 1_000_000_000n;
const HEAD_BYTES = 5;
/** type, mode, uid, gid, size, seconds, nanoseconds, major, minor. */
const NODE_BYTES = 1 + 4 + 4 + 4 + 8 + 8 + 4 + 4 + 4;

function head(kind: number, bodyBytes: number): Buffer {
  const bytes = Buffer.allocUnsafe(HEAD_BYTES);
  bytes.writeUInt32LE(bodyBytes + 1, 0);
  bytes.writeUInt8(kind, 4);
  return bytes;
}

function u32(value: number): Buffer {
  const bytes = Buffer.allocUnsafe(4);
  bytes.writeUInt32LE(value);
  return bytes;
}

function framed(kind: number, parts: readonly Uint8Array[]): Buffer {
  const size = parts.reduce((sum, part) => sum + part.length, 0);
  return Buffer.concat([head(kind, size), ...parts], HEAD_BYTES + size);
}

/** A string ends with its only NUL, which the length counts. */
export function text(bytes: Buffer): [Buffer, Buffer] {
  const whole = Buffer.allocUnsafe(bytes.length + 1);
  bytes.copy(whole);
  whole[bytes.length] = 0;
  return [u32(whole.length), whole];
}

export function encodeRequest({ operation, root, path = '', dirs = [], fields = Buffer.alloc(0), ...options }: TreeRequest): Buffer {
  const flags = [options.layer, options.strict, options.sandbox, options.sameKinds, options.recursive].reduce((sum, flag, bit) => sum | (Number(flag ?? false) << bit), 0);
  const strings = [root, path].flatMap((name) => text(encodeName(name)));
  return framed(OPERATION[operation], [Buffer.of(flags), ...strings, u32(dirs.length), ...dirs.flatMap((dir) => text(encodeName(dir))), fields]);
}

export function encodeNode(node: TreeNode): Buffer {
  const fixed = Buffer.allocUnsafe(NODE_BYTES);
  let seconds = node.mtimeNs / NS_PER_SECOND;
  // BigInt's division rounds towards zero; nanoseconds are never negative.
  if (node.mtimeNs < 0n && seconds * NS_PER_SECOND !== node.mtimeNs) seconds -= 1n;
  fixed.writeUInt8(TYPE_NUMBERS[node.type], 0);
  fixed.writeUInt32LE(node.mode, 1);
  fixed.writeUInt32LE(node.uid, 5);
  fixed.writeUInt32LE(node.gid, 9);
  fixed.writeBigUInt64LE(BigInt(node.size), 13);
  fixed.writeBigInt64LE(BigInt.asIntN(64, seconds), 21);
  fixed.writeUInt32LE(Number(node.mtimeNs - seconds * NS_PER_SECOND), 29);
  fixed.writeUInt32LE(node.devmajor, 33);
  fixed.writeUInt32LE(node.devminor, 37);
  const parts: Buffer[] = [fixed, ...text(encodeName(node.path)), ...text(encodeName(node.linkname))];
  for (const [name, value] of node.xattrs) parts.push(...text(encodeName(name)), u32(value.length), value);
  return framed(FRAME.entry, parts);
}

/** Everything of a data frame but its bytes. */
export function encodeDataHead(offset: number, bytes: number): Buffer {
  const whole = Buffer.allocUnsafe(HEAD_BYTES + 8);
  head(FRAME.data, 8 + bytes).copy(whole);
  whole.writeBigUInt64LE(BigInt(offset), HEAD_BYTES);
  return whole;
}

export function encodeEnd(): Buffer {
  return framed(FRAME.end, []);
}
