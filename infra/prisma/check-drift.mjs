import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { databaseAsItIs, diff, root, schemaFile } from './schema-engine.mjs';

// Compares the database behind DATABASE_URL, as the migrations made it, with a schema file (default prisma/schema.prisma).
// Exit 0: the same. Exit 1: the SQL on standard output would lead from the database to the schema.
const databaseUrl = process.env.DATABASE_URL;
if (databaseUrl === undefined) {
  console.error('DATABASE_URL is not set');
  process.exit(2);
}
const to = schemaFile(readFileSync(process.argv[2] ?? join(root, 'prisma', 'schema.prisma'), 'utf8'));
const sql = await diff({ from: databaseAsItIs(to), to, databaseUrl });
if (sql.trim() === '' || sql.includes('empty migration')) {
  console.log('drift: none');
  process.exit(0);
}
console.log(sql);
process.exit(1);
