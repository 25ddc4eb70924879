import { z } from 'zod';

/** Where Redis is, in the words of ioredis' options. */
export type RedisConnection = { readonly username?: string; readonly password?: string; readonly db: number } & (
  | { readonly path: string }
  | { readonly host: string; readonly port: number; readonly tls?: Record<string, never> }
);

const RULE = 'must be redis://, rediss:// or unix:/path?password=…&db=0';

/** Reads `redis://[user:password@]host[:port][/db]`, the same with `rediss://` (TLS), and `unix:/path?username=…&password=…&db=0`. */
export const redisUrlSchema = z.string().transform((text, context): RedisConnection => {
  const connection = parseRedisUrl(text);
  if (connection !== undefined) return connection;
  context.issues.push({ code: 'custom', input: text, message: RULE });
  return z.NEVER;
});

export function parseRedisUrl(text: string): RedisConnection | undefined {
  try {
    return text.startsWith('unix:') ? parseSocket(text.slice('unix:'.length)) : parseHost(new URL(text));
  } catch {
    // `new URL` and `decodeURIComponent` refuse what they cannot read; their messages would repeat the password.
    return undefined;
  }
}

function parseSocket(text: string): RedisConnection | undefined {
  const mark = text.indexOf('?');
  const path = decodeURIComponent((mark === -1 ? text : text.slice(0, mark)).replace(/^\/\/(?=\/)/, ''));
  const query = new URLSearchParams(mark === -1 ? '' : text.slice(mark + 1));
  const db = parseDatabase(query.get('db') ?? '');
  if (!path.startsWith('/') || path.includes('\0') || db === undefined) return undefined;
  if ([...query.keys()].some((key) => !['username', 'password', 'db'].includes(key))) return undefined;
  return { path, db, ...credentials(query.get('username'), query.get('password')) };
}

function parseHost(url: URL): RedisConnection | undefined {
  const db = parseDatabase(url.pathname.replace(/^\//, ''));
  if (!['redis:', 'rediss:'].includes(url.protocol) || url.hostname === '' || db === undefined || url.search !== '' || url.hash !== '') return undefined;
  return {
    host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
    port: url.port === '' ? 6379 : Number(url.port),
    db,
    ...(url.protocol === 'rediss:' ? { tls: {} } : {}),
    ...credentials(decodeURIComponent(url.username), decodeURIComponent(url.password)),
  };
}

function parseDatabase(text: string): number | undefined {
  if (text === '') return 0;
  return /^\d{1,5}$/.test(text) ? Number(text) : undefined;
}

function credentials(username: string | null, password: string | null): { username?: string; password?: string } {
  return { ...(username === null || username === '' ? {} : { username }), ...(password === null || password === '' ? {} : { password }) };
}
