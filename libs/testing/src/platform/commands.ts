import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { join, resolve } from 'node:path';

export const CHECKOUT = resolve(import.meta.dirname, '..', '..', '..', '..');
/** The Node of the lock file: Jest may itself run under another. */
export const NODE = [join(CHECKOUT, 'node_modules', '.bin', 'node')].find(existsSync) ?? process.execPath;
export const TEST_DATA_DIR = process.env.SANDBAR_TEST_DATA_DIR ?? '/var/lib/sandbar-test';

export interface CommandResult {
  readonly exitCode: number | null;
  readonly signal: NodeJS.Signals | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a program to its end in the checkout, with the given variables on top of this process' own. */
export function runCommand(argv: readonly string[], options: { env: Readonly<Record<string, string>>; stdin?: string; cwd?: string }): Promise<CommandResult> {
  return new Promise((settle, reject) => {
    const child = spawn(argv[0] ?? '', argv.slice(1), { cwd: options.cwd ?? CHECKOUT, env: { ...withoutJest(process.env), ...options.env }, stdio: ['pipe', 'pipe', 'pipe'] });
    let stdout = '';
    let stderr = '';
    child.stdout.on('data', (chunk: Buffer) => (stdout += chunk.toString('utf8')));
    child.stderr.on('data', (chunk: Buffer) => (stderr += chunk.toString('utf8')));
    // A program that does not read its stdin is no failure of the test.
    child.stdin.on('error', () => undefined);
    child.stdin.end(options.stdin ?? '');
    child.once('error', reject);
    child.once('close', (exitCode, signal) => {
      settle({ exitCode, signal, stdout, stderr });
    });
  });
}

/** Jest's own flags for Node are not for the programs that are tested. */
export function withoutJest(env: NodeJS.ProcessEnv): NodeJS.ProcessEnv {
  return Object.fromEntries(Object.entries(env).filter(([name]) => !/^(NODE_OPTIONS|NODE_ENV|JEST_WORKER_ID)$/.test(name)));
}
