import { constants } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { asError, CodedError, isCodedError, type Clock, type Logger } from '#kernel';
import type { AgentEvent, GuestAgent, ProcessSpec, Sandbox } from '../../runtime/index.js';
import type { ContainerLog } from './container-log.js';
import { encodeLogFrame, type FrameHead } from './log-frames.js';

/** Of the main process; others of a container have higher ids. */
export const MAIN_PROCESS = 1;
const SIGNALLED = 128;
const KILLED = SIGNALLED + constants.signals.SIGKILL;
/** Output that waits to be written. Beyond it the agent, hence the guest, waits. */
const MAX_PENDING_BYTES = 1024 * 1024;
const RETRY_MS = 500;
const RECONNECTS = 3;
/** After SIGKILL; what is not gone then goes with its cgroup. */
const KILL_GRACE_MS = 5000;

export interface ExecutionParts {
  readonly sandbox: Sandbox;
  readonly log: ContainerLog;
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

/**
 * The main process of a running container, from its sandbox to its exit code. Its output is acknowledged to the agent when it stands in the log, so whoever
 * comes after a crash of the worker goes on exactly there.
 */
export class ContainerExecution {
  private readonly over = Promise.withResolvers<ExecutionEnd | undefined>();
  private exit: FrameHead | undefined;
  private connection: GuestAgent | undefined;
  private letGo = false;
  private doomed = false;
  private pending: { readonly bytes: Buffer; readonly head: FrameHead }[] = [];
  private pendingBytes = 0;
  private writing: Promise<void> | undefined;

  constructor(private readonly parts: ExecutionParts) {
    const { last } = parts.log;
    if (last?.start === parts.start && (last.type === 'exited' || last.type === 'signalled')) this.exit = last;
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

  /** @throws CodedError when the agent cannot be reached */
  async connect(): Promise<GuestAgent> {
    const agent = await this.parts.sandbox.connect(this.lastSeq());
    this.connection = agent;
    return agent;
  }

  /** Follows the process to its end. After `connect`, or when the end is in the log already. */
  follow(): void {
    void this.run().then(this.over.resolve, (error: unknown) => {
      this.parts.logger.error({ err: asError(error), sandbox: this.sandbox.id }, 'containers: the end of a container could not be carried out');
      this.over.resolve({ exitCode: KILLED, oomKilled: false, finishedAt: this.parts.clock.now() });
    });
  }

  /** Idempotent, after a crash too. @throws CodedError as `GuestAgent.start` */
  async begin(spec: ProcessSpec): Promise<void> {
    if (this.exit === undefined) await this.agent.start(spec);
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
    await this.writing;
    this.over.resolve(undefined);
  }

  private async run(): Promise<ExecutionEnd | undefined> {
    let failures = 0;
    while (!this.isOver()) {
      const before = this.lastSeq();
      const reason = this.connection === undefined ? new CodedError('unavailable', 'not connected') : await this.listen(this.connection);
      if (this.isOver()) break;
      if (this.letGo || reason === undefined) return undefined;
      if (this.lastSeq() > before) failures = 0;
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
    return this.exit !== undefined;
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
    for await (const event of agent.events()) {
      this.take(agent, event);
      if (this.pendingBytes >= MAX_PENDING_BYTES) await this.writing;
      if (event.type === 'exit' && event.processId === MAIN_PROCESS) break;
    }
    await this.writing;
    return this.exit === undefined ? agent.closed : undefined;
  }

  private take(agent: GuestAgent, event: AgentEvent): void {
    if (event.processId !== MAIN_PROCESS || this.letGo) return;
    const payload = event.type === 'output' ? event.data : Buffer.alloc(0);
    const head: FrameHead = { ...this.meaningOf(event), start: this.parts.start, timeUs: event.timeUs, seq: event.seq, length: payload.length };
    const bytes = encodeLogFrame(head, payload);
    this.pending.push({ bytes, head });
    this.pendingBytes += bytes.length;
    this.writing ??= this.write(agent).finally(() => {
      this.writing = undefined;
    });
  }

  private meaningOf(event: AgentEvent): Pick<FrameHead, 'type' | 'value'> {
    switch (event.type) {
      case 'started':
        return { type: 'started', value: 0 };
      case 'output':
        return { type: event.stream, value: 0 };
      case 'exit':
        return event.exit.signal === null ? { type: 'exited', value: event.exit.exitCode ?? 0 } : { type: 'signalled', value: event.exit.signal };
    }
  }

  private async write(agent: GuestAgent): Promise<void> {
    for (let batch = this.pending; batch.length > 0; batch = this.pending) {
      const last = batch[batch.length - 1];
      if (last === undefined) return;
      this.pending = [];
      this.pendingBytes = 0;
      if (!(await this.append(Buffer.concat(batch.map(({ bytes }) => bytes)), last.head))) return;
      if (last.head.type === 'exited' || last.head.type === 'signalled') this.exit = last.head;
      agent.acknowledge(last.head.seq);
    }
  }

  /** As long as the node's disk is full the container waits. */
  private async append(bytes: Buffer, last: FrameHead): Promise<boolean> {
    for (let told = false; !this.letGo; told = true) {
      try {
        await this.parts.log.append(bytes, last);
        return true;
      } catch (error) {
        if (!told) this.parts.logger.error({ err: asError(error), sandbox: this.sandbox.id }, 'containers: the log of a container cannot be written; it waits');
        await sleep(RETRY_MS);
        if (await this.isDead()) return false;
      }
    }
    return false;
  }

  private async isDead(): Promise<boolean> {
    const gone = await Promise.race([this.connection?.closed.then(() => true), Promise.resolve(false)]);
    return gone === true;
  }

  private async finish(): Promise<ExecutionEnd> {
    const { sandbox, clock } = this.parts;
    const usage = await sandbox.usage().catch(() => undefined);
    this.connection?.close();
    await sandbox.destroy();
    const { exit } = this;
    const now = clock.now();
    const exitCode = exit === undefined ? KILLED : exit.type === 'signalled' ? SIGNALLED + exit.value : exit.value;
    // The agent's word is a guest's: not before the sandbox was made, not after now.
    const told = exit === undefined ? now : Math.floor(exit.timeUs / 1000);
    return { exitCode, oomKilled: (usage?.oomKills ?? 0) > 0, finishedAt: told >= sandbox.createdAt && told <= now ? told : now };
  }

  private lastSeq(): number {
    const { log, start } = this.parts;
    return log.last?.start === start ? log.last.seq : 0;
  }
}
