import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { type CodedError, isCodedError } from '#kernel';
import type { AgentEvent } from '../../runtime/index.js';
import { exitCodeOf, type ContainerExecution } from './container-execution.js';
import type { ContainerRecord } from './container-record.js';
import { planExec } from './exec-plan.js';
import type { GuestUser } from './guest-accounts.js';
import { execFailure } from './process-plan.js';
import type { ProcessEnd, ProcessSink } from './process-sink.js';

const MAX_OUTPUT_BYTES = 4096;
/** After SIGKILL; one that does not go then goes with the container. */
const KILL_GRACE_MS = 2000;
/** Could not be run, or took too long. */
const FAILED = -1;

export interface ProbeResult {
  readonly exitCode: number;
  readonly output: string;
}

export interface Probe {
  readonly argv: readonly string[];
  readonly timeoutMs: number;
  /** Nobody wants to know any more: it is killed, and an error thrown. */
  readonly signal: AbortSignal;
}

/** Runs a program in the container for the engine's own sake: nobody sees it among the execs, nothing of it is kept. */
export async function runProbe(execution: ContainerExecution, container: ContainerRecord, { argv, timeoutMs, signal }: Probe): Promise<ProbeResult> {
  const sink = new ProbeSink();
  const id = execution.newProcessId();
  execution.attach(id, sink);
  let user: GuestUser | undefined;
  try {
    await execution.users.start({ user: container.effective.user, groups: container.request.process.groups ?? [] }, {
      asking: () => { user = undefined; },
      plan: (found) => {
        user = found;
        const spec = planExec(container, { argv, env: [], workingDir: '', user: '', tty: false, openStdin: false, privileged: false, clientConfig: {} }, { id, user: found, size: undefined });
        // A worker that dies leaves none behind.
        return Promise.resolve({ ...spec, tied: true });
      },
    });
    if (await over(sink, timeoutMs, signal)) return sink.result();
    await execution.talk((agent) => agent.signal(id, constants.signals.SIGKILL)).catch(() => undefined);
    await over(sink, KILL_GRACE_MS, AbortSignal.any([]));
    signal.throwIfAborted();
    return { exitCode: FAILED, output: `Health check exceeded timeout (${timeoutMs / 1000}s)` };
  } catch (error) {
    if (!isCodedError(error) || error.code === 'unavailable' || signal.aborted) throw error;
    return { exitCode: FAILED, output: failureOf(container, argv, user, error) };
  } finally {
    execution.detach(id);
  }
}

function failureOf(container: ContainerRecord, argv: readonly string[], user: GuestUser | undefined, error: CodedError): string {
  return execFailure({ path: argv[0] ?? '', workingDir: container.effective.workingDir }, user, error).message.slice(0, MAX_OUTPUT_BYTES);
}

async function over(sink: ProbeSink, ms: number, signal: AbortSignal): Promise<boolean> {
  const quit = new AbortController();
  try {
    return await Promise.race([sink.ended.then(() => true), sleep(ms, false, { signal: AbortSignal.any([quit.signal, signal]) }).catch(() => false)]);
  } finally {
    quit.abort();
  }
}

/** Keeps the beginning of the output, and how it ended. */
class ProbeSink implements ProcessSink {
  readonly oldestPending = undefined;
  readonly crowded = false;
  private readonly over = Promise.withResolvers<ProcessEnd>();
  private readonly chunks: Buffer[] = [];
  private bytes = 0;
  private exitCode = FAILED;

  get ended(): Promise<ProcessEnd> {
    return this.over.promise;
  }

  result(): ProbeResult {
    const output = Buffer.concat(this.chunks).subarray(0, MAX_OUTPUT_BYTES).toString('utf8');
    return { exitCode: this.exitCode, output: this.bytes > MAX_OUTPUT_BYTES ? `${output}...` : output };
  }

  connect(): void {
    // What it has written is here, or not wanted.
  }

  take(event: AgentEvent): void {
    if (event.type === 'output') {
      if (this.bytes < MAX_OUTPUT_BYTES) this.chunks.push(Buffer.from(event.data));
      this.bytes += event.data.length;
    } else if (event.type === 'exit') {
      const { exitCode, signal } = event.exit;
      const timeUs = event.timeUs;
      this.finish(signal === null ? { type: 'exited', value: exitCode ?? FAILED, timeUs } : { type: 'signalled', value: signal, timeUs });
    }
  }

  settled(): Promise<void> {
    return Promise.resolve();
  }

  conclude(_start: number, end: ProcessEnd): void {
    this.finish(end);
  }

  private finish(end: ProcessEnd): void {
    this.exitCode = exitCodeOf(end);
    this.over.resolve(end);
  }
}
