#!/usr/bin/env node
import { spawn } from 'node:child_process';
import { existsSync, realpathSync } from 'node:fs';
import { constants } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

// `npx sandbar` runs under whatever Node the machine has; the program itself runs under the one of the lock file.
const checkout = join(dirname(realpathSync(fileURLToPath(import.meta.url))), '..', '..', '..');
const program = join(checkout, 'dist', 'apps', 'cli', 'src', 'main.js');
const node = join(checkout, 'node_modules', '.bin', 'node');

if (!existsSync(program)) {
  process.stderr.write(`sandbar: it is not built yet. Run npm start in ${checkout} (it installs and builds what is needed), or npm run build.\n`);
  process.exit(125);
}
if (!existsSync(node) || realpathSync(node) === realpathSync(process.execPath)) {
  await import(program);
} else {
  const child = spawn(node, [program, ...process.argv.slice(2)], { stdio: 'inherit' });
  // A terminal's Ctrl-C reaches the child by itself too, so it takes two in quick succession for one; other senders name this process only.
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`sandbar: ${node}: ${error.message}\n`);
    process.exit(125);
  });
  child.on('exit', (code, signal) => process.exit(code ?? 128 + constants.signals[signal]));
}
