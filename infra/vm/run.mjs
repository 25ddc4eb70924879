import { existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { takeLock } from '../setup/lock.mjs';
import { Progress } from '../setup/progress.mjs';
import { endRunningPrograms } from '../setup/run-program.mjs';
import { SetupError, printFailure } from '../setup/setup-error.mjs';
import { CHECKOUT } from '../setup/settings.mjs';
import { VM_DIR } from './settings.mjs';

// `npm run test:v2`: the engine and the platform on Debian's own kernel with cgroup v2 alone, in a virtual machine. See README.md here.
// Words after `--` are run there instead of the whole check, by a shell in the checkout.

const CHECK = 'exec node infra/vm/guest/check.mjs';
const LOG_TAIL_LINES = 60;

async function main() {
  if (process.getuid() !== 0) throw new SetupError('only root can make the machine’s root file system', { mend: 'sudo npm run test:v2' });
  if (process.arch !== 'x64') throw new SetupError('the test machine is an x64 one', { mend: 'Run it on x64.' });
  if (!existsSync(join(CHECKOUT, 'dist', 'apps'))) throw new SetupError('the programs are not built', { mend: 'npm run build && node infra/native/build.mjs' });
  mkdirSync(VM_DIR, { recursive: true, mode: 0o711 });
  const lock = await takeLock(join(VM_DIR, 'lock'));
  if (lock.holder) throw new SetupError(`the test machine is in use by process ${lock.holder.pid}`);
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, endRunningPrograms);
  try {
    // Of a run that was killed.
    for (const name of readdirSync(VM_DIR)) if (/^(making|run)-/.test(name)) rmSync(join(VM_DIR, name), { recursive: true, force: true });
    return await bootAndRun();
  } finally {
    await lock.release();
  }
}

async function bootAndRun() {
  // Needs the build.
  const { ensureBaseImage } = await import('./base-image.mjs');
  const { makeCheckoutDisk } = await import('./checkout-disk.mjs');
  const { runMachine } = await import('./machine.mjs');
  const progress = new Progress();
  const images = await progress.task('machine', (report) => ensureBaseImage((text) => report({ text })));
  const work = mkdtempSync(join(VM_DIR, 'run-'));
  const logFile = join(VM_DIR, 'serial.log');
  try {
    const checkoutDisk = join(work, 'checkout.tar');
    const command = process.argv.slice(2).join(' ') || CHECK;
    await progress.task('checkout', () => makeCheckoutDisk({ work, command, file: checkoutDisk }));
    const exitCode = await runMachine({ images, checkoutDisk, logFile, onLine: (line) => process.stdout.write(`${line}\n`) });
    process.stdout.write(`${exitCode === 0 ? '✔' : '✘'} exit code ${exitCode}. Serial log: ${logFile}\n`);
    return exitCode;
  } catch (error) {
    if (existsSync(logFile)) process.stderr.write(`${readFileSync(logFile, 'utf8').split('\n').slice(-LOG_TAIL_LINES).join('\n')}\n`);
    throw error;
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
}

try {
  process.exit(await main());
} catch (error) {
  process.exit(printFailure(error));
}
