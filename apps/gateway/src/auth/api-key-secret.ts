import { createHash, randomBytes } from 'node:crypto';

const PREFIX = 'sbk_';
const FORM = /^sbk_[A-Za-z0-9_-]{43}$/;
/** Enough to tell keys apart in a list, too little to guess the rest: 8 of 43 characters. */
const SHOWN = PREFIX.length + 8;

/** A new key: `sbk_` and 32 random bytes as base64url. Shown once, kept nowhere. */
export function newKeySecret(): { secret: string; hash: string; prefix: string } {
  const secret = PREFIX + randomBytes(32).toString('base64url');
  return { secret, hash: hashKeySecret(secret), prefix: secret.slice(0, SHOWN) };
}

/** sha256, hex. A plain hash is right for 256 random bits: there is nothing to guess that a slow hash would protect. */
export function hashKeySecret(secret: string): string {
  return createHash('sha256').update(secret).digest('hex');
}

/** The key of an `Authorization: Bearer` header, or undefined when it is none. */
export function bearerKey(header: string | undefined): string | undefined {
  const [scheme, token, ...rest] = (header ?? '').split(' ');
  if (scheme?.toLowerCase() !== 'bearer' || token === undefined || rest.length > 0) return undefined;
  return FORM.test(token) ? token : undefined;
}
