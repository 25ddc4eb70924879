import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { asError, CodedError, isCodedError, type Clock, type Logger } from '#kernel';
import type { GuestAgent, ProcessId, ProcessSpec, Sandbox } from '../../runtime/index.js';
import { AgentLink } from './agent-link.js';
import { GuestUsers } from './guest-users.js';
import type { FrameHead } from './log-frames.js';
import type { ProcessChannel } from './process-channel.js';
import type { AgentLine } from './process-input.js';
import type { ProcessSink } from './process-sink.js';

/** Of the main process; others of a container have higher ids. */
export const MAIN_PROCESS = 1;
const SIGNALLED = 128;
const KILLED = SIGNALLED + constants.signals.SIGKILL;
const RECONNECTS = 3;
/** After SIGKILL; what is not gone then goes with its cgroup. */
const KILL_GRACE_MS = 5000;

export interface ExecutionParts {
  readonly sandbox: Sandbox;
  /** Of the main process. */
  readonly main: ProcessChannel;
  /** Which start of the container this is. */
  readonly start: number;
  readonly clock: Clock;
  readonly logger: Logger;
}

export interface ExecutionEnd {
  readonly exitCode: number;
  readonly oomKilled: boolean;
  readonly finishedAt: number;
}

export function exitCodeOf({ type, value }: Pick<FrameHead, 'type' | 'value'>): number {
  return type === 'signalled' ? SIGNALLED + value : value;
}

/**
 * A running container: its main process from the sandbox to the exit code, and the one connection to its agent that the others share. Events are
 * acknowledged to the agent when they stand in their logs, so whoever comes after a crash of the worker goes on exactly there.
 */
export class ContainerExecution implements AgentLine {
  readonly users = new GuestUsers(this);
  private readonly over = Promise.withResolvers<ExecutionEnd | undefined>();
  private readonly link: AgentLink;
  private progress = 0;
  private letGo = false;
  private doomed = false;

  constructor(private readonly parts: ExecutionParts) {
    this.link = new AgentLink(parts.sandbox, parts.start);
    this.link.attach(MAIN_PROCESS, parts.main);
  }

  /** Settles when nothing of it runs any more; undefined: it runs on, but not for this object (`release`, or another worker took it over). */
  get ended(): Promise<ExecutionEnd | undefined> {
    return this.over.promise;
  }

  /** False for one that was found paused: nothing frozen can be talked to. */
  get connected(): boolean {
    return this.link.agent !== undefined;
  }

  /** @throws CodedError `unavailable` before `connect` */
  get agent(): GuestAgent {
    const { agent } = this.link;
    if (agent === undefined) throw new CodedError('unavailable', "the container's agent is not connected");
    return agent;
  }

  get sandbox(): Sandbox {
    return this.parts.sandbox;
  }

  get start(): number {
    return this.parts.start;
  }

  /** @throws CodedError when the agent cannot be reached */
  connect(): Promise<GuestAgent> {
    return this.link.connect();
  }

  /** Follows the process to its end. After `connect`, or when the end is in the log already. */
  follow(): void {
    void this.run().then(
      (end) => { this.conclude(end); },
      (error: unknown) => {
        this.parts.logger.error({ err: asError(error), sandbox: this.sandbox.id }, 'containers: the end of a container could not be carried out');
        this.conclude({ exitCode: KILLED, oomKilled: false, finishedAt: this.parts.clock.now() });
      },
    );
  }

  /** Idempotent, after a crash too. @throws CodedError as `GuestAgent.start` */
  async begin(spec: ProcessSpec): Promise<void> {
    if (!this.isOver()) await this.agent.start(spec);
  }

  /** An id that no process of this run has had. */
  newProcessId(): ProcessId {
    return this.link.newProcessId();
  }

  /** The events of a further process go there from now on, before it is started or when it is found again. */
  attach(processId: ProcessId, sink: ProcessSink): void {
    this.link.attach(processId, sink);
  }

  /** Its events are of no more interest. */
  detach(processId: ProcessId): void {
    this.link.detach(processId);
  }

