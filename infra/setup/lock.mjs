import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { identityOf, isAlive } from './processes.mjs';
import { withSystemPath } from './run-program.mjs';
import { SetupError } from './setup-error.mjs';

/** Who holds the lock, or undefined when nobody alive does. A pid alone could be another process by now: its start time tells. */
export function lockHolder(file) {
  const holder = readHolder(file);
  return holder && isAlive(holder) ? holder : undefined;
}

/**
 * Takes the lock of a data folder for this process. The kernel decides (flock(2), held by a child because Node has no call for it):
 * of many starters one wins, and the lock of a process that was killed is free, since its child sees the end of its stdin. The file
 * itself only says who it is.
 * @returns {Promise<{ release?: () => Promise<void>, holder?: object }>} either the lock or who has it
 */
export async function takeLock(file, facts = {}) {
  const keeper = await startKeeper(`${file}.flock`);
  if (!keeper) return { holder: readHolder(file) ?? {} };
  const staged = `${file}.${process.pid}`;
  writeFileSync(staged, JSON.stringify({ ...identityOf(process.pid), ...facts }), { mode: 0o644 });
  renameSync(staged, file);
  return {
    release: () =>
      new Promise((resolve) => {
        rmSync(file, { force: true });
        if (keeper.exitCode !== null || keeper.signalCode !== null) resolve();
        keeper.ref();
        keeper.once('exit', () => resolve());
        keeper.stdin.end();
      }),
  };
}

/** A session of its own: the terminal's Ctrl-C must not end it before the services are stopped. */
function startKeeper(file) {
  // Readable by root only: whoever can open it can lock it.
  closeSync(openSync(file, 'a', 0o600));
  const keeper = spawn('flock', ['--nonblock', file, 'sh', '-c', 'echo held; exec cat'], { env: withSystemPath(process.env), detached: true, stdio: ['pipe', 'pipe', 'ignore'] });
  keeper.stdin.on('error', () => undefined);
  return new Promise((resolve, reject) => {
    keeper.once('error', (error) => reject(new SetupError(`flock: ${error.message}`, { mend: 'apt-get install util-linux' })));
    keeper.once('close', () => resolve(undefined));
    keeper.stdout.once('data', () => {
      for (const handle of [keeper, keeper.stdin, keeper.stdout]) handle.unref();
      resolve(keeper);
    });
  });
}

function readHolder(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return undefined;
  }
}
