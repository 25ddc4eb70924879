import { checkMachine, renderCheck } from './checks.mjs';
import { buildNative, buildPrograms, generateDatabaseClient, installDependencies, installRuntimes } from './build-steps.mjs';
import { ensureDataFolder } from './data-folder.mjs';
import { ensureCredentials, runDemo, waitForReady } from './first-run.mjs';
import { takeLock } from './lock.mjs';
import { installPackages } from './packages.mjs';
import { Progress } from './progress.mjs';
import { endRunningPrograms, runProgram } from './run-program.mjs';
import { gatewayProgram, workerEnv } from './services/node-apps.mjs';
import { SetupError, printFailure } from './setup-error.mjs';
import { DEFAULT_DATA_DIR, START_HELP, readSettings } from './settings.mjs';
import { Supervisor } from './supervisor.mjs';

// `npm start`: from a fresh clone to a served API, and again to a served API, quickly. Plain JavaScript without dependencies: it
// runs before `npm ci`, under whatever Node ≥ 20.19 the machine has. What it starts runs under the Node of the lock file.

const began = performance.now();
const seconds = () => ((performance.now() - began) / 1000).toFixed(1);

async function checkOrRefuse(settings, progress) {
  const checks = await checkMachine(settings);
  for (const check of checks) if (check.status !== 'ok') progress.line(renderCheck(check));
  const failed = checks.filter(({ status }) => status === 'fail');
  if (failed.length > 0) throw new SetupError(`this machine is not ready: ${failed.map(({ name }) => name).join(', ')}`, { mend: 'All checks at any time: node infra/setup/doctor.mjs' });
  progress.line(`✔ machine: ${checks.length} checks`);
}

/** Everything that only the first start, or a start after `git pull`, has to do. */
async function install(progress) {
  const task = (title, work) => progress.task(title, work);
  const dependencies = task('npm packages', installDependencies);
  const system = task('system packages', installPackages);
  const programs = dependencies
    .then(() => task('database client', generateDatabaseClient))
    .then(() => task('programs', buildPrograms));
  const native = Promise.all([dependencies, system]).then(() => task('guest agent', buildNative));
  await settleAll([programs, native]);
}

/** Waits for all of them, so that nothing runs on unseen, then fails with the first failure. */
async function settleAll(promises) {
  const outcomes = await Promise.allSettled(promises);
  const failed = outcomes.find(({ status }) => status === 'rejected');
  if (failed) throw failed.reason;
}

async function serve(settings, paths, supervisor, progress) {
  await supervisor.prepare();
  const { context } = supervisor;
  const state = async () => {
    await settleAll([
      progress.task('PostgreSQL', () => supervisor.start('postgres')),
      progress.task('Redis', () => supervisor.start('redis')),
    ]);
    const migrate = gatewayProgram(context, 'main-migrate');
    await progress.task('database schema', async () => {
      await runProgram(migrate.argv, { env: migrate.env, title: 'database schema' });
    });
  };
  const runtimes = settings.prepared ? Promise.resolve() : progress.task('runtimes', (report) => installRuntimes(report, { env: workerEnv(context) }));
  await settleAll([state(), runtimes]);
  const first = await ensureCredentials(context);
  await settleAll([
    progress.task('worker', () => supervisor.start('worker')),
    progress.task('gateway', () => supervisor.start('gateway')),
  ]);
  if (supervisor.stopping) return undefined;
  await progress.task('ready to take runs', () => waitForReady(settings));
  supervisor.ready();
  return first;
}

function printWelcome(settings, paths, { credentials, isNew }, out = process.stdout) {
  out.write(`\nSandbar is ready after ${seconds()} s: ${settings.url}   (API reference: ${settings.url}/docs)\n`);
  if (isNew) out.write(`  admin key  ${credentials.adminKey}\n  tenant     ${credentials.tenant}\n  API key    ${credentials.apiKey}\nShown this once, and kept in ${paths.credentials} (readable by root only).\n`);
  else out.write(`  keys       ${paths.credentials}\n`);
  out.write(`
Next:
  ${settings.dataDir === DEFAULT_DATA_DIR ? '' : `SANDBAR_DATA_DIR=${settings.dataDir} `}npx sandbar run examples/hello.py
  KEY=$(sed -n 's/.*"apiKey": *"\\([^"]*\\)".*/\\1/p' ${paths.credentials})
  curl -H "Authorization: Bearer $KEY" -H 'content-type: application/json' -d '{"runtime":"python","code":"print(6*7)"}' '${settings.url}/v1/runs?wait=true'

Ctrl-C stops everything.\n`);
}

async function main() {
  const settings = readSettings(process.argv.slice(2));
  if (settings.help) {
    process.stdout.write(`${START_HELP}\n`);
    return;
  }
  const progress = new Progress();
  await checkOrRefuse(settings, progress);
  const paths = ensureDataFolder(settings.dataDir);
  const lock = await takeLock(paths.lock, { port: settings.port, url: settings.url });
  if (lock.holder) throw new SetupError(`Sandbar already runs on ${settings.dataDir}: process ${lock.holder.pid}, ${lock.holder.url ?? ''}`, { mend: 'Stop it with Ctrl-C in its terminal, or start another one with --data-dir and --port.' });

  const supervisor = new Supervisor(settings, paths, (line) => progress.line(line));
  const untilAsked = new Promise((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) {
      process.on(signal, () => {
        if (!supervisor.stopping) progress.line('\nStopping …');
        endRunningPrograms();
        void supervisor.stop().then(resolve);
      });
    }
  });
  try {
    // Whatever is under way, its failure after Ctrl-C is of no interest: the services are stopped, then this process ends.
    await Promise.race([untilAsked, installAndServe(settings, paths, supervisor, progress).then(() => untilAsked)]);
    progress.line('Stopped. Nothing is left running.');
  } catch (error) {
    if (!supervisor.stopping) throw error;
    await untilAsked;
  } finally {
    await supervisor.stop();
    await lock.release();
  }
}

async function installAndServe(settings, paths, supervisor, progress) {
  if (!settings.prepared) await install(progress);
  if (supervisor.stopping) return;
  const first = await serve(settings, paths, supervisor, progress);
  if (!first || supervisor.stopping) return;
  if (settings.demo) await runDemo(settings, first.credentials, (line) => progress.line(line));
  if (supervisor.stopping) return;
  printTimings(progress);
  printWelcome(settings, paths, first);
}

function printTimings(progress) {
  const phases = progress.timings().map(({ title, seconds: time }) => `${title} ${time.toFixed(1)}`);
  progress.line(`\nSeconds: ${phases.join(' · ')} (some at the same time)`);
}

try {
  await main();
  process.exit(0);
} catch (error) {
  process.exit(printFailure(error));
}
