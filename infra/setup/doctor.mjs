import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { checkMachine, renderCheck } from './checks.mjs';
import { lockHolder } from './lock.mjs';
import { missingPackages } from './packages.mjs';
import { isAlive } from './processes.mjs';
import { answers } from './services/node-apps.mjs';
import { SetupError, printFailure } from './setup-error.mjs';
import { CHECKOUT, dataPaths, nodeProgram, readSettings } from './settings.mjs';
import { readStatus } from './supervisor.mjs';

// `sandbar doctor`: what `npm start` checks, at any time, and how the services are. Changes nothing.

/** One more check each: the tools, and each service of a running instance. */
async function checkInstance(settings, paths) {
  const missing = missingPackages();
  const checks = [
    missing.length === 0
      ? { name: 'packages', status: 'ok', found: 'all there', mend: '' }
      : { name: 'packages', status: 'warn', found: `missing: ${missing.map(({ name, why }) => `${name} (${why})`).join(', ')}`, mend: `npm start installs them, or: apt-get install ${missing.map(({ name }) => name).join(' ')}` },
    existsSync(join(CHECKOUT, 'dist', 'apps')) ? { name: 'programs', status: 'ok', found: 'built', mend: '' } : { name: 'programs', status: 'warn', found: 'not built', mend: 'npm start builds them.' },
  ];
  const holder = lockHolder(paths.lock);
  if (!holder) return [...checks, { name: 'services', status: 'warn', found: `nothing runs on ${settings.dataDir}`, mend: 'npm start starts it.' }];
  const status = readStatus(paths);
  for (const [name, service] of Object.entries(status?.services ?? {})) {
    const log = `${paths.log}/${name}.log`;
    if (!isAlive(service)) checks.push({ name, status: 'fail', found: 'not running', mend: `It is started again; if not, its log says why: ${log}` });
    else if (service.restarts > 0) checks.push({ name, status: 'warn', found: `process ${service.pid}, restarted ${service.restarts} times`, mend: `Its log says why: ${log}` });
    else checks.push({ name, status: 'ok', found: `process ${service.pid}`, mend: '' });
  }
  const url = status?.url ?? settings.url;
  const ready = await answers(`${url}/health/ready`);
  checks.push(ready ? { name: 'API', status: 'ok', found: `${url} takes runs`, mend: '' } : { name: 'API', status: 'fail', found: `${url}/health/ready does not say ready`, mend: `Look into ${paths.log}/.` });
  return checks;
}

/** The engine's own search, which only root and only a program of the worker can do. Its exit code is the answer. */
function findLeaks(settings, status, asJson) {
  const program = join(CHECKOUT, 'dist', 'apps', 'worker', 'src', 'main-leaks.js');
  if (!existsSync(program)) throw new SetupError('the programs are not built', { mend: 'npm start builds them.' });
  if (process.getuid() !== 0) throw new SetupError('only root can see what sandboxes may have left', { mend: 'sudo npx sandbar doctor --leaks' });
  const args = ['--data-dir', settings.dataDir, '--cgroup-root', status?.cgroupRoot ?? settings.cgroupRoot];
  if (lockHolder(dataPaths(settings.dataDir).lock)) args.push('--running');
  if (asJson) args.push('--json');
  const child = spawn(nodeProgram(), [program, ...args], { stdio: 'inherit' });
  return new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code ?? 1));
  });
}

async function main() {
  const { values } = parseArgs({ options: { leaks: { type: 'boolean' }, json: { type: 'boolean' }, 'data-dir': { type: 'string' } } });
  const settings = readSettings(values['data-dir'] ? ['--data-dir', values['data-dir']] : []);
  const paths = dataPaths(settings.dataDir);
  if (values.leaks) return findLeaks(settings, readStatus(paths), values.json === true);
  const port = lockHolder(paths.lock)?.port ?? settings.port;
  const checks = [...(await checkMachine({ ...settings, port })), ...(await checkInstance(settings, paths))];
  const failed = checks.filter(({ status }) => status === 'fail').length;
  if (values.json) process.stdout.write(`${JSON.stringify({ ok: failed === 0, checks }, null, 2)}\n`);
  else process.stdout.write(`${checks.map(renderCheck).join('\n')}\n${failed === 0 ? 'Nothing stands in the way.' : `${failed} to mend.`}\n`);
  return failed === 0 ? 0 : 1;
}

try {
  process.exit(await main());
} catch (error) {
  process.exit(printFailure(error));
}
