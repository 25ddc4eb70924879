import { CodedError } from '#kernel';
import { paddingOf } from './blocks.js';
import { type ByteSource } from './byte-source.js';
import { type TarData, type TarExtent } from './tar.js';

const ZEROS = Buffer.alloc(65_536);

/** The bytes behind one header: `storedBytes` in the archive, spread over `size` bytes of file. */
export class EntryBody {
  readonly content: AsyncIterable<Buffer> = { [Symbol.asyncIterator]: () => this.#content() };
  readonly data: AsyncIterable<TarData> = { [Symbol.asyncIterator]: () => this.#data() };
  #left: number;
  readonly #padding: number;
  #claimed = false;
  #over = false;

  constructor(
    private readonly source: ByteSource,
    private readonly size: number,
    storedBytes: number,
    private readonly extents: readonly TarExtent[] | undefined,
  ) {
    this.#left = storedBytes;
    this.#padding = paddingOf(storedBytes);
  }

  /** As `TarEntry.whole`. */
  whole(): Buffer | undefined {
    if (this.#claimed || this.#over || this.extents !== undefined) return undefined;
    const bytes = this.source.atHand(this.#left);
    if (bytes === undefined) return undefined;
    this.#claimed = true;
    this.#left = 0;
    return bytes;
  }

  /** As `finish`, of what is at hand. False: nothing was skipped, more has to come first. */
  finishAtHand(): boolean {
    if (this.source.atHand(this.#left + this.#padding) === undefined) return false;
    this.#left = 0;
    this.#over = true;
    return true;
  }

  /** Skips what nobody read, and the padding, which may be missing at the source's end when that is allowed. */
  async finish({ allowMissingPadding }: { readonly allowMissingPadding: boolean }): Promise<void> {
    this.#over = true;
    await this.source.skip(this.#left);
    this.#left = 0;
    if (allowMissingPadding) await this.source.skipUpTo(this.#padding);
    else await this.source.skip(this.#padding);
  }

  #content(): AsyncGenerator<Buffer, void, void> {
    this.#claim();
    return this.extents === undefined ? this.#stored(this.#left) : this.#withHoles();
  }

  async *#withHoles(): AsyncGenerator<Buffer, void, void> {
    let at = 0;
    for (const { offset, length } of this.extents ?? []) {
      yield* zeros(offset - at);
      yield* this.#stored(length);
      at = offset + length;
    }
    yield* zeros(this.size - at);
  }

  async *#data(): AsyncGenerator<TarData, void, void> {
    this.#claim();
    for (const extent of this.extents ?? [{ offset: 0, length: this.#left }]) {
      let offset = extent.offset;
      for await (const bytes of this.#stored(extent.length)) {
        yield { offset, bytes };
        offset += bytes.length;
      }
    }
  }

  async *#stored(length: number): AsyncGenerator<Buffer, void, void> {
    for (let wanted = length; wanted > 0; ) {
      if (this.#over) throw new CodedError('failed_precondition', 'the archive has been read past this entry');
      const bytes = await this.source.some(wanted);
      wanted -= bytes.length;
      this.#left -= bytes.length;
      yield bytes;
    }
  }

  #claim(): void {
    if (this.#claimed || this.#over) throw new CodedError('failed_precondition', 'an entry is read once, before the next one is asked for');
    this.#claimed = true;
  }
}

function* zeros(length: number): Generator<Buffer, void, void> {
  for (let left = length; left > 0; left -= ZEROS.length) yield left < ZEROS.length ? ZEROS.subarray(0, left) : ZEROS;
}
