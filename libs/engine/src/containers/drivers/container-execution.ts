import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { asError, CodedError, isCodedError, type Clock, type Logger } from '#kernel';
import type { GuestAgent, ProcessId, ProcessSpec, Sandbox } from '../../runtime/index.js';
import { Acknowledgements } from './acknowledgements.js';
import type { FrameHead } from './log-frames.js';
import type { ProcessChannel } from './process-channel.js';
import type { AgentLine } from './process-input.js';
import type { EventSource, ProcessEnd, ProcessSink } from './process-sink.js';

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
  private readonly over = Promise.withResolvers<ExecutionEnd | undefined>();
  private readonly sinks = new Map<ProcessId, ProcessSink>();
  private connection: GuestAgent | undefined;
  private acknowledgements: Acknowledgements | undefined;
  private changed = Promise.withResolvers<undefined>();
  private highestId = MAIN_PROCESS;
  private progress = 0;
  private letGo = false;
  private doomed = false;
  private finished = false;

  constructor(private readonly parts: ExecutionParts) {
    this.sinks.set(MAIN_PROCESS, parts.main);
  }

  /** Settles when nothing of it runs any more; undefined: it runs on, but not for this object (`release`, or another worker took it over). */
  get ended(): Promise<ExecutionEnd | undefined> {
    return this.over.promise;
  }

  /** False for one that was found paused: nothing frozen can be talked to. */
  get connected(): boolean {
    return this.connection !== undefined;
  }

  /** @throws CodedError `unavailable` before `connect` */
  get agent(): GuestAgent {
    if (this.connection === undefined) throw new CodedError('unavailable', "the container's agent is not connected");
    return this.connection;
  }

  get sandbox(): Sandbox {
    return this.parts.sandbox;
  }

  get start(): number {
    return this.parts.start;
  }

  /** @throws CodedError when the agent cannot be reached */
  async connect(): Promise<GuestAgent> {
    const agent = await this.parts.sandbox.connect('kept');
    this.connection = agent;
    this.acknowledgements = new Acknowledgements(agent);
    this.highestId = Math.max(this.highestId, agent.highestId);
    for (const [id, sink] of this.sinks) sink.connect(this.sourceOf(id));
    this.announceChange();
    return agent;
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
    this.highestId += 1;
    return this.highestId;
  }

  /** The events of a further process go there from now on, before it is started or when it is found again. */
  attach(processId: ProcessId, sink: ProcessSink): void {
    this.highestId = Math.max(this.highestId, processId);
    this.sinks.set(processId, sink);
    if (this.connection !== undefined) sink.connect(this.sourceOf(processId));
  }

  /** Its events are of no more interest. */
  detach(processId: ProcessId): void {
    this.sinks.delete(processId);
  }

  async talk<T>(work: (agent: GuestAgent) => Promise<T>): Promise<T> {
    for (let lost: GuestAgent | undefined; ; ) {
      const agent = await this.nextConnection(lost);
      try {
        return await work(agent);
      } catch (error) {
        if (!isCodedError(error, 'unavailable') || !(await isClosed(agent))) throw error;
        lost = agent;
      }
    }
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
    const killed = (this.connection?.killAll() ?? Promise.reject(new Error('not connected'))).then(() => Promise.race([this.ended, sleep(graceMs, 'late' as const, { signal: quit.signal })]));
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
    this.connection?.close();
    for (const sink of this.sinks.values()) await sink.settled();
    this.conclude(undefined);
  }

  private async run(): Promise<ExecutionEnd | undefined> {
    let failures = 0;
    while (!this.isOver()) {
      const before = this.progress;
      const reason = this.connection === undefined ? new CodedError('unavailable', 'not connected') : await this.listen(this.connection);
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
      const sink = this.sinks.get(event.processId);
      sink?.take(event, start);
      this.progress += 1;
      this.acknowledgements?.took(event.seq, sink);
      if (sink?.crowded === true) await sink.settled();
      if (main.endOf(start) !== undefined) break;
    }
    await main.settled();
    return this.isOver() ? undefined : agent.closed;
  }

  private sourceOf(processId: ProcessId): EventSource {
    const { connection } = this;
    let over = connection === undefined;
    void connection?.closed.then(() => { over = true; });
    return {
      written: () => { this.acknowledgements?.tell(); },
      // A process that is gone needs none of it; on the next connection it is said again.
      hold: (held) => { connection?.holdOutput(processId, held).catch(() => undefined); },
      alive: () => !over && !this.letGo,
    };
  }

  /** One that is not `lost`. */
  private async nextConnection(lost: GuestAgent | undefined): Promise<GuestAgent> {
    while (!this.finished && !this.letGo) {
      if (this.connection !== undefined && this.connection !== lost) return this.connection;
      await this.changed.promise;
    }
    throw new CodedError('unavailable', 'the container does not run any more');
  }

  private announceChange(): void {
    this.changed.resolve(undefined);
    this.changed = Promise.withResolvers();
  }

  private async finish(): Promise<ExecutionEnd> {
    const { sandbox, clock, main, start } = this.parts;
    const usage = await sandbox.usage().catch(() => undefined);
    this.connection?.close();
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
    this.finished = true;
    const killed: ProcessEnd = { type: 'signalled', value: constants.signals.SIGKILL, timeUs: this.parts.clock.now() * 1000 };
    if (end !== undefined) for (const sink of this.sinks.values()) sink.conclude(this.start, killed);
    this.announceChange();
    this.over.resolve(end);
  }
}

/** Its requests are refused before it says that it is closed. */
async function isClosed(agent: GuestAgent): Promise<boolean> {
  return Promise.race([agent.closed.then(() => true), new Promise<boolean>((resolve) => setImmediate(resolve, false))]);
}
