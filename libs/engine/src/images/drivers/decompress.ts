import { pipeline } from 'node:stream/promises';
import { constants, createGunzip, createZstdCompress, createZstdDecompress } from 'node:zlib';
import type { Transform } from 'node:stream';
import { CodedError, errnoOf } from '#kernel';
import { compressionOf, peeked } from '../compression.js';
import { cutAtFrames } from './zstd-frames.js';

/** Frames that want more memory are refused: 128 MiB, as zstd(1) does. */
const ZSTD_WINDOW_LOG_MAX = 27;
/** Level 1 keeps up with the unpacking on one core; higher levels save a tenth of the size for several times the time. */
const ZSTD_LEVEL = 1;
const CHUNK_BYTES = 128 * 1024;

/**
 * The bytes, decompressed if their first ones are those of gzip or zstd.
 * @throws CodedError `unsupported` (xz, bzip2), `invalid_argument` (damaged or cut). What the source throws, likewise.
 */
export async function* decompressed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const { head, source: whole } = await peeked(source);
  const compression = compressionOf(head);
  if (compression === 'none') yield* whole;
  else if (compression === 'gzip') yield* through(whole, createGunzip({ chunkSize: CHUNK_BYTES }), 'gzip');
  else yield* through(cutAtFrames(whole), createZstdDecompress({ chunkSize: CHUNK_BYTES, params: { [constants.ZSTD_d_windowLogMax]: ZSTD_WINDOW_LOG_MAX } }), 'zstd');
}

/** As blobs made here are stored. */
export function compressed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  return through(source, createZstdCompress({ chunkSize: CHUNK_BYTES, params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } }), 'zstd');
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
