import { pipeline } from 'node:stream/promises';
import { constants, createGunzip, createZstdCompress } from 'node:zlib';
import type { Transform } from 'node:stream';
import { CodedError, StreamGarbage, asError, errnoOf } from '#kernel';
import { DoubleBuffer } from '../../linux/index.js';
import { compressionOf, peeked } from '../compression.js';
import { zstdFrames } from './zstd-frames.js';

/** Level 1 keeps up with the unpacking on one core; higher levels save a tenth of the size for several times the time. */
const ZSTD_LEVEL = 1;
const CHUNK_BYTES = 128 * 1024;
/** Each write is a round trip to a thread. */
const BATCH_BYTES = 512 * 1024;

/**
 * The bytes, decompressed if their first ones are those of gzip or zstd.
 * @throws CodedError `unsupported` (xz, bzip2), `invalid_argument` (damaged or cut). What the source throws, likewise.
 */
export async function* decompressed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const { head, source: whole } = await peeked(source);
  const compression = compressionOf(head);
  if (compression === 'none') yield* whole;
  else if (compression === 'gzip') yield* through(whole, createGunzip({ chunkSize: CHUNK_BYTES }), 'gzip');
  else yield* translated(zstdFrames(whole, CHUNK_BYTES), 'zstd');
}

/** As blobs made here are stored. */
export async function* compressed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const transform = createZstdCompress({ chunkSize: CHUNK_BYTES, params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } });
  void feed(source, transform);
  yield* translated(transform as AsyncIterable<Uint8Array>, 'zstd');
}

function through(source: AsyncIterable<Uint8Array>, transform: Transform, format: string): AsyncGenerator<Uint8Array, void, void> {
  // A failing source destroys the transform with its error, which its iteration throws; a reader that leaves ends both.
  pipeline(source, transform).catch(() => undefined);
  return translated(transform as AsyncIterable<Uint8Array>, format);
}

async function* translated(stream: AsyncIterable<Uint8Array>, format: string): AsyncGenerator<Uint8Array, void, void> {
  const garbage = new StreamGarbage();
  try {
    for await (const chunk of stream) {
      yield chunk;
      garbage.passed(chunk.byteLength);
    }
  } catch (error) {
    if (/^(Z_|ZSTD_|ERR_ZSTD)/.test(errnoOf(error) ?? '')) throw new CodedError('invalid_argument', `not a whole and undamaged ${format} stream`, {}, { cause: error });
    throw error;
  }
}

/** As `pipeline`, in large batches. */
async function feed(source: AsyncIterable<Uint8Array>, transform: Transform): Promise<void> {
  const batches = new DoubleBuffer(BATCH_BYTES, (batch) => taken(transform, batch));
  try {
    for await (const chunk of source) await batches.add(chunk);
    await batches.finish();
    transform.end();
  } catch (error) {
    transform.destroy(asError(error));
  }
}

/** Resolves when the transform needs the bytes no longer. @throws CodedError `cancelled` when its reader has left */
function taken(transform: Transform, bytes: Buffer): Promise<void> {
  return new Promise((resolve, reject) => {
    const left = (): void => {
      reject(new CodedError('cancelled', 'the reader of the stream has left'));
    };
    if (transform.destroyed) {
      left();
      return;
    }
    transform.once('close', left);
    transform.write(bytes, (error) => {
      transform.off('close', left);
      if (error) reject(error);
      else resolve();
    });
  });
}
