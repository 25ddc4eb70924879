import { spawn, type ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { Writable } from 'node:stream';
import { CodedError, type ErrorCode, type Logger } from '#kernel';
import { decodeAnswer, encodeExec, encodeLaunch, FrameSplitter, type Answer } from '../spawner-frames.js';
import type { ExecRequest, LaunchRequest, Spawner, SpawnResult } from '../spawner.js';

export interface HelperSpawnerOptions {
  /** The program `sandbar-spawner`. */
  readonly program: string;
  readonly logger: Logger;
}

/** Beyond a request's own deadline: the helper kills at the deadline, so an answer that is this late will not come. */
const ANSWER_GRACE_MS = 5_000;
const ERRNO_NAMES: ReadonlyMap<number, string> = new Map(Object.entries(constants.errno).map(([name, number]) => [number, name]));
const ERRNO_CODES: Readonly<Record<string, ErrorCode>> = {
  ENOENT: 'not_found',
  EAGAIN: 'resource_exhausted',
  EMFILE: 'resource_exhausted',
  ENFILE: 'resource_exhausted',
  ENOMEM: 'resource_exhausted',
  ENOSPC: 'resource_exhausted',
  EUSERS: 'resource_exhausted',
  EDQUOT: 'resource_exhausted',
  ELOOP: 'invalid_argument',
  ENOTDIR: 'invalid_argument',
  E2BIG: 'invalid_argument',
  ENAMETOOLONG: 'invalid_argument',
};

interface Pending {
  readonly program: string;
  readonly resolve: (result: SpawnResult) => void;
  readonly reject: (error: CodedError) => void;
  readonly timer: NodeJS.Timeout;
}

/** One running helper process and the calls that wait for it. */
class Helper {
  readonly #child: ChildProcess;
  readonly #input: Writable;
  readonly #pending = new Map<number, Pending>();
  readonly #gone: Promise<void>;
  #nextId = 1;
  #alive = true;

  constructor(options: HelperSpawnerOptions, ended: (helper: Helper) => void) {
    const child = spawn(options.program, [], { stdio: ['pipe', 'pipe', 'pipe'], env: {}, cwd: '/' });
    this.#child = child;
    this.#input = child.stdin;
    const splitter = new FrameSplitter();
    child.stdout.on('data', (chunk: Buffer) => {
      try {
        for (const body of splitter.push(chunk)) this.#settle(decodeAnswer(body));
      } catch (cause) {
        options.logger.error({ err: cause }, 'spawner: unreadable answer');
        child.kill('SIGKILL');
      }
    });
    child.stderr.on('data', (chunk: Buffer) => {
      options.logger.error({ text: chunk.toString('utf8').trim() }, 'spawner: said on stderr');
    });
    this.#input.on('error', () => undefined);
    this.#gone = new Promise((resolve) => {
      const fail = (cause?: Error): void => {
        if (this.#alive) {
          this.#alive = false;
          ended(this);
        }
        this.#failAll(new CodedError('unavailable', 'the spawner ended', {}, cause === undefined ? undefined : { cause }));
        resolve();
      };
      child.once('error', fail);
      child.once('close', () => {
        fail();
      });
    });
    // The worker's other handles decide how long it lives. Node makes `pipe` stdio of socket pairs, which the types do not say.
    child.unref();
    for (const stream of [child.stdin, child.stdout, child.stderr]) (stream as unknown as { unref(): void }).unref();
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  request(program: string, timeoutMs: number, encode: (id: number) => Buffer): Promise<SpawnResult> {
    const id = this.#nextId;
    this.#nextId = (this.#nextId % 0xffff_ffff) + 1;
    const frame = encode(id);
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => {
        this.#pending.delete(id);
        reject(new CodedError('deadline_exceeded', `${program} could not be ended in time`, { program, timeoutMs }));
      }, timeoutMs + ANSWER_GRACE_MS);
      this.#pending.set(id, { program, resolve, reject, timer });
      this.#input.write(frame);
    });
  }

  async close(): Promise<void> {
    this.#alive = false;
    // Whoever waits for its end must not end before.
    this.#child.ref();
    this.#input.end();
    await this.#gone;
  }

  #settle(answer: Answer): void {
    const pending = this.#pending.get(answer.id);
    if (pending === undefined) return;
    this.#pending.delete(answer.id);
    clearTimeout(pending.timer);
    const { program } = pending;
    if (answer.timedOut) pending.reject(new CodedError('deadline_exceeded', `${program} was killed at its deadline`, { program }));
    else if (answer.kind === 'ended') pending.resolve({ exitCode: answer.exitCode, signal: answer.signal, stdout: answer.stdout, stderr: answer.stderr });
    else pending.reject(notStarted(program, answer.step, answer.errno));
  }

  #failAll(error: CodedError): void {
    for (const pending of this.#pending.values()) {
      clearTimeout(pending.timer);
      pending.reject(error);
    }
    this.#pending.clear();
  }
}

function notStarted(program: string, step: string, number: number): CodedError {
  const errno = ERRNO_NAMES.get(number) ?? `errno ${number}`;
  return new CodedError(ERRNO_CODES[errno] ?? 'internal', `${program} was not started: ${step}: ${errno}`, { program, step, errno });
}

/**
 * The spawner as a helper process (libs/engine/native/spawner). Started with the first call and again after its death; calls that
 * were in flight then fail with `unavailable`: whether their program ran is not known.
 */
export class HelperSpawner implements Spawner {
  readonly #options: HelperSpawnerOptions;
  #helper: Helper | undefined;
  #closed = false;

  constructor(options: HelperSpawnerOptions) {
    this.#options = options;
  }

  /** Starts the helper now: early, while the worker is small, the fork costs least. Idempotent. */
  start(): void {
    this.#running();
  }

  /** Of the helper; undefined when none runs. */
  get pid(): number | undefined {
    return this.#helper?.pid;
  }

  async launch(request: LaunchRequest): Promise<SpawnResult> {
    return this.#running().request(programOf(request.argv), request.timeoutMs, (id) => encodeLaunch(id, request));
  }

  async exec(request: ExecRequest): Promise<SpawnResult> {
    return this.#running().request(programOf(request.argv), request.timeoutMs, (id) => encodeExec(id, request));
  }

  async close(): Promise<void> {
    this.#closed = true;
    const helper = this.#helper;
    this.#helper = undefined;
    await helper?.close();
  }

  #running(): Helper {
    if (this.#closed) throw new CodedError('unavailable', 'the spawner is closed');
    this.#helper ??= new Helper(this.#options, (ended) => {
      if (this.#helper !== ended) return;
      this.#helper = undefined;
      this.#options.logger.error({}, 'spawner: ended; the next call starts another');
    });
    return this.#helper;
  }
}

function programOf(argv: readonly string[]): string {
  const [program] = argv;
  if (program === undefined || program === '') throw new CodedError('invalid_argument', 'an empty command line');
  return program;
}
