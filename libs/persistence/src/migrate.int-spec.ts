import { execFile } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile, mkdir, readFile, appendFile, readdir } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { startTestPostgres, type TestPostgres } from '#testing';
import { migrate } from './migrate.js';

const run = promisify(execFile);
const root = join(import.meta.dirname, '..', '..', '..');
const shipped = join(root, 'prisma', 'migrations');

async function rows(url: string, sql: string): Promise<Record<string, unknown>[]> {
  const client = new Client({ connectionString: url });
  await client.connect();
  try {
    return (await client.query<Record<string, unknown>>(sql)).rows;
  } finally {
    await client.end();
  }
}

describe('migrate', () => {
  let postgres: TestPostgres;
  let folder: string;
  let first: string;

  beforeEach(async () => {
    postgres = await startTestPostgres({ migrated: false });
    folder = await mkdtemp(join(tmpdir(), 'migrations-'));
    await cp(shipped, folder, { recursive: true });
    first = (await readdir(folder)).filter((name) => name.endsWith('_init'))[0]!;
  });

  afterEach(async () => {
    await postgres.stop();
    await rm(folder, { recursive: true, force: true });
  });

  async function add(name: string, sql: string): Promise<void> {
    await mkdir(join(folder, name));
    await writeFile(join(folder, name, 'migration.sql'), sql);
  }

  it('applies what is new, once', async () => {
    expect((await migrate(postgres.url)).applied).toContain(first);
    expect(await migrate(postgres.url)).toEqual({ applied: [], unknown: [] });
    await add('20990101000000_more', 'create table more (id int);');
    expect(await migrate(postgres.url, { folder })).toEqual({ applied: ['20990101000000_more'], unknown: [] });
  });

  it('lets one of many starters work', async () => {
    const reports = await Promise.all(Array.from({ length: 6 }, () => migrate(postgres.url)));
    expect(reports.filter(({ applied }) => applied.length > 0)).toHaveLength(1);
    const recorded = await rows(postgres.url, 'select migration_name, finished_at is not null as finished, applied_steps_count from _prisma_migrations');
    expect(new Set(recorded.map((row) => row['migration_name'])).size).toBe(recorded.length);
    expect(recorded).toContainEqual({ migration_name: first, finished: true, applied_steps_count: 1 });
  });

  it('refuses an applied migration that has changed, and does nothing', async () => {
    await migrate(postgres.url, { folder });
    await appendFile(join(folder, first, 'migration.sql'), '\n-- an afterthought\n');
    await add('20990101000000_more', 'create table more (id int);');
    await expect(migrate(postgres.url, { folder })).rejects.toMatchObject({ code: 'failed_precondition', details: { migration: first } });
    expect(await rows(postgres.url, "select to_regclass('more') as more")).toEqual([{ more: null }]);
  });

  it('refuses a database that another program left half migrated', async () => {
    await migrate(postgres.url, { folder });
    await rows(postgres.url, 'update _prisma_migrations set finished_at = null');
    await expect(migrate(postgres.url, { folder })).rejects.toMatchObject({ code: 'failed_precondition' });
  });

  it('rolls a failing migration back and keeps those before it', async () => {
    await add('20990101000000_good', 'create table good (id int);');
    await add('20990102000000_bad', 'create table bad (id int); select 1/0;');
    await add('20990103000000_after', 'create table after (id int);');
    await expect(migrate(postgres.url, { folder })).rejects.toMatchObject({ code: 'internal', details: { migration: '20990102000000_bad' } });
    expect(await rows(postgres.url, "select to_regclass('good')::text as good, to_regclass('bad') as bad, to_regclass('after') as after")).toEqual([{ good: 'good', bad: null, after: null }]);
    await writeFile(join(folder, '20990102000000_bad', 'migration.sql'), 'create table bad (id int);');
    expect((await migrate(postgres.url, { folder })).applied).toEqual(['20990102000000_bad', '20990103000000_after']);
  });

  it('reports what a newer program applied', async () => {
    await add('20990101000000_more', 'create table more (id int);');
    await migrate(postgres.url, { folder });
    expect(await migrate(postgres.url)).toEqual({ applied: [], unknown: ['20990101000000_more'] });
  });

  it('says unavailable when there is no server', async () => {
    await expect(migrate('postgresql://nobody@localhost/none?host=/nonexistent')).rejects.toMatchObject({ code: 'unavailable' });
  });

  describe('drift', () => {
    const check = (schema?: string): Promise<{ stdout: string }> =>
      run(process.execPath, [join(root, 'infra', 'prisma', 'check-drift.mjs'), ...(schema === undefined ? [] : [schema])], { env: { DATABASE_URL: postgres.url } });

    it('is none: the migrations make what the schema says', async () => {
      await migrate(postgres.url);
      expect((await check()).stdout).toContain('drift: none');
    }, 20_000);

    it('is found when the schema says more than the migrations make', async () => {
      await migrate(postgres.url);
      const changed = join(folder, 'changed.prisma');
      const schema = await readFile(join(root, 'prisma', 'schema.prisma'), 'utf8');
      await writeFile(changed, schema.replace('runtime           String', 'runtime           String\n  colour            String?'));
      await expect(check(changed)).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('"colour"') });
    }, 20_000);

    it('is found when somebody changed the database', async () => {
      await migrate(postgres.url);
      await rows(postgres.url, 'drop index runs_finished_at_id_idx');
      await expect(check()).rejects.toMatchObject({ code: 1, stdout: expect.stringContaining('runs_finished_at_id_idx') });
    }, 20_000);
  });
});
