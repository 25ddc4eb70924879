import { CodedError } from '#kernel';
import { BLOCK_BYTES, paddingOf } from './blocks.js';
import { type Fault } from './fault.js';
import { formatHeader } from './format-header.js';
import { StagingBuffer } from './staging-buffer.js';
import { type TarEntryInput } from './tar.js';

const ZEROS = Buffer.alloc(2 * BLOCK_BYTES);

/**
 * An archive of the entries in the order given: ustar, with PAX extended headers for what ustar cannot say. The same entries make the
 * same bytes: no access or change times, no user names, nothing of this process. Ends with two zero blocks and no padding to a record,
 * since a blocking factor means nothing outside tapes. Holes of sparse files are written out as zeros.
 * @throws CodedError `invalid_argument` for an entry that cannot be archived, or whose content is not `size` bytes long; its details
 * give `entry` (from 1). Errors of the entries' own sources pass unchanged.
 */
export async function* writeTar(entries: AsyncIterable<TarEntryInput> | Iterable<TarEntryInput>): AsyncGenerator<Buffer, void, void> {
  const staging = new StagingBuffer();
  let count = 0;
  const fault: Fault = (what) => new CodedError('invalid_argument', `archive entry ${count}: ${what}`, { entry: count });
  for await (const entry of entries) {
    count += 1;
    yield* staging.add(formatHeader(entry, fault));
    const size = entry.size ?? 0;
    if (entry.type !== 'file') {
      if (size !== 0) throw fault(`it is a ${entry.type} with a body`);
      continue;
    }
    for await (const bytes of contentOf(entry, size, fault)) yield* staging.add(bytes);
    yield* staging.add(ZEROS.subarray(0, paddingOf(size)));
  }
  yield* staging.add(ZEROS);
  yield* staging.flush();
}

/** A wrong length is found before a byte too many is written. */
async function* contentOf({ content }: TarEntryInput, size: number, fault: Fault): AsyncGenerator<Uint8Array, void, void> {
  let written = 0;
  for await (const bytes of content ?? []) {
    written += bytes.length;
    if (written > size) throw fault(`its content is longer than its size, ${size} bytes`);
    yield bytes;
  }
  if (written < size) throw fault(`its content ends after ${written} of ${size} bytes`);
}
