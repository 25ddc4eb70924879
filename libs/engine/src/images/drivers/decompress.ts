import { pipeline } from 'node:stream/promises';
import { constants, createGunzip, createZstdCompress, createZstdDecompress } from 'node:zlib';
import type { Transform } from 'node:stream';
import { CodedError, errnoOf } from '#kernel';

/** The longest of the signatures below. */
const SIGNATURE_BYTES = 6;
/** Frames that want more memory are refused: 128 MiB, as zstd(1) does. */
const ZSTD_WINDOW_LOG_MAX = 27;
/** Level 1 keeps up with the unpacking on one core; higher levels save a tenth of the size for several times the time. */
const ZSTD_LEVEL = 1;
const CHUNK_BYTES = 128 * 1024;

const SIGNATURES = [
  { name: 'gzip', bytes: Buffer.from([0x1f, 0x8b]) },
  { name: 'zstd', bytes: Buffer.from([0x28, 0xb5, 0x2f, 0xfd]) },
  { name: 'xz', bytes: Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]) },
  { name: 'bzip2', bytes: Buffer.from('BZh') },
] as const;

/**
 * The bytes, decompressed if their first ones are those of gzip (RFC 1952) or zstd (RFC 8878), whatever a media type or a name says.
 * @throws CodedError `unsupported` (xz, bzip2), `invalid_argument` (damaged or cut). What the source throws, likewise.
 */
export async function* decompressed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  const head: Uint8Array[] = [];
  let known = 0;
  try {
    while (known < SIGNATURE_BYTES) {
      const next = await iterator.next();
      if (next.done === true) break;
      head.push(next.value);
      known += next.value.byteLength;
    }
    const start = Buffer.concat(head);
    const format = SIGNATURES.find(({ bytes }) => start.subarray(0, bytes.length).equals(bytes))?.name;
    const all = resumed(start, iterator);
    if (format === undefined) yield* all;
    else if (format === 'gzip') yield* through(all, createGunzip({ chunkSize: CHUNK_BYTES }), 'gzip');
    else if (format === 'zstd') yield* through(all, createZstdDecompress({ chunkSize: CHUNK_BYTES, params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX } }), 'zstd');
    else throw new CodedError('unsupported', `archives compressed with ${format} are not taken: use gzip, zstd or none`, { format });
  } finally {
    await iterator.return?.();
  }
}

/** As blobs made here are stored. */
export function compressed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  return through(source, createZstdCompress({ chunkSize: CHUNK_BYTES, params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } }), 'zstd');
}

async function* resumed(start: Uint8Array, rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  if (start.byteLength > 0) yield start;
  for (;;) {
    const next = await rest.next();
    if (next.done === true) return;
    yield next.value;
  }
}

async function* through(source: AsyncIterable<Uint8Array>, transform: Transform, format: string): AsyncGenerator<Uint8Array, void, void> {
  // A failing source destroys the transform with its error, which the iteration below throws; a reader that leaves ends both.
  pipeline(source, transform).catch(() => undefined);
  try {
    yield* transform as AsyncIterable<Uint8Array>;
  } catch (error) {
    if (/^(Z_|ZSTD_|ERR_)/.test(errnoOf(error) ?? '')) throw new CodedError('invalid_argument', `not a whole and undamaged ${format} stream`, {}, { cause: error });
    throw error;
  }
}
