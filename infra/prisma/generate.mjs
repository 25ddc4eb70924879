import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';

// Generates the Prisma client from prisma/schema.prisma, offline, unless the one there was made from the same schema by the
// same version of it and of this program.
const root = join(import.meta.dirname, '..', '..');
const schema = join(root, 'prisma', 'schema.prisma');
const stamp = join(root, 'libs', 'persistence', 'src', 'generated', '.made-from');
const prismaPackage = createRequire(import.meta.url).resolve('prisma/package.json');
const prisma = JSON.parse(readFileSync(prismaPackage, 'utf8'));
const wanted = createHash('sha256').update(prisma.version).update(readFileSync(schema)).update(readFileSync(import.meta.filename)).digest('hex');
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
readCompilerOnce(join(dirname(stamp), 'internal', 'class.ts'));
writeFileSync(stamp, wanted);

/**
 * The query compiler comes as a module of 2.3 MB of text, which a process that has imported it keeps for good, as source and as value. Read as a file it
 * is gone when it is compiled.
 */
function readCompilerOnce(file) {
  const source = readFileSync(file, 'utf8');
  const imports = /const \{ wasm \} = await import\(("[^"]+\.wasm-base64)\.mjs"\)/;
  if (!imports.test(source)) throw new Error(`${file} brings in its query compiler in another way than this program knows`);
  writeFileSync(
    file,
    source.replace(imports, (_, name) => `const { readFileSync } = await import('node:fs')
    const { createRequire } = await import('node:module')
    const wasm = /"([\\w+/=]+)"/.exec(readFileSync(createRequire(import.meta.url).resolve(${name}.js"), 'latin1'))?.[1] ?? ''`),
  );
}
