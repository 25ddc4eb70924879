import { CodedError } from '#kernel';
import { decodeName } from '../../tar/index.js';
import { NODE_TYPES, type TreeNode } from './frames.js';

/** The fields of one frame, in order. */
export class Fields {
  #at = 0;

  constructor(private readonly body: Buffer) {}

  get done(): boolean {
    return this.#at >= this.body.length;
  }

  u8(): number {
    return this.body.readUInt8(this.#take(1));
  }

  u32(): number {
    return this.body.readUInt32LE(this.#take(4));
  }

  u64(): number {
    return Number(this.body.readBigUInt64LE(this.#take(8)));
  }

  i64(): bigint {
    return this.body.readBigInt64LE(this.#take(8));
  }

  blob(): Buffer {
    const size = this.u32();
    const at = this.#take(size);
    return this.body.subarray(at, at + size);
  }

  text(): string {
    return decodeName(this.blob().subarray(0, -1));
  }

  #take(size: number): number {
    const at = this.#at;
    if (at + size > this.body.length) throw new CodedError('internal', 'the tree helper sent a frame that cannot be read');
    this.#at += size;
    return at;
  }
}

export function decodeNode(body: Buffer): TreeNode {
  const fields = new Fields(body);
  const type = NODE_TYPES[fields.u8()];
  if (type === undefined) throw new CodedError('internal', 'the tree helper sent a node of no known type');
  const [mode, uid, gid, size] = [fields.u32(), fields.u32(), fields.u32(), fields.u64()];
  const mtimeNs = fields.i64() * 1_000_000_000n + BigInt(fields.u32());
  const [devmajor, devminor] = [fields.u32(), fields.u32()];
  const [path, linkname] = [fields.text(), fields.text()];
  const xattrs = new Map<string, Buffer>();
  // Copied: the frame's chunk is much larger than they are.
  while (!fields.done) xattrs.set(fields.text(), Buffer.from(fields.blob()));
  return { type, path, mode, uid, gid, size, mtimeNs, linkname, devmajor, devminor, xattrs };
}

export function decodeData(body: Buffer): { offset: number; bytes: Buffer } {
  return { offset: new Fields(body).u64(), bytes: body.subarray(8) };
}

export function decodeChange(body: Buffer): { kind: number; path: string } {
  const fields = new Fields(body);
  return { kind: fields.u8(), path: fields.text() };
}

export interface TreeResult {
  /** 0: it went well. */
  readonly errno: number;
  readonly step: string;
  readonly path: string;
  readonly bytes: number;
  readonly inodes: number;
}

export function decodeResult(body: Buffer): TreeResult {
  const fields = new Fields(body);
  return { errno: fields.u32(), step: fields.text(), path: fields.text(), bytes: fields.u64(), inodes: fields.u64() };
}
