const FRAME_MAGIC = 0xfd2fb528;
const SKIPPABLE_MAGIC = 0x184d2a50;
const DICTIONARY_BYTES = [0, 1, 2, 4] as const;
const RLE_BLOCK = 1;
const RESERVED_BLOCK = 3;

type Part = 'magic' | 'skippable size' | 'descriptor' | 'block' | 'unknown';
const HEADER_BYTES: Readonly<Record<Part, number>> = { magic: 4, 'skippable size': 4, descriptor: 1, block: 3, unknown: 0 };

/**
 * Cuts a zstd stream where its frames end (RFC 8878, 3.1). Node's decompressor takes what stands behind a frame for no part of the stream when both
 * come in one chunk, and ends without an error; behind a chunk that ends with its frame it goes on.
 */
export async function* cutAtFrames(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const frames = new Frames();
  for await (const chunk of source) yield* frames.cut(chunk);
}

class Frames {
  #part: Part = 'magic';
  readonly #header = Buffer.alloc(4);
  #known = 0;
  /** Bytes to pass before the next header, and whether the frame ends with them. */
  #body = 0;
  #isLast = false;
  #checksumBytes = 0;

  *cut(chunk: Uint8Array): Generator<Uint8Array, void, void> {
    let start = 0;
    for (let at = 0; at < chunk.byteLength; ) {
      if (this.#part === 'unknown') break;
      if (this.#body > 0) {
        const passed = Math.min(this.#body, chunk.byteLength - at);
        this.#body -= passed;
        at += passed;
      } else {
        this.#header[this.#known] = chunk[at] ?? 0;
        this.#known += 1;
        at += 1;
        if (this.#known < HEADER_BYTES[this.#part]) continue;
        this.#known = 0;
        this.#read();
      }
      if (this.#body > 0 || !this.#isLast) continue;
      this.#isLast = false;
      this.#part = 'magic';
      yield chunk.subarray(start, at);
      start = at;
    }
    if (start < chunk.byteLength) yield chunk.subarray(start);
  }

  /** What is no zstd is left to the decompressor, which says so. */
  #read(): void {
    switch (this.#part) {
      case 'magic': {
        const magic = this.#header.readUInt32LE();
        if (magic === FRAME_MAGIC) this.#part = 'descriptor';
        else this.#part = (magic & ~0xf) === SKIPPABLE_MAGIC ? 'skippable size' : 'unknown';
        return;
      }
      case 'skippable size':
        this.#body = this.#header.readUInt32LE();
        this.#isLast = true;
        return;
      case 'descriptor': {
        const descriptor = this.#header.readUInt8();
        const isSingleSegment = (descriptor & 0x20) !== 0;
        const sizeFlag = descriptor >> 6;
        const sizeBytes = sizeFlag === 0 ? Number(isSingleSegment) : 1 << sizeFlag;
        this.#body = Number(!isSingleSegment) + DICTIONARY_BYTES[(descriptor & 3) as 0 | 1 | 2 | 3] + sizeBytes;
        this.#checksumBytes = (descriptor & 4) === 0 ? 0 : 4;
        this.#part = 'block';
        return;
      }
      case 'block': {
        const header = this.#header.readUIntLE(0, 3);
        const type = (header >> 1) & 3;
        if (type === RESERVED_BLOCK) this.#part = 'unknown';
        this.#isLast = (header & 1) !== 0;
        this.#body = (type === RLE_BLOCK ? 1 : header >> 3) + (this.#isLast ? this.#checksumBytes : 0);
        return;
      }
      case 'unknown':
    }
  }
}
