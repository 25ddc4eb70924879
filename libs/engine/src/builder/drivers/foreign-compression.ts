import { decompressed, peeked } from '../../images/index.js';
import { confinedFilter } from '../../linux/index.js';

/** What Docker's ADD and contexts know beside the compressions of layers. An xz stream may ask for gigabytes of dictionary: what needs more than this is refused. */
const LIMITS = { memoryBytes: 256 * 1024 * 1024, cpuSeconds: 600 };
const XZ = Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00]);
const BZIP2 = Buffer.from('BZh');

/** The bytes, decompressed if their first ones are those of gzip, zstd, xz or bzip2. @throws CodedError `invalid_argument` (damaged or cut). What the source throws, likewise. */
export async function* opened(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  const { head, source: whole } = await peeked(source);
  if (head.subarray(0, XZ.length).equals(XZ)) yield* confinedFilter(['xz', '-d', '-c', `--memlimit-decompress=${LIMITS.memoryBytes / 2}`], whole, LIMITS);
  else if (head.subarray(0, BZIP2.length).equals(BZIP2)) yield* confinedFilter(['bzip2', '-d', '-c'], whole, LIMITS);
  else yield* decompressed(whole);
}
