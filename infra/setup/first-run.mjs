import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeFileAtomic } from './data-folder.mjs';
import { waitUntil } from './processes.mjs';
import { runProgram } from './run-program.mjs';
import { spawn } from 'node:child_process';
import { answers, gatewayProgram } from './services/node-apps.mjs';
import { SetupError } from './setup-error.mjs';
import { CHECKOUT, nodeProgram } from './settings.mjs';

const READY_TIMEOUT_MS = 60_000;

/** The first tenant and its keys: made once, kept in credentials.json, whose `url` follows the present settings. */
export async function ensureCredentials(context) {
  const { paths, settings } = context;
  if (existsSync(paths.credentials)) {
    const credentials = JSON.parse(readFileSync(paths.credentials, 'utf8'));
    if (credentials.url !== settings.url) writeCredentials(paths, { ...credentials, url: settings.url });
    return { credentials, isNew: false };
  }
  const made = await bootstrap(context, []);
  // The database has first keys, but nobody knows them any more: the file is gone, or a start was cut short before it was written.
  const { adminKey, tenant, apiKey } = made.exists ? await bootstrap(context, ['--reissue']) : made;
  const credentials = { url: settings.url, adminKey, tenant, apiKey };
  writeCredentials(paths, credentials);
  return { credentials, isNew: true };
}

async function bootstrap(context, args) {
  const { argv, env } = gatewayProgram(context, 'main-bootstrap');
  const { stdout } = await runProgram([...argv, ...args], { env, title: 'making the first keys' });
  return JSON.parse(stdout.trim().split('\n').at(-1));
}

function writeCredentials(paths, credentials) {
  writeFileAtomic(paths.credentials, `${JSON.stringify(credentials, null, 2)}\n`, 0o600);
}

export async function waitForReady(settings) {
  const ready = await waitUntil(() => answers(`${settings.url}/health/ready`), READY_TIMEOUT_MS, 50);
  if (!ready) throw new SetupError(`${settings.url}/health/ready does not say that a run can be taken`, { mend: `Look into ${settings.dataDir}/log/worker.log and gateway.log.` });
}

const HELLO = `import os, platform, time
print('Hello from a sandbox: Python', platform.python_version(), flush=True)
for step in range(1, 4):
    time.sleep(0.15)
    print('  line', step, 'comes as it is written', flush=True)
print('uid', os.getuid(), 'in', os.getcwd(), 'as process', os.getpid())
`;

/** The whole way through: command line → public API → queue → sandbox → log stream → this terminal. */
export async function runDemo(settings, credentials, print) {
  print('\n$ sandbar run hello.py');
  const env = { ...process.env, SANDBAR_URL: settings.url, SANDBAR_API_KEY: credentials.apiKey };
  const child = spawn(nodeProgram(), [join(CHECKOUT, 'dist/apps/cli/src/main.js'), 'run', '-r', 'python', '-'], { env, stdio: ['pipe', 'inherit', 'inherit'] });
  child.stdin.end(HELLO);
  const code = await new Promise((resolve, reject) => {
    child.once('error', reject);
    child.once('close', resolve);
  });
  if (code !== 0) throw new SetupError(`the hello-world program ended with ${code}`, { mend: `Look into ${settings.dataDir}/log/, or run: npx sandbar doctor` });
}
