import { readFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { SCOPES } from '#contracts';
import { errnoOf } from '#kernel';
import { SandbarClient } from '#sdk';
import { z } from 'zod';
import { CliError, EXIT } from './failure.js';

export interface GlobalOptions {
  readonly url?: string;
  readonly apiKey?: string;
}

export interface Credentials {
  readonly url: string;
  readonly apiKey: string;
}

const DEFAULT_URL = 'http://127.0.0.1:8080';

/** What `npm start` leaves in its data folder, for root only. */
const localSchema = z.object({ url: z.string(), adminKey: z.string(), tenant: z.string(), apiKey: z.string() });
/** What `sandbar login` keeps. */
export const loginSchema = z.object({ url: z.string(), apiKey: z.string(), scopes: z.array(z.enum(SCOPES)) });

export function loginFile(env: NodeJS.ProcessEnv = process.env): string {
  return join(env.XDG_CONFIG_HOME ?? join(homedir(), '.config'), 'sandbar', 'config.json');
}

export function dataDir(env: NodeJS.ProcessEnv = process.env): string {
  return env.SANDBAR_DATA_DIR ?? '/var/lib/sandbar';
}

/**
 * Flags, then the environment, then the login, then the credentials of the data folder of this machine. A kept key goes only to the
 * server it was kept for. `operator`: a key with the scope `admin`.
 * @throws CliError when there is none
 */
export function findCredentials(options: GlobalOptions, role: 'tenant' | 'operator', env: NodeJS.ProcessEnv = process.env): Credentials {
  const wanted = options.url ?? env.SANDBAR_URL;
  const url = wanted === undefined ? undefined : checkedUrl(wanted);
  const given = options.apiKey ?? (role === 'operator' ? (env.SANDBAR_ADMIN_KEY ?? env.SANDBAR_API_KEY) : env.SANDBAR_API_KEY);
  const kept = keptCredentials(role, env).filter((credentials) => url === undefined || sameServer(url, credentials.url));
  if (given !== undefined && given !== '') return { url: checkedUrl(url ?? kept[0]?.url ?? DEFAULT_URL), apiKey: given };
  const [first] = kept;
  if (first !== undefined) return { url: checkedUrl(url ?? first.url), apiKey: first.apiKey };
  throw new CliError(`no ${role === 'operator' ? 'admin key' : 'API key'}${url === undefined ? '' : ` for ${url}`} was found`, `Run sandbar login, set ${role === 'operator' ? 'SANDBAR_ADMIN_KEY' : 'SANDBAR_API_KEY'}, or run it as the user who started Sandbar (${join(dataDir(env), 'credentials.json')}).`);
}

function keptCredentials(role: 'tenant' | 'operator', env: NodeJS.ProcessEnv): Credentials[] {
  const login = readJson(loginFile(env), loginSchema);
  const local = readJson(join(dataDir(env), 'credentials.json'), localSchema);
  const found: Credentials[] = [];
  if (login?.scopes.includes('admin') === (role === 'operator')) found.push(login);
  if (local !== undefined) found.push({ url: local.url, apiKey: role === 'operator' ? local.adminKey : local.apiKey });
  return found;
}

export function connect(options: GlobalOptions, role: 'tenant' | 'operator' = 'tenant'): SandbarClient {
  return new SandbarClient(findCredentials(options, role));
}

export function checkedUrl(text: string): string {
  const url = URL.parse(text);
  if (url === null || !/^https?:$/.test(url.protocol)) throw new CliError(`"${text}" is not the URL of a server`, 'Such as http://127.0.0.1:8080', EXIT.usage);
  return url.href.replace(/\/$/, '');
}

function sameServer(a: string, b: string): boolean {
  const [one, other] = [URL.parse(a), URL.parse(b)];
  return one !== null && one.origin === other?.origin;
}

/** Undefined when it is not there or not for this user. @throws CliError when it is damaged */
function readJson<T>(file: string, schema: z.ZodType<T>): T | undefined {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (['ENOENT', 'EACCES', 'ENOTDIR'].includes(errnoOf(error) ?? '')) return undefined;
    throw error;
  }
  try {
    return schema.parse(JSON.parse(text));
  } catch {
    throw new CliError(`${file} is damaged`, 'Remove it and log in again: sandbar login');
  }
}
