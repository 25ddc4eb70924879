import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { SetupError } from './setup-error.mjs';

const TAIL_LINES = 25;
/** Administration programs live in sbin, which root's PATH lacks after a plain `su`. */
export const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const running = new Set();

/** Ends whatever set-up step is under way; used when the person presses Ctrl-C before the services run. */
export function endRunningPrograms() {
  for (const child of running) {
    try {
      process.kill(-child.pid, 'SIGTERM');
    } catch {
      // It has ended by itself.
    }
  }
}

/**
 * Runs a program to its end, in a process group of its own. `onLine` sees each line of stdout.
 * @throws SetupError with the last lines it wrote when it fails or is not there
 */
export function runProgram(argv, { cwd, env = process.env, input, onLine, title = argv[0], mend = '' } = {}) {
  return new Promise((resolve, reject) => {
    const child = spawn(argv[0], argv.slice(1), { cwd, env: withSystemPath(env), detached: true, stdio: [input === undefined ? 'ignore' : 'pipe', 'pipe', 'pipe'] });
    const tail = [];
    let stdout = '';
    running.add(child);
    const keep = (line) => {
      tail.push(line);
      if (tail.length > TAIL_LINES) tail.shift();
    };
    createInterface({ input: child.stderr }).on('line', keep);
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (onLine) onLine(line);
      else stdout += `${line}\n`;
      keep(line);
    });
    if (input !== undefined) {
      child.stdin.on('error', () => undefined);
      child.stdin.end(input);
    }
    child.on('error', (error) => {
      running.delete(child);
      reject(new SetupError(`${title}: ${error.code === 'ENOENT' ? `the program ${argv[0]} is missing` : error.message}`, { mend }));
    });
    child.on('close', (code, signal) => {
      running.delete(child);
      if (code === 0) resolve({ stdout });
      else reject(new SetupError(`${title} failed (${signal ?? `exit code ${code}`})`, { output: tail.join('\n'), mend }));
    });
  });
}

export function withSystemPath(env) {
  return { ...env, PATH: env.PATH ? `${env.PATH}:${SYSTEM_PATH}` : SYSTEM_PATH };
}
