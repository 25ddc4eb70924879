import { spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { identityOf, isAlive, sleep, waitUntil } from '../processes.mjs';
import { SetupError } from '../setup-error.mjs';

const FIRST_DELAY_MS = 200;
const LONGEST_DELAY_MS = 10_000;
/** A service that lived that long had not failed at its start: the next restart is quick again. */
const STEADY_MS = 30_000;
/** One that fails ends, which is seen at once: this is for a machine that is slow. */
const READY_TIMEOUT_MS = 180_000;

/** One service as a child process: started, watched, restarted when it ends by itself, stopped when asked. */
export class SupervisedChild {
  #service;
  #logFile;
  #tell;
  #child;
  #startedAt = 0;
  #delayMs = FIRST_DELAY_MS;
  #stopping = false;
  #ended;
  restarts = 0;
  identity;

  /** `tell({ type: 'started' | 'ended' | 'back', … })` hears of everything that changes. */
  constructor(service, logFile, tell) {
    this.#service = service;
    this.#logFile = logFile;
    this.#tell = tell;
  }

  get name() {
    return this.#service.name;
  }

  /** Resolves when the service is ready. @throws SetupError with its last words when it ends before */
  async start() {
    await this.#service.prepare();
    if (this.#stopping) return;
    this.#spawn();
    const child = this.#child;
    const ready = await waitUntil(async () => this.#child !== child || (await this.#service.isReady()), READY_TIMEOUT_MS);
    if (this.#stopping) return;
    if (!ready || this.#child !== child) throw new SetupError(`${this.name} ${ready ? 'ended at its start' : 'did not become ready'}`, { output: this.lastWords(15), mend: `Its log: ${this.#logFile}` });
    this.#watch();
  }

  #spawn() {
    const { argv, env, cwd } = this.#service.command();
    // The log's own descriptor and no pipe: the service goes on writing when the supervisor is gone.
    const log = openSync(this.#logFile, 'a', 0o600);
    // A session of its own: the terminal's Ctrl-C reaches the supervisor only, which stops the services in order.
    const child = spawn(argv[0], argv.slice(1), { env, cwd: cwd ?? '/', detached: true, stdio: ['ignore', log, log] });
    closeSync(log);
    this.#child = child;
    this.#startedAt = performance.now();
    this.#ended = new Promise((resolve) => {
      child.once('error', (error) => resolve(error.message));
      child.once('exit', (code, signal) => resolve(signal ?? `exit code ${code}`));
    });
    void this.#ended.then((how) => {
      if (this.#child === child) this.#child = undefined;
      this.#tell({ type: 'ended', name: this.name, how, expected: this.#stopping });
    });
    this.identity = child.pid === undefined ? undefined : identityOf(child.pid);
    this.#tell({ type: 'started', name: this.name, pid: child.pid });
  }

  #watch() {
    void this.#ended.then(() => {
      if (!this.#stopping && this.#child === undefined) void this.#restart(performance.now() - this.#startedAt);
    });
  }

  async #restart(livedMs) {
    if (livedMs > STEADY_MS) this.#delayMs = FIRST_DELAY_MS;
    while (!this.#stopping) {
      await sleep(this.#delayMs);
      this.#delayMs = Math.min(this.#delayMs * 2, LONGEST_DELAY_MS);
      if (this.#stopping) return;
      this.restarts += 1;
      try {
        await this.start();
        this.#tell({ type: 'back', name: this.name });
        return;
      } catch (error) {
        this.#tell({ type: 'failed', name: this.name, error });
        await this.#end('SIGKILL', 5000);
      }
    }
  }

  /** Idempotent: the service is gone when it resolves, by force when it takes too long. */
  async stop() {
    const isDown = !this.#stopping && this.#child === undefined && this.identity !== undefined;
    this.#stopping = true;
    // It has died and was to come again: what it has left behind goes by its own stop only.
    if (isDown && this.#service.tidiesUp) await this.#spawnToStop();
    await this.#end(this.#service.stopSignal, this.#service.stopTimeoutMs);
  }

  async #spawnToStop() {
    await this.#service.prepare();
    this.#spawn();
    const child = this.#child;
    await waitUntil(async () => this.#child !== child || (await this.#service.isReady()), READY_TIMEOUT_MS);
  }

  async #end(signal, timeoutMs) {
    const child = this.#child;
    if (!child) return;
    child.kill(signal);
    const timer = setTimeout(() => {
      this.#tell({ type: 'killed', name: this.name });
      child.kill('SIGKILL');
    }, timeoutMs);
    await this.#ended;
    clearTimeout(timer);
  }

  get alive() {
    return isAlive(this.identity);
  }

  lastWords(lines) {
    try {
      return readFileSync(this.#logFile, 'utf8').trimEnd().split('\n').slice(-lines).join('\n');
    } catch {
      return '';
    }
  }
}
