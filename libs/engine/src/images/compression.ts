import { pipeline, Readable } from 'node:stream';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { CodedError, asError, isCodedError } from '#kernel';
import type { LayerCompression } from './media-types.js';

const HEAD_BYTES = 6;

/** The first bytes of a stream (fewer when it is shorter), and the whole stream. */
export async function peeked(source: AsyncIterable<Uint8Array>): Promise<{ readonly head: Buffer; readonly source: AsyncIterable<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  const chunks: Uint8Array[] = [];
  let bytes = 0;
  let ended = false;
  while (bytes < HEAD_BYTES && !ended) {
    const next = await iterator.next();
    if (next.done === true) ended = true;
    else {
      chunks.push(next.value);
      bytes += next.value.byteLength;
    }
  }
  const head = Buffer.concat(chunks).subarray(0, HEAD_BYTES);
  return { head, source: resumed(chunks, iterator, ended) };
}

/** By the magic numbers of RFC 1952, RFC 8878, xz and bzip2. @throws CodedError `unsupported` for the latter two */
export function compressionOf(head: Uint8Array): LayerCompression {
  const starts = (...magic: number[]): boolean => magic.every((byte, index) => head[index] === byte);
  if (starts(0x1f, 0x8b)) return 'gzip';
  if (starts(0x28, 0xb5, 0x2f, 0xfd)) return 'zstd';
  if (starts(0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00)) throw new CodedError('unsupported', 'archives compressed by xz are not taken: send it as gzip, zstd or uncompressed');
  if (starts(0x42, 0x5a, 0x68)) throw new CodedError('unsupported', 'archives compressed by bzip2 are not taken: send it as gzip, zstd or uncompressed');
  return 'none';
}

/** The plain bytes, whatever the compression. @throws CodedError `invalid_argument` for damaged data, `unsupported`. The source's own errors pass unchanged. */
export async function decompressed(source: AsyncIterable<Uint8Array>): Promise<AsyncIterable<Uint8Array>> {
  const { head, source: whole } = await peeked(source);
  const compression = compressionOf(head);
  if (compression === 'none') return whole;
  return inflated(whole, compression);
}

async function* inflated(source: AsyncIterable<Uint8Array>, compression: 'gzip' | 'zstd'): AsyncGenerator<Uint8Array, void, void> {
  const input = Readable.from(source, { objectMode: false });
  const decoder = compression === 'gzip' ? createGunzip() : createZstdDecompress();
  let failure: Error | undefined;
  input.once('error', (error) => (failure = error));
  pipeline(input, decoder, () => undefined);
  try {
    for await (const chunk of decoder) yield chunk as Buffer;
  } catch (error) {
    if (failure !== undefined) throw failure;
    if (isCodedError(error)) throw error;
    throw new CodedError('invalid_argument', `the ${compression} data is damaged or cut off`, {}, { cause: asError(error) });
  } finally {
    input.destroy();
    decoder.destroy();
  }
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
