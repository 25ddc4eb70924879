import { CodedError } from '#kernel';

/** One packet of Git's protocol (gitprotocol-common(5), "pkt-line Format"). */
export type Packet = { readonly kind: 'data'; readonly bytes: Buffer } | { readonly kind: 'flush' | 'delimiter' | 'end' };

const LENGTH_DIGITS = 4;
const MARKS = ['flush', 'delimiter', 'end'] as const;

export function dataPacket(text: string): string {
  return `${(Buffer.byteLength(text) + 1 + LENGTH_DIGITS).toString(16).padStart(LENGTH_DIGITS, '0')}${text}\n`;
}

export const FLUSH = '0000';
export const DELIMITER = '0001';

/** The packets of an answer. @throws CodedError `protocol_violation` (no packets, a cut one). What the source throws, likewise. */
export async function* packets(source: AsyncIterable<Uint8Array>): AsyncGenerator<Packet, void, undefined> {
  let rest: Buffer = Buffer.alloc(0);
  for await (const chunk of source) {
    rest = rest.length === 0 ? Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength) : Buffer.concat([rest, chunk]);
    for (;;) {
      const length = lengthAt(rest);
      if (length === undefined) break;
      const mark = MARKS[length];
      const end = mark === undefined ? length : LENGTH_DIGITS;
      if (end < LENGTH_DIGITS) throw new CodedError('protocol_violation', 'the answer of the Git server has a packet of an impossible length');
      if (rest.length < end) break;
      yield mark === undefined ? { kind: 'data', bytes: rest.subarray(LENGTH_DIGITS, end) } : { kind: mark };
      rest = rest.subarray(end);
    }
  }
  if (rest.length > 0) throw new CodedError('protocol_violation', 'the answer of the Git server ends in the middle of a packet');
}

/** A packet's text without its line feed. */
export function lineOf(packet: Packet): string {
  return packet.kind === 'data' ? packet.bytes.toString('utf8').replace(/\n$/, '') : '';
}

function lengthAt(bytes: Buffer): number | undefined {
  if (bytes.length < LENGTH_DIGITS) return undefined;
  const digits = bytes.toString('latin1', 0, LENGTH_DIGITS);
  if (!/^[0-9a-fA-F]{4}$/.test(digits)) throw new CodedError('protocol_violation', 'the answer of the Git server is none of its protocol');
  return Number.parseInt(digits, 16);
}
