import type { Ipv4 } from '../ipv4.js';

/** Messages of the DNS (RFC 1035, 4), as far as a resolver needs that answers for some names and hands on the rest. Every byte comes from a stranger. */
export const TYPE = { a: 1, cname: 5, ptr: 12, aaaa: 28, opt: 41 } as const;
export const RCODE = { none: 0, format: 1, server: 2, name: 3, notImplemented: 4, refused: 5 } as const;
export const CLASS_IN = 1;

const HEADER_BYTES = 12;
const MAX_NAME_BYTES = 255;
const MAX_LABEL_BYTES = 63;
const PLAIN_UDP_BYTES = 512;
/** More than any network delivers in one piece. */
const MAX_UDP_BYTES = 1232;
const MAX_RECORDS = 256;
const POINTER = 0xc0;

export interface Question {
  readonly id: number;
  readonly flags: number;
  /** In lower case, without the last dot; undefined when it holds bytes that no host's name has. */
  readonly name: string | undefined;
  readonly type: number;
  readonly class: number;
  /** Name, type and class, as they came. */
  readonly wire: Buffer;
  /** What the asker takes in a datagram. */
  readonly udpBytes: number;
}

export interface AddressRecord {
  readonly address: Ipv4;
  readonly ttlSeconds: number;
}

/** `id`: the header at least could be read, so the fault can be told. */
export type ParsedQuestion = { readonly question: Question } | { readonly fault: number; readonly id: number; readonly flags: number } | undefined;

export function parseQuestion(message: Buffer): ParsedQuestion {
  if (message.length < HEADER_BYTES) return undefined;
  const [id, flags] = [message.readUInt16BE(0), message.readUInt16BE(2)];
  // An answer: whoever answers it makes two resolvers talk for ever.
  if ((flags & 0x8000) !== 0) return undefined;
  if ((flags & 0x7800) !== 0) return { fault: RCODE.notImplemented, id, flags };
  if (message.readUInt16BE(4) !== 1) return { fault: RCODE.format, id, flags };
  const name = readName(message, HEADER_BYTES);
  if (name === undefined || name.end + 4 > message.length) return { fault: RCODE.format, id, flags };
  const end = name.end + 4;
  const type = message.readUInt16BE(name.end);
  return { question: { id, flags, name: hostName(name.labels), type, class: message.readUInt16BE(name.end + 2), wire: message.subarray(HEADER_BYTES, end), udpBytes: udpBytesOf(message, end) } };
}

/** The size of EDNS (RFC 6891, 6.1.2) when the additional records are just that one. */
function udpBytesOf(message: Buffer, at: number): number {
  const counts = [message.readUInt16BE(6), message.readUInt16BE(8), message.readUInt16BE(10)].join();
  if (counts !== '0,0,1' || at + 11 > message.length || message.readUInt8(at) !== 0 || message.readUInt16BE(at + 1) !== TYPE.opt) return PLAIN_UDP_BYTES;
  return Math.min(MAX_UDP_BYTES, Math.max(PLAIN_UDP_BYTES, message.readUInt16BE(at + 3)));
}

interface WireName {
  readonly labels: readonly Buffer[];
  readonly end: number;
}

/** Pointers lead backwards only, so that it ends. undefined: malformed. */
function readName(message: Buffer, start: number): WireName | undefined {
  const labels: Buffer[] = [];
  let [at, lowest, end, total] = [start, start, -1, 0];
  for (;;) {
    if (at >= message.length) return undefined;
    const length = message.readUInt8(at);
    if ((length & POINTER) === POINTER) {
      if (at + 2 > message.length) return undefined;
      if (end < 0) end = at + 2;
      at = message.readUInt16BE(at) & 0x3fff;
      if (at >= lowest) return undefined;
      lowest = at;
      continue;
    }
    if (length > MAX_LABEL_BYTES) return undefined;
    at += 1;
    total += length + 1;
    if (total > MAX_NAME_BYTES || at + length > message.length) return undefined;
    if (length === 0) return { labels, end: end < 0 ? at : end };
    labels.push(message.subarray(at, at + length));
    at += length;
  }
}

function hostName(labels: readonly Buffer[]): string | undefined {
  const texts = labels.map((label) => label.toString('latin1'));
  return texts.every((text) => /^[A-Za-z0-9_-]+$/.test(text)) ? texts.join('.').toLowerCase() : undefined;
}

/** The bytes of a name of our own, without compression. undefined: it is too long for one. */
function writeName(name: string): Buffer | undefined {
  const labels = name.split('.').map((label) => Buffer.from(label, 'latin1'));
  if (labels.some(({ length }) => length === 0 || length > MAX_LABEL_BYTES)) return undefined;
  const bytes = Buffer.concat([...labels.flatMap((label) => [Buffer.of(label.length), label]), Buffer.of(0)]);
  return bytes.length > MAX_NAME_BYTES ? undefined : bytes;
}

function header(id: number, flags: number, counts: readonly [questions: number, answers: number]): Buffer {
  const bytes = Buffer.alloc(HEADER_BYTES);
  bytes.writeUInt16BE(id, 0);
  bytes.writeUInt16BE(flags, 2);
  bytes.writeUInt16BE(counts[0], 4);
  bytes.writeUInt16BE(counts[1], 6);
  return bytes;
}

