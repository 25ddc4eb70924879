import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

// Generates the Prisma client from prisma/schema.prisma, offline, unless the one there was made from the same schema by the
// same version.
const root = join(import.meta.dirname, '..', '..');
const schema = join(root, 'prisma', 'schema.prisma');
const stamp = join(root, 'libs', 'persistence', 'src', 'generated', '.made-from');
const prismaPackage = createRequire(import.meta.url).resolve('prisma/package.json');
const prisma = JSON.parse(readFileSync(prismaPackage, 'utf8'));
const wanted = createHash('sha256').update(prisma.version).update(readFileSync(schema)).digest('hex');
if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) process.exit(0);

const run = spawnSync(process.execPath, [join(dirname(prismaPackage), prisma.bin.prisma), 'generate', '--schema', schema], {
  cwd: root,
  encoding: 'utf8',
  // Generating needs no schema engine; naming any program keeps Prisma from downloading one.
  env: { ...process.env, PRISMA_SCHEMA_ENGINE_BINARY: '/bin/true', PRISMA_HIDE_UPDATE_MESSAGE: '1', CHECKPOINT_DISABLE: '1' },
});
if (run.status !== 0) {
  console.error(run.stdout + run.stderr);
  process.exit(run.status ?? 1);
}
writeFileSync(stamp, wanted);
