import type { RegistryAuthBody } from '#contracts';
import { registryAuthSchema } from '#contracts';
import { pick } from './docker-body.js';
import { badParameter } from './errors.js';

const FIELDS = ['username', 'password', 'auth', 'serveraddress', 'identitytoken', 'registrytoken'] as const;

/**
 * Of the header `X-Registry-Auth` (base64 or base64url of JSON). As with Docker's engine, one that cannot be read counts as none: an anonymous
 * attempt says more to its user than a complaint about a header.
 */
export function registryAuthOf(header: string | undefined): RegistryAuthBody | undefined {
  if (header === undefined || header === '') return undefined;
  try {
    const value: unknown = JSON.parse(Buffer.from(header, 'base64url').toString('utf8'));
    return typeof value === 'object' && value !== null ? toRegistryAuth(value as Record<string, unknown>).auth : undefined;
  } catch {
    return undefined;
  }
}

/** @throws CodedError `invalid_argument` */
export function toRegistryAuth(body: Readonly<Record<string, unknown>>): { readonly auth: RegistryAuthBody | undefined; readonly serverAddress: string } {
  const given = pick(body, FIELDS);
  const text = (name: (typeof FIELDS)[number]): string => {
    const value = given[name] ?? '';
    if (typeof value !== 'string') throw badParameter(`invalid JSON: ${name}: must be a string`);
    return value;
  };
  const [user, password] = splitBasic(text('auth'));
  const members = { username: text('username') || user, password: text('password') || password, identityToken: text('identitytoken'), registryToken: text('registrytoken') };
  const present = Object.fromEntries(Object.entries(members).filter(([, value]) => value !== ''));
  const parsed = registryAuthSchema.safeParse(present);
  if (!parsed.success) throw badParameter('the credentials are too long');
  return { auth: Object.keys(present).length === 0 ? undefined : parsed.data, serverAddress: text('serveraddress') };
}

function splitBasic(auth: string): [string, string] {
  const text = Buffer.from(auth, 'base64').toString('utf8').replace(/\0+$/, '');
  const at = text.indexOf(':');
  return at < 0 ? ['', ''] : [text.slice(0, at), text.slice(at + 1)];
}
