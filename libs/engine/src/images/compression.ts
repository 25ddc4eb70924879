import { CodedError } from '#kernel';
import type { LayerCompression } from './media-types.js';

/** The longest magic number below. */
const HEAD_BYTES = 6;

/** The first bytes of a stream (fewer when it is shorter), and the whole stream. */
export async function peeked(source: AsyncIterable<Uint8Array>, headBytes = HEAD_BYTES): Promise<{ readonly head: Buffer; readonly source: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let ended = false;
  while (bytes < headBytes && !ended) {
    const next = await iterator.next();
    if (next.done === true) ended = true;
    else {
      chunks.push(next.value);
      bytes += next.value.byteLength;
    }
  }
  const head = Buffer.concat(chunks).subarray(0, headBytes);
  return { head, source: resumed(chunks, iterator, ended) };
}

/** By the magic numbers of RFC 1952, RFC 8878, xz and bzip2, whatever a media type or a name says. @throws CodedError `unsupported` for the latter two */
export function compressionOf(head: Uint8Array): LayerCompression {
  const starts = (...magic: number[]): boolean => magic.every((byte, index) => head[index] === byte);
  if (starts(0x1f, 0x8b)) return 'gzip';
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  // A skippable frame may come first (RFC 8878, 3.1.2).
  if (((head[0] ?? 0) & 0xf0) === 0x50 && head[1] === 0x2a && head[2] === 0x4d && head[3] === 0x18) return 'zstd';
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00)) throw new CodedError('unsupported', 'archives compressed by xz are not taken: send it as gzip, zstd or uncompressed');
  if (starts(0x42, 0x5a, 0x68)) throw new CodedError('unsupported', 'archives compressed by bzip2 are not taken: send it as gzip, zstd or uncompressed');
  return 'none';
}

async function* resumed(chunks: readonly Uint8Array[], iterator: AsyncIterator<Uint8Array>, ended: boolean): AsyncGenerator<Uint8Array, void, void> {
  let over = ended;
  try {
    yield* chunks;
    while (!over) {
      const next = await iterator.next();
      if (next.done === true) over = true;
      else yield next.value;
    }
  } finally {
    if (!over) await iterator.return?.();
  }
}
