import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { diff, root, schemaFile } from './schema-engine.mjs';

// Writes prisma/migrations/<time>_NAME/migration.sql: what leads from the schema of the last migration (each keeps a copy
// beside its SQL) to prisma/schema.prisma. Read it, and add what Prisma's schema cannot say, before committing it.
const name = process.argv[2];
if (!/^[a-z0-9_]{1,60}$/.test(name ?? '')) {
  console.error('usage: node infra/prisma/new-migration.mjs name_of_the_change');
  process.exit(2);
}
const folder = join(root, 'prisma', 'migrations');
mkdirSync(folder, { recursive: true });
const last = readdirSync(folder, { withFileTypes: true }).filter((entry) => entry.isDirectory()).map((entry) => entry.name).sort().at(-1);
const schema = readFileSync(join(root, 'prisma', 'schema.prisma'), 'utf8');
const from = last === undefined ? { tag: 'empty' } : schemaFile(readFileSync(join(folder, last, 'schema.prisma'), 'utf8'));
// The schema "public" is there in every database, and an owner of tables need not be allowed to make schemas.
const sql = (await diff({ from, to: schemaFile(schema) })).replace(/^-- CreateSchema\nCREATE SCHEMA IF NOT EXISTS "public";\n+/, '');
if (sql.trim() === '' || sql.includes('empty migration')) {
  console.log('no change');
  process.exit(0);
}
const target = join(folder, `${new Date().toISOString().replace(/\D/g, '').slice(0, 14)}_${name}`);
mkdirSync(target);
writeFileSync(join(target, 'migration.sql'), sql);
writeFileSync(join(target, 'schema.prisma'), schema);
const lock = join(folder, 'migration_lock.toml');
if (!existsSync(lock)) writeFileSync(lock, '# Written with the first migration; to be kept in version control.\nprovider = "postgresql"\n');
console.log(join(target, 'migration.sql'));
