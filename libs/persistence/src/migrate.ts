import { createHash, randomUUID } from 'node:crypto';
import { existsSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { CodedError } from '#kernel';
import { Client } from 'pg';
import { toCodedError } from './coded-errors.js';

/** The number under which `prisma migrate` locks too: it and this never work at the same time. */
const ADVISORY_LOCK = 72_707_369;

/** As `prisma migrate` makes it, so that either may go on where the other stopped. */
const MIGRATIONS_TABLE = `
  create table if not exists _prisma_migrations (
    id                  varchar(36) primary key not null,
    checksum            varchar(64) not null,
    finished_at         timestamptz,
    migration_name      varchar(255) not null,
    logs                text,
    rolled_back_at      timestamptz,
    started_at          timestamptz not null default now(),
    applied_steps_count integer not null default 0
  )`;

export interface MigrationReport {
  /** Names of those that this call applied, in order. */
  readonly applied: readonly string[];
  /** Names of those that a newer program has applied to this database. */
  readonly unknown: readonly string[];
}

interface Migration {
  readonly name: string;
  readonly sql: string;
  readonly checksum: string;
}

/**
 * Brings the schema up to date: every folder of prisma/migrations that the database has not seen, in order of name, each in a
 * transaction of its own. Idempotent, and safe to call from many processes at once: one works, the others wait for it.
 * @throws CodedError `failed_precondition` (an applied migration was changed or has failed; nothing was done), `unavailable`,
 * `internal` (a migration failed: it and those after it are not applied)
 */
export async function migrate(databaseUrl: string, options: { folder?: string | undefined } = {}): Promise<MigrationReport> {
  const migrations = await readMigrations(options.folder ?? migrationsFolder());
  const client = new Client({ connectionString: databaseUrl, connectionTimeoutMillis: 5000, application_name: 'sandbar-migrate' });
  // The query in hand rejects as well; without a listener the process would end.
  client.on('error', () => undefined);
  try {
    await client.connect();
    // Held by the session: PostgreSQL lets it go when this process dies.
    await client.query('select pg_advisory_lock($1)', [ADVISORY_LOCK]);
    await client.query(MIGRATIONS_TABLE);
    const seen = await appliedMigrations(client, migrations);
    const pending = migrations.filter(({ name }) => !seen.has(name));
    for (const migration of pending) await apply(client, migration);
    const known = new Set(migrations.map(({ name }) => name));
    return { applied: pending.map(({ name }) => name), unknown: [...seen].filter((name) => !known.has(name)) };
  } catch (error) {
    throw toCodedError(error);
  } finally {
    await client.end().catch(() => undefined);
  }
}

async function appliedMigrations(client: Client, migrations: readonly Migration[]): Promise<Set<string>> {
  const { rows } = await client.query<{ name: string; checksum: string; finished: boolean }>(
    `select migration_name as name, checksum, finished_at is not null as finished from _prisma_migrations where rolled_back_at is null order by started_at`,
  );
  const checksums = new Map(migrations.map(({ name, checksum }) => [name, checksum]));
  for (const { name, checksum, finished } of rows) {
    if (!finished) throw new CodedError('failed_precondition', `the migration ${name} was begun by another program and did not end: mend the database, then mark it in _prisma_migrations`, { migration: name });
    const ours = checksums.get(name);
    if (ours !== undefined && ours !== checksum) {
      throw new CodedError('failed_precondition', `the migration ${name} was changed after it had been applied: restore its migration.sql and write a new migration`, { migration: name, applied: checksum, found: ours });
    }
  }
  return new Set(rows.map(({ name }) => name));
}

async function apply(client: Client, { name, sql, checksum }: Migration): Promise<void> {
  await client.query('begin');
  try {
    await client.query(sql);
    await client.query(
      'insert into _prisma_migrations (id, checksum, migration_name, started_at, finished_at, applied_steps_count) values ($1, $2, $3, now(), clock_timestamp(), 1)',
      [randomUUID(), checksum, name],
    );
    await client.query('commit');
  } catch (error) {
    await client.query('rollback').catch(() => undefined);
    const coded = toCodedError(error);
    if (coded.code === 'unavailable') throw coded;
    throw new CodedError('internal', `the migration ${name} failed and was rolled back`, { migration: name }, { cause: error });
  }
}

async function readMigrations(folder: string): Promise<Migration[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  const names = entries.filter((entry) => entry.isDirectory()).map((entry) => entry.name);
  return Promise.all(
    names.sort().map(async (name) => {
      const sql = await readFile(join(folder, name, 'migration.sql'), 'utf8');
      return { name, sql, checksum: createHash('sha256').update(sql).digest('hex') };
    }),
  );
}

/** Above this file, whether it runs from its source or from dist. */
function migrationsFolder(): string {
  for (let folder = import.meta.dirname; ; folder = dirname(folder)) {
    const candidate = join(folder, 'prisma', 'migrations');
    if (existsSync(join(candidate, 'migration_lock.toml'))) return candidate;
    if (folder === dirname(folder)) throw new CodedError('internal', 'prisma/migrations was not found above the program');
  }
}
