import { errnoOf } from '#kernel';
import { Client, escapeIdentifier } from 'pg';
import { toCodedError } from './coded-errors.js';

/** The same server and user, another database. */
export function withDatabase(databaseUrl: string, name: string): string {
  const url = new URL(databaseUrl);
  url.pathname = `/${encodeURIComponent(name)}`;
  return url.href;
}

/**
 * Idempotent. `adminUrl` names any database of the server and a user who may create one; `template`, which nobody may be
 * connected to, is copied. @throws CodedError `unavailable`
 */
export async function ensureDatabase(adminUrl: string, name: string, options: { template?: string | undefined } = {}): Promise<void> {
  await withClient(adminUrl, async (client) => {
    const { rowCount } = await client.query('select 1 from pg_database where datname = $1', [name]);
    if (rowCount !== 0) return;
    const template = options.template === undefined ? '' : ` template ${escapeIdentifier(options.template)}`;
    await client.query(`create database ${escapeIdentifier(name)}${template}`).catch((error: unknown) => {
      // Another starter was quicker (42P04, or 23505 when both were at it).
      if (!['42P04', '23505'].includes(errnoOf(error) ?? '')) throw error;
    });
  });
}

/** Ends the connections to it. Idempotent. @throws CodedError `unavailable` */
export async function dropDatabase(adminUrl: string, name: string): Promise<void> {
  await withClient(adminUrl, async (client) => {
    await client.query(`drop database if exists ${escapeIdentifier(name)} with (force)`);
  });
}

async function withClient(url: string, work: (client: Client) => Promise<void>): Promise<void> {
  const client = new Client({ connectionString: url, connectionTimeoutMillis: 5000, application_name: 'sandbar-admin' });
  client.on('error', () => undefined);
  try {
    await client.connect();
    await work(client);
  } catch (error) {
    throw toCodedError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}