  talk<T>(work: (agent: GuestAgent) => Promise<T>): Promise<T> {
    return this.link.talk(work);
  }

  /** To the main process alone; SIGKILL to all that runs. */
  async signal(signal: number): Promise<void> {
    if (signal === constants.signals.SIGKILL) {
      await this.kill();
      return;
    }
    try {
      await this.agent.signal(MAIN_PROCESS, signal, { alone: true });
    } catch (error) {
      // It has just ended.
      if (!isCodedError(error, 'not_found') && !isCodedError(error, 'unavailable')) throw error;
    }
  }

  /** Resolves when it is over, with the agent's help or without. */
  async kill(graceMs = KILL_GRACE_MS): Promise<void> {
    // Gone already, perhaps.
    await this.parts.sandbox.thaw().catch(() => undefined);
    const quit = new AbortController();
    const killed = (this.link.agent?.killAll() ?? Promise.reject(new Error('not connected'))).then(() => Promise.race([this.ended, sleep(graceMs, 'late' as const, { signal: quit.signal })]));
    const result = await killed.catch(() => 'late' as const);
    quit.abort();
    if (result === 'late') {
      this.doomed = true;
      await this.parts.sandbox.destroy();
    }
    await this.ended;
  }

  /** The container runs on; this object does nothing more with it. */
  async release(): Promise<void> {
    this.letGo = true;
    this.link.close();
    await this.link.settled();
    this.conclude(undefined);
  }

  private async run(): Promise<ExecutionEnd | undefined> {
    let failures = 0;
    while (!this.isOver()) {
      const before = this.progress;
      const { agent } = this.link;
      const reason = agent === undefined ? new CodedError('unavailable', 'not connected') : await this.listen(agent);
      if (this.isOver()) break;
      if (this.letGo || reason === undefined) return undefined;
      if (this.progress > before) failures = 0;
      failures += 1;
      if (this.doomed || !isCodedError(reason, 'unavailable') || failures > RECONNECTS || !(await this.reconnected())) {
        this.parts.logger.warn({ err: reason, sandbox: this.sandbox.id }, "containers: a container's agent is gone");
        break;
      }
    }
    if (this.letGo) return undefined;
    return this.finish();
  }

  private isOver(): boolean {
    return this.parts.main.writtenEndOf(this.start) !== undefined;
  }

  private async reconnected(): Promise<boolean> {
    try {
      await this.connect();
      return true;
    } catch {
      return false;
    }
  }

  /** Why the connection ended; undefined when we closed it or another took over. */
  private async listen(agent: GuestAgent): Promise<Error | undefined> {
    const { main, start } = this.parts;
    for await (const event of agent.events()) {
      if (this.letGo) break;
      this.progress += 1;
      await this.link.take(event);
      if (main.endOf(start) !== undefined) break;
    }
    await main.settled();
    return this.isOver() ? undefined : agent.closed;
  }

  private async finish(): Promise<ExecutionEnd> {
    const { sandbox, clock, main, start } = this.parts;
    const usage = await sandbox.usage().catch(() => undefined);
    this.link.close();
    await sandbox.destroy();
    const now = clock.now();
    const exit = main.endOf(start);
    const exitCode = exit === undefined ? KILLED : exitCodeOf(exit);
    // The agent's word is a guest's: not before the sandbox was made, not after now.
    const told = exit === undefined ? now : Math.floor(exit.timeUs / 1000);
    return { exitCode, oomKilled: (usage?.oomKills ?? 0) > 0, finishedAt: told >= sandbox.createdAt && told <= now ? told : now };
  }

  /** Nothing of it runs any more: what has not ended by itself was killed. Or, undefined: it runs on without us. */
  private conclude(end: ExecutionEnd | undefined): void {
    this.link.close();
    if (end !== undefined) this.link.conclude({ type: 'signalled', value: constants.signals.SIGKILL, timeUs: this.parts.clock.now() * 1000 });
    this.over.resolve(end);
  }
}
