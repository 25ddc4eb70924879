import { constants } from 'node:os';
import { CodedError, isCodedError } from '#kernel';
import type { AgentEvent } from '../../runtime/index.js';
import type { ExecSpec } from '../processes.js';
import { exitCodeOf, type ContainerExecution } from './container-execution.js';
import type { ContainerRecord } from './container-record.js';
import { planExec, workingDirOf } from './exec-plan.js';
import type { GuestUser } from './guest-accounts.js';
import { lookUpUser } from './guest-lookup.js';
import { execFailure } from './process-plan.js';
import { endOf, type ProcessEnd, type ProcessSink } from './process-sink.js';

export interface ProbeRequest {
  readonly argv: readonly string[];
  /** Beyond it the command is killed, with its process group. */
  readonly timeoutMs: number;
  /** Of output, both streams together; what is beyond is dropped. */
  readonly maxBytes: number;
}

export interface ProbeResult {
  readonly exitCode: number;
  readonly output: Buffer;
  readonly timedOut: boolean;
}

/**
 * Runs a command in a container as its own user and tells how it went. Nothing is kept of it, and it dies with the connection to the agent: no worker finds it again.
 * @throws CodedError `invalid_argument` with details.exitCode (it cannot be started), `unavailable` (the container has ended)
 */
export async function probeContainer(container: ContainerRecord, execution: ContainerExecution, { argv, timeoutMs, maxBytes }: ProbeRequest): Promise<ProbeResult> {
  const spec: ExecSpec = { argv, env: [], workingDir: '', user: '', tty: false, openStdin: false, privileged: false, clientConfig: {} };
  const id = execution.newProcessId();
  const sink = new ProbeSink(maxBytes);
  let user: GuestUser | undefined;
  execution.attach(id, sink);
  const timer = setTimeout(() => { sink.giveUp(); }, timeoutMs);
  try {
    // Not again over another connection: that it died with the one is its end.
    const { agent } = execution;
    void agent.closed.then(() => { sink.conclude(execution.start, KILLED); });
    user = await lookUpUser(agent, container.effective.user, container.request.process.groups ?? []);
    await agent.start({ ...planExec(container, spec, { id, user, size: undefined }), tied: true });
    if (await sink.gaveUp()) await agent.signal(id, constants.signals.SIGKILL);
    return await sink.result();
  } catch (error) {
    if (!isCodedError(error) || error.code === 'unavailable') throw error;
    const { exitCode, message } = execFailure({ path: argv[0] ?? '', workingDir: workingDirOf(container, spec) }, user, error);
    throw new CodedError('invalid_argument', message, { exitCode }, { cause: error });
  } finally {
    clearTimeout(timer);
    execution.detach(id);
  }
}

const KILLED: ProcessEnd = { type: 'signalled', value: constants.signals.SIGKILL, timeUs: 0 };

/** Keeps the beginning of what comes. Nothing of it outlives the worker, so nothing is waited for. */
class ProbeSink implements ProcessSink {
  readonly oldestPending = undefined;
  readonly crowded = false;
  private readonly pieces: Buffer[] = [];
  private left: number;
  private readonly ended = Promise.withResolvers<Pick<ProcessEnd, 'type' | 'value'>>();
  private readonly late = Promise.withResolvers<true>();
  private timedOut = false;

  constructor(maxBytes: number) {
    this.left = maxBytes;
  }

  connect(): void {
    // It asks nothing of who brings the events.
  }

  take(event: AgentEvent): void {
    if (event.type === 'exit') this.ended.resolve(endOf(event.exit));
    if (event.type !== 'output' || this.left === 0) return;
    // A copy: the piece is a part of something larger.
    const piece = Buffer.from(event.data.subarray(0, this.left));
    this.left -= piece.length;
    this.pieces.push(piece);
  }

  async settled(): Promise<void> {
    await Promise.resolve();
  }

  conclude(_start: number, end: ProcessEnd): void {
    this.ended.resolve(end);
  }

  giveUp(): void {
    this.timedOut = true;
    this.late.resolve(true);
  }

  /** False: it has ended in time. */
  gaveUp(): Promise<boolean> {
    return Promise.race([this.ended.promise.then(() => false), this.late.promise]);
  }

  async result(): Promise<ProbeResult> {
    return { exitCode: exitCodeOf(await this.ended.promise), output: Buffer.concat(this.pieces), timedOut: this.timedOut };
  }
}