/** An answer, recursion available; what the asker wished (RD) stands in it. */
function answerFlags(flags: number, rcode: number, more = 0): number {
  return 0x8080 | (flags & 0x0100) | more | rcode;
}

/** That something is wrong, without the question: it could not be read. */
export function faultAnswer({ id, flags, fault }: { readonly id: number; readonly flags: number; readonly fault: number }): Buffer {
  return header(id, answerFlags(flags, fault), [0, 0]);
}

export function emptyAnswer({ id, flags, wire }: Question, rcode: number): Buffer {
  return Buffer.concat([header(id, answerFlags(flags, rcode), [1, 0]), wire]);
}

/** What does not fit `maxBytes` is left out and said so (TC): the asker comes again over TCP. */
function answerWith({ id, flags, wire }: Question, records: readonly Buffer[], maxBytes: number): Buffer {
  const authoritative = 0x0400;
  const bytes = HEADER_BYTES + wire.length + records.reduce((sum, { length }) => sum + length, 0);
  if (bytes > maxBytes) return Buffer.concat([header(id, answerFlags(flags, RCODE.none, authoritative | 0x0200), [1, 0]), wire]);
  return Buffer.concat([header(id, answerFlags(flags, RCODE.none, authoritative), [1, records.length]), wire, ...records]);
}

/** The owner of each record is the question's name, named by a pointer to it. */
function record(type: number, ttlSeconds: number, data: Buffer): Buffer {
  const head = Buffer.alloc(12);
  head.writeUInt16BE((POINTER << 8) | HEADER_BYTES, 0);
  head.writeUInt16BE(type, 2);
  head.writeUInt16BE(CLASS_IN, 4);
  head.writeUInt32BE(ttlSeconds, 6);
  head.writeUInt16BE(data.length, 10);
  return Buffer.concat([head, data]);
}

export function addressAnswer(question: Question, addresses: readonly AddressRecord[], maxBytes: number): Buffer {
  const records = addresses.map(({ address, ttlSeconds }) => {
    const data = Buffer.alloc(4);
    data.writeUInt32BE(address);
    return record(TYPE.a, ttlSeconds, data);
  });
  return answerWith(question, records, maxBytes);
}

export function nameAnswer(question: Question, name: string, ttlSeconds: number, maxBytes: number): Buffer {
  const data = writeName(name);
  return data === undefined ? emptyAnswer(question, RCODE.name) : answerWith(question, [record(TYPE.ptr, ttlSeconds, data)], maxBytes);
}

export interface UpstreamAnswer {
  readonly rcode: number;
  readonly truncated: boolean;
  /** IPv4 addresses among the answers, whatever their owner: a chain of aliases leads there. */
  readonly addresses: readonly AddressRecord[];
}

/** undefined: malformed, or no answer to this question. The case of letters may differ. */
export function parseAnswer(message: Buffer, id: number, question: Question): UpstreamAnswer | undefined {
  if (!answers(message, id, question)) return undefined;
  const flags = message.readUInt16BE(2);
  const count = message.readUInt16BE(6);
  if (count > MAX_RECORDS) return undefined;
  const addresses: AddressRecord[] = [];
  let at = HEADER_BYTES + question.wire.length;
  const truncated = (flags & 0x0200) !== 0;
  for (let index = 0; index < count; index += 1) {
    const owner = readName(message, at);
    if (owner === undefined || owner.end + 10 > message.length) return truncated ? { rcode: flags & 15, truncated, addresses: [] } : undefined;
    const data = owner.end + 10;
    const size = message.readUInt16BE(owner.end + 8);
    if (data + size > message.length) return truncated ? { rcode: flags & 15, truncated, addresses: [] } : undefined;
    if (message.readUInt16BE(owner.end) === TYPE.a && message.readUInt16BE(owner.end + 2) === CLASS_IN && size === 4) {
      addresses.push({ address: message.readUInt32BE(data), ttlSeconds: message.readUInt32BE(owner.end + 4) & 0x7fff_ffff });
    }
    at = data + size;
  }
  return { rcode: flags & 15, truncated, addresses };
}

/** Whether it is an answer to that question: nobody but the server knows the number. */
export function answers(message: Buffer, id: number, { wire }: Question): boolean {
  if (message.length < HEADER_BYTES + wire.length || message.readUInt16BE(0) !== id || (message.readUInt16BE(2) & 0xf800) !== 0x8000 || message.readUInt16BE(4) !== 1) return false;
  return lowerCase(message.subarray(HEADER_BYTES, HEADER_BYTES + wire.length)).equals(lowerCase(wire));
}

function lowerCase(bytes: Buffer): Buffer {
  return Buffer.from(bytes.map((byte) => (byte >= 0x41 && byte <= 0x5a ? byte + 0x20 : byte)));
}

/** The same message with another number. */
export function withId(message: Buffer, id: number): Buffer {
  const copy = Buffer.from(message);
  copy.writeUInt16BE(id, 0);
  return copy;
}
