import type { Clock, Logger } from '#kernel';
import type { AttachOptions, TerminalSize } from '../processes.js';
import { AttachedStream } from './attached-stream.js';
import { ContainerExecs } from './container-execs.js';
import { MAIN_PROCESS, type ContainerExecution, type ExecutionEnd } from './container-execution.js';
import { ContainerLog } from './container-log.js';
import { isRunning, type ContainerRecord } from './container-record.js';
import { keepsOutput, logShapeOf } from './log-shape.js';
import { ProcessChannel } from './process-channel.js';
import { ProcessInput } from './process-input.js';

export interface ProcessTableParts {
  readonly record: ContainerRecord;
  /** Of the main process's log, and of the execs. */
  readonly folders: { readonly log: string; readonly execs: string };
  /** True: of a container that has just been made. */
  readonly fresh: boolean;
  readonly clock: Clock;
  readonly logger: Logger;
}

const EXIT_SIGNAL_BASE = 128;

/** The processes of one container over all its starts: the main one's output and input, and the execs. */
export class ProcessTable {
  private current: ContainerExecution | undefined;
  private input = Promise.withResolvers<ProcessInput | undefined>();
  /** Of the terminal that the next start makes. */
  private size: TerminalSize | undefined;

  private constructor(
    readonly main: ProcessChannel,
    readonly execs: ContainerExecs,
  ) {}

  static async open({ record, folders, fresh, clock, logger }: ProcessTableParts): Promise<ProcessTable> {
    const { logging } = record.request;
    const shape = logShapeOf(logging);
    const log = fresh ? ContainerLog.fresh(folders.log, shape) : await ContainerLog.open(folders.log, shape);
    const execs = { folder: folders.execs, clock, logger };
    return new ProcessTable(new ProcessChannel(log, { logger, keepsOutput: keepsOutput(logging) }), fresh ? ContainerExecs.none(execs) : await ContainerExecs.open(execs));
  }

  get log(): ContainerLog {
    return this.main.log;
  }

  /** What runs; undefined when nothing does. */
  get execution(): ContainerExecution | undefined {
    return this.current;
  }

  get firstSize(): TerminalSize | undefined {
    return this.size;
  }

  /** A run was found again. Before its connection is made. */
  adopt(execution: ContainerExecution): void {
    this.execs.adopt(execution);
  }

  /** It runs. `fresh`: nobody has written to it yet. */
  begin(execution: ContainerExecution, record: ContainerRecord, { fresh }: { readonly fresh: boolean }): void {
    this.current = execution;
    this.input.resolve(record.request.process.openStdin ? new ProcessInput(execution, MAIN_PROCESS, { fresh }) : undefined);
  }

  /** It could not be started: who waited for it waits in vain. */
  failed(): void {
    this.main.disappoint();
    this.noInput();
  }

  /** That start is over, whoever found it out. */
  ended(start: number, { exitCode, finishedAt }: ExecutionEnd): void {
    const type = exitCode > EXIT_SIGNAL_BASE && exitCode <= EXIT_SIGNAL_BASE + 64 ? 'signalled' : 'exited';
    this.main.conclude(start, { type, value: type === 'signalled' ? exitCode - EXIT_SIGNAL_BASE : exitCode, timeUs: finishedAt * 1000 });
    this.execs.concludeUntil(start);
    this.current = undefined;
    this.noInput();
  }

  /** Resolves at once, unless the main process has ended a moment ago: then when nothing runs any more, and its end is the next to be recorded. */
  async ending(): Promise<void> {
    const { current } = this;
    if (current !== undefined && this.main.endOf(current.start) !== undefined) await current.ended;
  }

  attach(options: AttachOptions, record: ContainerRecord): AttachedStream {
    const { tty, openStdin, stdinOnce = false } = record.request.process;
    const start = isRunning(record) ? record.starts : record.starts + 1;
    const reader = this.main.read({ start, kept: options.logs, after: options.after ?? 0, follow: options.follow, output: options.stdout || options.stderr });
    const { promise } = this.input;
    return new AttachedStream({
      tty,
      options: { ...options, stdin: options.stdin && openStdin },
      reader,
      input: () => promise,
      endsInput: { onEnd: stdinOnce && !tty, onClose: stdinOnce && !tty },
    });
  }

  /** Sizes of 0 change nothing. */
  async resize(size: TerminalSize): Promise<void> {
    if (size.columns === 0 || size.rows === 0) return;
    this.size = size;
    const { current } = this;
    if (current !== undefined) await current.talk((agent) => agent.resize(MAIN_PROCESS, size.columns, size.rows));
  }

  /** Lets go of what runs on. */
  async release(): Promise<void> {
    await this.main.close();
    await this.log.close();
    await this.execs.close();
    this.noInput();
  }

  /** Everything that was kept. */
  async remove(): Promise<void> {
    await this.release();
    await this.execs.remove();
    await this.log.remove();
  }

  private noInput(): void {
    this.input.resolve(undefined);
    this.input = Promise.withResolvers();
  }
}
