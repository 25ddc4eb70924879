import { isUtf8 } from 'node:buffer';
import type { Encoding } from '#contracts';

/** How many bytes a UTF-8 sequence that begins with `lead` has; 0 when none begins so (RFC 3629, section 3). */
function sequenceLength(lead: number): number {
  if (lead < 0x80) return 1;
  if (lead >= 0xc2 && lead <= 0xdf) return 2;
  if (lead >= 0xe0 && lead <= 0xef) return 3;
  if (lead >= 0xf0 && lead <= 0xf4) return 4;
  return 0;
}

/** How many bytes at the end (0 … 3) may be the beginning of a character whose rest has not come yet. */
export function incompleteTail(bytes: Uint8Array): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back += 1) {
    const byte = bytes[bytes.length - back] ?? 0;
    if ((byte & 0xc0) === 0x80) continue;
    return sequenceLength(byte) > back ? back : 0;
  }
  return 0;
}

/**
 * One stream of bytes, cut only between characters: a reader's buffer ends anywhere, and half a character at the end of a chunk
 * must not turn the chunk into "not text". Bytes that are no text pass as they are.
 */
export class Utf8Splitter {
  constructor(private tail: Buffer = Buffer.alloc(0)) {}

  /** At most 3 bytes that wait for the rest of their character. */
  get held(): Buffer {
    return this.tail;
  }

  push(data: Buffer): Buffer {
    const bytes = this.tail.length === 0 ? data : Buffer.concat([this.tail, data]);
    const cut = bytes.length - incompleteTail(bytes);
    this.tail = Buffer.from(bytes.subarray(cut));
    return bytes.subarray(0, cut);
  }

  /** What is still held, as it is: the stream is over. */
  flush(): Buffer {
    const rest = this.tail;
    this.tail = Buffer.alloc(0);
    return rest;
  }
}

export function encodeBytes(bytes: Buffer): { data: string; encoding: Encoding } {
  return isUtf8(bytes) ? { data: bytes.toString('utf8'), encoding: 'utf8' } : { data: bytes.toString('base64'), encoding: 'base64' };
}
