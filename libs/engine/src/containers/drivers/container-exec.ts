import { constants } from 'node:os';
import { CodedError, isCodedError } from '#kernel';
import type { AttachOptions, Exec, TerminalSize } from '../processes.js';
import { AttachedStream } from './attached-stream.js';
import { exitCodeOf, type ContainerExecution } from './container-execution.js';
import type { ContainerRecord } from './container-record.js';
import { planExec, workingDirOf } from './exec-plan.js';
import type { ExecRecord } from './exec-record.js';
import type { GuestUser } from './guest-accounts.js';
import type { FrameHead } from './log-frames.js';
import type { ProcessChannel } from './process-channel.js';
import { ProcessInput } from './process-input.js';
import { execFailure } from './process-plan.js';

/** A further process of a container: what was asked for, its log, and while it runs its input. */
export class ContainerExec {
  /** How it ended; settles for everyone who waits. undefined: it was forgotten before. */
  readonly ended: Promise<unknown>;
  private readonly began = Promise.withResolvers<ProcessInput | undefined>();
  private size: TerminalSize | undefined;
  private starting = false;
  private begun = false;
  private execution: ContainerExecution | undefined;

  constructor(
    readonly record: ExecRecord,
    readonly channel: ProcessChannel,
    /** Settles when the record is on disk. */
    private readonly saved: Promise<void>,
  ) {
    this.ended = channel.read({ start: record.start, kept: false, after: 0, follow: true, output: false }).ended;
    void this.ended.then(() => { this.began.resolve(undefined); });
  }

  get state(): Exec['state'] {
    const { channel, record } = this;
    if (channel.endOf(record.start) !== undefined) return 'ended';
    return this.starting || channel.startedOf(record.start) !== undefined ? 'running' : 'created';
  }

  view(containerId: string): Exec {
    const { id, request, start, createdAt } = this.record;
    const started = this.channel.startedOf(start);
    const end = this.channel.endOf(start);
    const { state } = this;
    return {
      id,
      containerId,
      request,
      state,
      exitCode: end === undefined ? null : exitCodeOf(end),
      signal: end?.type === 'signalled' ? end.value : null,
      pid: state === 'running' ? (started?.value ?? 0) : 0,
      createdAt,
      startedAt: this.moment(started),
      finishedAt: this.moment(end),
    };
  }

  /** The agent's word is a guest's: not before the exec was created, not after now. */
  private moment(frame: FrameHead | undefined): number | undefined {
    return frame === undefined ? undefined : Math.min(Math.max(Math.floor(frame.timeUs / 1000), this.record.createdAt), Date.now());
  }

  /** Takes up what an earlier life of the worker has created, and perhaps started. Before the connection is made. */
  adopt(execution: ContainerExecution): void {
    this.follow(execution);
  }

  /** @throws CodedError as `ContainerProcesses.startExec` */
  async start(container: ContainerRecord, execution: ContainerExecution, size: TerminalSize | undefined): Promise<void> {
    const { id, processId, request } = this.record;
    if (this.state !== 'created') throw new CodedError('conflict', `exec command ${id} ${this.state === 'running' ? 'is already running' : 'has already run'}`);
    this.starting = true;
    this.setSize(size);
    this.follow(execution);
    const firstSize = this.size;
    let user: GuestUser | undefined;
    try {
      await execution.users.start({ user: request.user === '' ? container.effective.user : request.user, groups: container.request.process.groups ?? [] }, {
        asking: () => { user = undefined; },
        plan: async (found) => {
          user = found;
          // A process that no record names would be nobody's after a crash.
          await this.saved;
          return planExec(container, request, { id: processId, user: found, size: firstSize });
        },
      });
    } catch (error) {
      throw this.failed(container, execution, user, error);
    } finally {
      this.starting = false;
    }
    this.begin(execution, { fresh: true });
    if (this.size !== undefined && this.size !== firstSize) await this.resize(this.size);
  }

  attach(options: AttachOptions): AttachedStream {
    const { request, start } = this.record;
    const reader = this.channel.read({ start, kept: options.logs, after: options.after ?? 0, follow: options.follow, output: options.stdout || options.stderr });
    return new AttachedStream({
      tty: request.tty,
      options: { ...options, stdin: options.stdin && request.openStdin },
      reader,
      input: () => this.input(),
      endsInput: { onEnd: !this.record.request.tty, onClose: false },
    });
  }

  async resize(size: TerminalSize): Promise<void> {
    if (size.columns === 0 || size.rows === 0) return;
    this.setSize(size);
    const { execution } = this;
    if (!this.record.request.tty || execution === undefined || this.starting || this.state !== 'running') return;
    await this.quietly(() => execution.talk((agent) => agent.resize(this.record.processId, size.columns, size.rows)));
  }

  async signal(signal: number): Promise<void> {
    const { execution } = this;
    if (this.state !== 'running' || execution === undefined) return;
    await this.quietly(() => execution.talk((agent) => agent.signal(this.record.processId, signal)));
  }

  private follow(execution: ContainerExecution): void {
    const { processId } = this.record;
    this.execution = execution;
    execution.attach(processId, this.channel);
    void this.ended.then(async () => {
      await this.channel.settled();
      execution.detach(processId);
      await this.channel.log.rest();
    });
  }

  /** Waits for the start. */
  private input(): Promise<ProcessInput | undefined> {
    // Started by an earlier life of the worker.
    if (this.execution !== undefined && !this.starting && this.state === 'running') this.begin(this.execution, { fresh: false });
    return this.began.promise;
  }

  private begin(execution: ContainerExecution, { fresh }: { readonly fresh: boolean }): void {
    if (this.begun) return;
    this.begun = true;
    const { request, processId } = this.record;
    this.began.resolve(request.openStdin ? new ProcessInput(execution, processId, { fresh }) : undefined);
  }

  /** The exec is over, with the exit code that Docker's clients expect; unless the container is, which ends it by itself. */
  private failed(container: ContainerRecord, execution: ContainerExecution, user: GuestUser | undefined, error: unknown): unknown {
    const { request, start } = this.record;
    if (!isCodedError(error)) return error;
    // It may still come to be: nobody's then.
    if (error.code === 'deadline_exceeded') void this.quietly(() => execution.talk((agent) => agent.signal(this.record.processId, constants.signals.SIGKILL))).catch(() => undefined);
    if (error.code === 'unavailable') return new CodedError('conflict', `container ${container.id} is not running`, {}, { cause: error });
    const { exitCode, message } = execFailure({ path: request.argv[0] ?? '', workingDir: workingDirOf(container, request) }, user, error);
    this.channel.conclude(start, { type: 'exited', value: exitCode, timeUs: Date.now() * 1000 });
    return new CodedError('invalid_argument', message, { exitCode }, { cause: error });
  }

  private setSize(size: TerminalSize | undefined): void {
    if (size !== undefined && size.columns > 0 && size.rows > 0) this.size = size;
  }

  /** It may have ended meanwhile. */
  private async quietly(work: () => Promise<void>): Promise<void> {
    try {
      await work();
    } catch (error) {
      if (!isCodedError(error, 'not_found') && !isCodedError(error, 'unavailable')) throw error;
    }
  }
}
