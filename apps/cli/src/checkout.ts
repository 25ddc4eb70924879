import { spawn } from 'node:child_process';
import { constants } from 'node:os';
import { join, resolve } from 'node:path';
import { CliError, EXIT } from './failure.js';

/** dist/apps/cli/src → the folder of the clone. */
export const CHECKOUT = resolve(import.meta.dirname, '..', '..', '..', '..');

/** Runs one of set-up's programs in this terminal, and takes its exit code. */
export async function runSetupProgram(name: string, args: readonly string[]): Promise<number> {
  const child = spawn(process.execPath, [join(CHECKOUT, 'infra', 'setup', name), ...args], { stdio: 'inherit' });
  process.on('SIGINT', () => undefined);
  return new Promise((settle, reject) => {
    child.once('error', (error) => {
      reject(new CliError(`${name}: ${error.message}`, '', EXIT.sandbarFailed));
    });
    child.once('exit', (code, signal) => {
      settle(code ?? 128 + (signal === null ? 0 : constants.signals[signal]));
    });
  });
}
