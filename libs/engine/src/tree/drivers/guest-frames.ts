import { CodedError } from '#kernel';
import type { GuestAttributes, GuestEvent, GuestFile } from '../guest-trees.js';
import { Fields } from './frame-fields.js';
import { text } from './frames.js';
import { encodeName } from '../../tar/index.js';

const KINDS = ['file', 'directory', 'symlink', 'char', 'block', 'fifo', 'socket'] as const satisfies readonly GuestFile['kind'][];
const EVENTS = ['ready', 'created', 'modified', 'deleted', 'moved', 'overflow'] as const satisfies readonly GuestEvent['kind'][];
const NOT_SAID = 0xffff_ffff;
const TO_THE_END = 0xffff_ffff_ffff_ffffn;

export function decodeFound(body: Buffer): GuestFile {
  const fields = new Fields(body);
  const kind = KINDS[fields.u8()];
  if (kind === undefined) throw new CodedError('internal', 'the tree helper found a file of no known kind');
  const [mode, uid, gid, size] = [fields.u32(), fields.u32(), fields.u32(), fields.u64()];
  const mtimeNs = fields.i64() * 1_000_000_000n + BigInt(fields.u32());
  return { kind, mode, uid, gid, size, mtimeNs, path: fields.text(), linkTarget: fields.text(), resolvedTarget: fields.text() };
}

export function decodeEvent(body: Buffer): GuestEvent {
  const fields = new Fields(body);
  const kind = EVENTS[fields.u8()];
  if (kind === undefined) throw new CodedError('internal', 'the tree helper told an event of no known kind');
  return { kind, directory: fields.u8() === 1, path: fields.text(), to: fields.text() };
}

export function rangeFields({ offset, length }: { readonly offset: number; readonly length?: number }): Buffer {
  const bytes = Buffer.alloc(16);
  bytes.writeBigInt64LE(BigInt(offset));
  bytes.writeBigUInt64LE(length === undefined ? TO_THE_END : BigInt(length), 8);
  return bytes;
}

export function attributeFields({ mode = NOT_SAID, uid = NOT_SAID, gid = NOT_SAID }: GuestAttributes): Buffer {
  const bytes = Buffer.alloc(12);
  for (const [at, value] of [mode, uid, gid].entries()) bytes.writeUInt32LE(value, at * 4);
  return bytes;
}

export function pathField(path: string): Buffer {
  return Buffer.concat(text(encodeName(path)));
}
