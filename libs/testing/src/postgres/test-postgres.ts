import childProcess from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { dropDatabase, ensureDatabase, migrate, withDatabase } from '#persistence';
import { startPostgresServer, type PostgresServer } from './postgres-server.js';

const TEMPLATE = 'sandbar_template';
const SHARED = Symbol.for('sandbar.testing.postgres');

export interface TestPostgres {
  /** `DATABASE_URL` of a fresh, migrated database (empty with `migrated: false`). */
  readonly url: string;
  /** Drops the database. The server stays for the next test file of the process, and ends with the process. */
  stop(): Promise<void>;
}

/** A database for one test file. The first one in a process costs a second (it starts a real PostgreSQL), each more 0.1 s. */
export async function startTestPostgres(options: { migrated?: boolean } = {}): Promise<TestPostgres> {
  const { adminUrl } = await sharedServer();
  const name = `test_${randomBytes(6).toString('hex')}`;
  await ensureDatabase(adminUrl, name, { template: options.migrated === false ? undefined : TEMPLATE });
  return { url: withDatabase(adminUrl, name), stop: () => dropDatabase(adminUrl, name) };
}

/** Jest gives each test file globals and modules of its own; what is common to all files of a process hangs on a core module. */
function sharedServer(): Promise<PostgresServer> {
  const holder = childProcess as unknown as Record<symbol, Promise<PostgresServer> | undefined>;
  return (holder[SHARED] ??= startWithTemplate());
}

async function startWithTemplate(): Promise<PostgresServer> {
  const server = await startPostgresServer();
  await ensureDatabase(server.adminUrl, TEMPLATE);
  await migrate(withDatabase(server.adminUrl, TEMPLATE));
  return server;
}
