import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join } from 'node:path';
import { checkMachine, renderCheck } from './checks.mjs';
import { buildNative, buildPrograms, generateDatabaseClient, installDependencies, installRuntimes } from './build-steps.mjs';
import { ensureDataFolder } from './data-folder.mjs';
import { takeLock } from './lock.mjs';
import { PACKAGES, TEST_PACKAGES, installPackages } from './packages.mjs';
import { ensureAccount, DATABASE_USER, GATEWAY_USER } from './accounts.mjs';
import { Progress } from './progress.mjs';
import { withSystemPath } from './run-program.mjs';
import { workerEnv } from './services/node-apps.mjs';
import { SetupError, printFailure } from './setup-error.mjs';
import { CHECKOUT, TEST_DATA_DIR, cgroupRootOf } from './settings.mjs';

// `npm test`: makes what the tests need, then types, lint, boundaries and Jest. Jest's closing line is the last one. Arguments go to
// Jest: `npm test -- --selectProjects unit`. The runtimes' images stay in SANDBAR_TEST_DATA_DIR between runs.

const settings = { dataDir: TEST_DATA_DIR, host: '127.0.0.1', port: 65_535, cgroupRoot: cgroupRootOf(TEST_DATA_DIR) };
const GATES = [['types', 'typecheck'], ['lint', 'lint'], ['boundaries', 'boundaries']];

async function prepare(progress) {
  const checks = (await checkMachine(settings)).filter(({ name }) => name !== 'port');
  for (const check of checks) if (check.status !== 'ok') progress.line(renderCheck(check));
  if (checks.some(({ status }) => status === 'fail')) throw new SetupError('this machine cannot run the tests');
  const dependencies = progress.task('npm packages', installDependencies);
  const system = progress.task('system packages', (report) => installPackages(report, [...PACKAGES, ...TEST_PACKAGES]));
  await Promise.all([dependencies, system]);
  await progress.task('database client', generateDatabaseClient);
  await Promise.all([progress.task('programs', buildPrograms), progress.task('guest agent', buildNative)]);
  for (const account of [GATEWAY_USER, DATABASE_USER]) await ensureAccount(account);
  await makeRuntimes(progress);
}

async function makeRuntimes(progress) {
  const paths = ensureDataFolder(settings.dataDir);
  const lock = await takeLock(paths.lock);
  if (lock.holder) throw new SetupError(`another test run makes the runtimes: process ${lock.holder.pid}`);
  try {
    await progress.task('runtimes', (report) => installRuntimes(report, { env: workerEnv({ paths, settings }) }));
  } finally {
    await lock.release();
  }
}

/** Runs one of package.json's scripts in this terminal. */
function script(name, args, env = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn('npm', ['run', '--silent', name, ...(args.length > 0 ? ['--', ...args] : [])], {
      cwd: CHECKOUT,
      stdio: 'inherit',
      env: withSystemPath({ ...process.env, PATH: `${join(CHECKOUT, 'node_modules', '.bin')}:${process.env.PATH}`, ...env }),
    });
    child.once('error', reject);
    child.once('exit', (code, signal) => resolve(code ?? 128 + constants.signals[signal]));
  });
}

async function main() {
  const progress = new Progress();
  await prepare(progress);
  for (const [title, name] of GATES) {
    await progress.task(title, async () => {
      const code = await script(name, []);
      if (code !== 0) throw new SetupError(`${title}: npm run ${name} ended with ${code}`);
    });
  }
  // Tests start whole platforms and measure time: more workers than cores would make each other late.
  // One suite at a time: each platform's tests look for what it has left on the whole machine.
  return script('jest', ['--maxWorkers=1', ...process.argv.slice(2)], { ENGINE_ROOT: '1', SANDBAR_TEST_DATA_DIR: TEST_DATA_DIR, NODE_ENV: 'test' });
}

try {
  process.exit(await main());
} catch (error) {
  process.exit(printFailure(error));
}
