import { peeked } from '../../images/index.js';
import { ClosingStream } from '../../tree/index.js';

const BLOCK_BYTES = 512;
const CHECKSUM = { from: 148, to: 156 };

/** The first block, as far as there is one, and all of the bytes again: to be read to their end, or left by `return`. */
export async function withHead(source: AsyncIterable<Uint8Array>): Promise<{ readonly head: Buffer; readonly bytes: ClosingStream<Uint8Array> }> {
  const iterator = source[Symbol.asyncIterator]();
  const { head, source: whole } = await peeked({ [Symbol.asyncIterator]: () => iterator }, BLOCK_BYTES);
  const close = async (): Promise<void> => {
    await iterator.return?.();
  };
  return { head, bytes: new ClosingStream(whole[Symbol.asyncIterator](), close) };
}

/** By the sum of its bytes, its own field taken as spaces: POSIX pax(1), "ustar Interchange Format". */
export function isTarHeader(block: Buffer): boolean {
  if (block.length < BLOCK_BYTES) return false;
  const digits = /^\s*([0-7]+)/.exec(block.toString('latin1', CHECKSUM.from, CHECKSUM.to))?.[1];
  let sum = 0;
  for (const [at, byte] of block.entries()) sum += at >= CHECKSUM.from && at < CHECKSUM.to ? 0x20 : byte;
  return digits !== undefined && Number.parseInt(digits, 8) === sum;
}
