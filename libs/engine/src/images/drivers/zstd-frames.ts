import { pipeline } from 'node:stream/promises';
import { constants, createZstdDecompress, type ZstdDecompress } from 'node:zlib';
import { CodedError } from '#kernel';

/** Frames that want more memory are refused: 128 MiB, as zstd(1) does. */
const WINDOW_LOG_MAX = 27;

/**
 * Decompresses zstd frames one after the other (RFC 8878, section 3: what parallel compressors and seekable layers consist of). A stream of node:zlib ends
 * with the first frame and says nothing of what follows; its `bytesWritten` tells where that begins.
 */
export async function* zstdFrames(source: AsyncIterable<Uint8Array>, chunkSize: number): AsyncGenerator<Uint8Array, void, void> {
  const iterator = source[Symbol.asyncIterator]();
  let rest: Uint8Array[] = [];
  const pull = async (): Promise<Uint8Array | undefined> => {
    const held = rest.shift();
    if (held) return held;
    const next = await iterator.next();
    return next.done === true ? undefined : next.value;
  };
  try {
    for (let first = await pull(); first !== undefined; first = await pull()) {
      const frame = createZstdDecompress({ chunkSize, params: { [constants.ZSTD_d_windowLogMax]: WINDOW_LOG_MAX } });
      const fed = new Fed(frame);
      const feeding = feed(first, pull, fed);
      // What fails destroys the stream with its error, which the iteration throws.
      pipeline(feeding, frame).catch(() => undefined);
      yield* frame as AsyncIterable<Uint8Array>;
      // A chunk that was asked for meanwhile counts as fed.
      await feeding.return();
      rest = [...fed.unused(), ...rest];
    }
  } finally {
    await iterator.return?.();
  }
}

async function* feed(first: Uint8Array, pull: () => Promise<Uint8Array | undefined>, fed: Fed): AsyncGenerator<Uint8Array, void, void> {
  for (let chunk: Uint8Array | undefined = first; chunk !== undefined; chunk = await pull()) {
    if (chunk.byteLength === 0) continue;
    fed.add(chunk);
    yield chunk;
  }
}

/** What a stream was given and may not have used. */
class Fed {
  private chunks: Uint8Array[] = [];
  private start = 0;

  constructor(private readonly frame: ZstdDecompress) {}

  add(chunk: Uint8Array): void {
    this.trim();
    this.chunks.push(chunk);
  }

  /** @throws CodedError `invalid_argument` when none was used: it would be so again */
  unused(): Uint8Array[] {
    if (this.frame.bytesWritten === 0) throw new CodedError('invalid_argument', 'not a whole and undamaged zstd stream');
    this.trim();
    const [head, ...tail] = this.chunks;
    return head === undefined ? [] : [head.subarray(this.frame.bytesWritten - this.start), ...tail];
  }

  private trim(): void {
    for (let head = this.chunks[0]; head && this.start + head.byteLength <= this.frame.bytesWritten; head = this.chunks[0]) {
      this.start += head.byteLength;
      this.chunks.shift();
    }
  }
}
