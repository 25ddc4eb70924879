const BLOCK_BYTES = 512;
const CHECKSUM = { from: 148, to: 156 };

/** The first block, as far as there is one, and all of the bytes again: to be read to their end, or left by `return`. */
export async function withHead(source: AsyncIterable<Uint8Array>): Promise<{ readonly head: Buffer; readonly bytes: AsyncGenerator<Uint8Array, void, undefined> }> {
  const iterator = source[Symbol.asyncIterator]();
  const first: Uint8Array[] = [];
  let length = 0;
  let ended = false;
  while (length < BLOCK_BYTES && !ended) {
    const step = await iterator.next();
    if (step.done === true) ended = true;
    else {
      first.push(step.value);
      length += step.value.length;
    }
  }
  const bytes = chained(first, iterator);
  // Begun, so that who leaves without reading reaches its end.
  await bytes.next();
  return { head: Buffer.concat(first).subarray(0, BLOCK_BYTES), bytes };
}

/** By the sum of its bytes, its own field taken as spaces: POSIX pax(1), "ustar Interchange Format". */
export function isTarHeader(block: Buffer): boolean {
  if (block.length < BLOCK_BYTES) return false;
  const digits = /^\s*([0-7]+)/.exec(block.toString('latin1', CHECKSUM.from, CHECKSUM.to))?.[1];
  let sum = 0;
  for (const [at, byte] of block.entries()) sum += at >= CHECKSUM.from && at < CHECKSUM.to ? 0x20 : byte;
  return digits !== undefined && Number.parseInt(digits, 8) === sum;
}

/** Its first piece is nothing, for who begins it. */
async function* chained(first: readonly Uint8Array[], rest: AsyncIterator<Uint8Array>): AsyncGenerator<Uint8Array, void, undefined> {
  try {
    yield Buffer.alloc(0);
    yield* first;
    for (let step = await rest.next(); step.done !== true; step = await rest.next()) yield step.value;
  } finally {
    await rest.return?.();
  }
}
