import { hash as hashOf, type Hash } from 'node:crypto';
import { CodedError } from './errors.js';

declare const digestBrand: unique symbol;

/** `sha256:` and 64 lower-case hex digits (OCI image-spec, descriptor.md, "Digests"). */
export type Digest = string & { readonly [digestBrand]: true };

const DIGEST = /^sha256:[0-9a-f]{64}$/;

export function isDigest(value: unknown): value is Digest {
  return typeof value === 'string' && DIGEST.test(value);
}

/** @throws CodedError `invalid_argument` */
export function parseDigest(value: unknown): Digest {
  if (isDigest(value)) return value;
  throw new CodedError('invalid_argument', 'not a sha256 digest', { value: String(value).slice(0, 100) });
}

export function digestOf(content: Uint8Array | string): Digest {
  return `sha256:${hashOf('sha256', content, 'hex')}` as Digest;
}

export function finishDigest(hash: Hash): Digest {
  return `sha256:${hash.digest('hex')}` as Digest;
}

/** The hex part, which names the file that holds the bytes. */
export function digestHex(digest: Digest): string {
  return digest.slice('sha256:'.length);
}
