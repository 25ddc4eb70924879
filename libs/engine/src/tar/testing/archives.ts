import { Readable } from 'node:stream';
import { formatHeaderBlock, type HeaderFields } from '../header-block.js';
import { encodeName, readTar, writeTar, type ReadTarOptions, type TarEntry, type TarEntryInput } from '../index.js';
import { formatPaxRecord } from '../pax-records.js';

/** An entry with its bytes in hand. */
export type ReadEntry = Omit<TarEntry, 'content' | 'data' | 'whole'> & { readonly bytes: Buffer };

export async function gather(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of source) parts.push(part);
  return Buffer.concat(parts);
}

export async function* inChunks(bytes: Buffer, ...sizes: number[]): AsyncGenerator<Buffer, void, void> {
  await Promise.resolve();
  for (let at = 0, turn = 0; at < bytes.length; turn += 1) {
    const size = sizes.length === 0 ? 65_536 : (sizes[turn % sizes.length] ?? 1);
    yield bytes.subarray(at, at + size);
    at += size;
  }
}

export async function readAll(source: Buffer | AsyncIterable<Uint8Array>, options?: ReadTarOptions): Promise<ReadEntry[]> {
  const entries: ReadEntry[] = [];
  for await (const { content, data, whole, ...header } of readTar(Buffer.isBuffer(source) ? inChunks(source) : source, options)) {
    expect([data, whole]).not.toContain(undefined);
    entries.push({ ...header, bytes: await gather(content) });
  }
  return entries;
}

export function writeAll(entries: readonly TarEntryInput[]): Promise<Buffer> {
  return gather(writeTar(entries));
}

/** A file of root's with these bytes. */
export function fileEntry(path: string, text: string | Buffer = '', more: Partial<TarEntryInput> = {}): TarEntryInput {
  const bytes = Buffer.from(text);
  return { path, type: 'file', mode: 0o644, uid: 0, gid: 0, size: bytes.length, mtimeNs: 0n, content: Readable.from([bytes]), ...more };
}

export interface RawEntry extends Partial<Omit<HeaderFields, 'name' | 'linkname' | 'prefix'>> {
  readonly name?: string;
  readonly linkname?: string;
  readonly prefix?: string;
  readonly body?: Buffer | string;
  /** Written over the block before its checksum is made. */
  readonly patch?: readonly (readonly [offset: number, bytes: Buffer | string])[];
}

/** Header block and padded body, as hostile as asked for. */
export function rawEntry({ name = 'f', linkname = '', prefix = '', body = '', patch = [], ...fields }: RawEntry): Buffer {
  const bytes = Buffer.from(body);
  const block = formatHeaderBlock({
    mode: 0o644, uid: 0, gid: 0, size: bytes.length, mtimeSeconds: 0, typeflag: '0', devmajor: 0, devminor: 0, ...fields,
    name: encodeName(name), linkname: encodeName(linkname), prefix: encodeName(prefix),
  });
  for (const [offset, over] of patch) Buffer.from(over).copy(block, offset);
  if (patch.length > 0) signBlock(block);
  return Buffer.concat([block, bytes, Buffer.alloc((512 - (bytes.length % 512)) % 512)]);
}

export function signBlock(block: Buffer): void {
  block.fill(' ', 148, 156);
  let sum = 0;
  for (const byte of block.subarray(0, 512)) sum += byte;
  block.write(`${sum.toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
}

export function paxBody(...records: (readonly [string, string | Buffer])[]): Buffer {
  return Buffer.concat(records.map(([key, value]) => formatPaxRecord(key, Buffer.from(value))));
}

export const END = Buffer.alloc(1024);

export function archive(...entries: Buffer[]): Buffer {
  return Buffer.concat([...entries, END]);
}
