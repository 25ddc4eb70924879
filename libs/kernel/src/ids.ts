import { randomFillSync } from 'node:crypto';
import { CodedError } from './errors.js';

declare const brand: unique symbol;
type Branded<Name extends string> = string & { readonly [brand]: Name };

/** Prefix of each kind of id. An id is `<prefix>_` and 26 characters of Crockford base 32: 48 bits of time, 80 of chance. */
const PREFIXES = { tenant: 'ten', apiKey: 'key', run: 'run', sandbox: 'sbx', node: 'nod', request: 'req', operation: 'op', build: 'bld', buildSource: 'bsr', delivery: 'dlv' } as const;

export type IdKind = keyof typeof PREFIXES;
export type Id<K extends IdKind> = Branded<K>;
export type TenantId = Id<'tenant'>;
export type ApiKeyId = Id<'apiKey'>;
export type RunId = Id<'run'>;
export type SandboxId = Id<'sandbox'>;
export type NodeId = Id<'node'>;
export type RequestId = Id<'request'>;
export type OperationId = Id<'operation'>;
export type BuildId = Id<'build'>;
export type BuildSourceId = Id<'buildSource'>;
export type DeliveryId = Id<'delivery'>;

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
const TIME_BYTES = 6;
const ID_BYTES = 16;
/** Chance is asked of the system for many ids at a time; each byte is used once. */
const CHANCE = Buffer.alloc((ID_BYTES - TIME_BYTES) * 128);
let used = CHANCE.length;
const BODY = /^[0-7][0-9a-hjkmnp-tv-z]{25}$/;

/** A new id. Ids of one kind sort by the millisecond of their making. */
export function newId<K extends IdKind>(kind: K, now: number = Date.now()): Id<K> {
  if (used === CHANCE.length) {
    randomFillSync(CHANCE);
    used = 0;
  }
  const bytes = Buffer.allocUnsafe(ID_BYTES);
  bytes.writeUIntBE(now, 0, TIME_BYTES);
  used += CHANCE.copy(bytes, TIME_BYTES, used, used + ID_BYTES - TIME_BYTES);
  return `${PREFIXES[kind]}_${encode(bytes)}` as Id<K>;
}

/** Whether `value` has the form of an id of that kind. Anything else cannot name an object, hence is "not found". */
export function isId<K extends IdKind>(kind: K, value: unknown): value is Id<K> {
  if (typeof value !== 'string') return false;
  const prefix = `${PREFIXES[kind]}_`;
  return value.startsWith(prefix) && BODY.test(value.slice(prefix.length));
}

/** @throws CodedError `not_found` when `value` has not the form of such an id. */
export function parseId<K extends IdKind>(kind: K, value: unknown): Id<K> {
  if (isId(kind, value)) return value;
  throw new CodedError('not_found', `no such ${kind}`, { kind });
}

/** Milliseconds since the epoch at which an id was made. */
export function timeOfId(id: Id<IdKind>): number {
  const value = Array.from(id.slice(id.indexOf('_') + 1)).reduce((sum, digit) => (sum << 5n) | BigInt(ALPHABET.indexOf(digit)), 0n);
  return Number(value >> 80n);
}

/** 128 bits, most significant first, as 26 digits (the first holds 3 bits). */
function encode(bytes: Buffer): string {
  let text = '';
  let held = 0;
  let bits = 0;
  for (let at = bytes.length - 1; at >= 0; at -= 1) {
    held |= (bytes[at] ?? 0) << bits;
    for (bits += 8; bits >= 5; bits -= 5) {
      text = ALPHABET.charAt(held & 31) + text;
      held >>= 5;
    }
  }
  return ALPHABET.charAt(held) + text;
}
