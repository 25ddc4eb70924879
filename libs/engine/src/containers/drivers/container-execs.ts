import { randomBytes } from 'node:crypto';
import { constants } from 'node:os';
import { asError, CodedError, type Clock, type Logger } from '#kernel';
import type { ExecSpec } from '../processes.js';
import { ContainerExec } from './container-exec.js';
import type { ContainerExecution } from './container-execution.js';
import { ContainerLog, type LogShape } from './container-log.js';
import { ExecRecords, type ExecRecord } from './exec-record.js';
import { ProcessChannel } from './process-channel.js';

const MIB = 1024 * 1024;
/** Of one exec's output the newest 4 MiB are kept, where there are many of them at a time 512 KiB; and what one who is attached still has to take. */
const LOG_SHAPE: LogShape = { segmentBytes: MIB, segments: 4 };
const SMALL_LOG_SHAPE: LogShape = { segmentBytes: MIB / 4, segments: 2 };
const MANY = 64;
/** Of those that have ended. */
const KEPT_ENDED = 64;
const KEPT_ENDED_BYTES = 32 * MIB;
/** Of those that have not. */
const MAX_OPEN = 1024;
/** One that was created and not started for so long is forgotten when there are too many. */
const STALE_MS = 10 * 60_000;

export interface ExecsParts {
  readonly folder: string;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** The execs of one container: of the run that goes on, and some that have ended. */
export class ContainerExecs {
  private readonly byId = new Map<string, ContainerExec>();
  private readonly records: ExecRecords;
  /** In the order of their ends, with the bytes of their logs. */
  private readonly ended = new Map<ContainerExec, number>();
  private endedBytes = 0;

  private constructor(private readonly parts: ExecsParts) {
    this.records = new ExecRecords(parts.folder);
  }

  static async open(parts: ExecsParts): Promise<ContainerExecs> {
    const execs = new ContainerExecs(parts);
    for (const record of await execs.records.load()) {
      const log = await ContainerLog.open(parts.folder, LOG_SHAPE, execs.records.logPrefix(record.id));
      execs.add(record, log, Promise.resolve());
    }
    return execs;
  }

  /** One of a container of which there are none yet. */
  static none(parts: ExecsParts): ContainerExecs {
    return new ContainerExecs(parts);
  }

  get(id: string): ContainerExec | undefined {
    return this.byId.get(id);
  }

  /** Oldest first. */
  list(): ContainerExec[] {
    return [...this.byId.values()];
  }

  /** @throws CodedError `resource_exhausted` */
  create(request: ExecSpec, execution: ContainerExecution): ContainerExec {
    this.makeRoom();
    const record: ExecRecord = {
      version: 1,
      id: request.id ?? randomBytes(32).toString('hex'),
      processId: execution.newProcessId(),
      start: execution.start,
      createdAt: this.parts.clock.now(),
      request,
    };
    const saved = this.records.save(record);
    saved.catch((error: unknown) => {
      this.parts.logger.error({ err: asError(error), exec: record.id }, 'containers: the record of an exec cannot be written');
    });
    return this.add(record, ContainerLog.fresh(this.parts.folder, this.open < MANY ? LOG_SHAPE : SMALL_LOG_SHAPE, this.records.logPrefix(record.id)), saved);
  }

  /** Those of a run that was found again. Before its connection is made. */
  adopt(execution: ContainerExecution): void {
    for (const exec of this.byId.values()) if (exec.record.start === execution.start && exec.state !== 'ended') exec.adopt(execution);
  }

  /** Nothing of that start runs any more. */
  concludeUntil(start: number): void {
    const timeUs = this.parts.clock.now() * 1000;
    for (const { record, channel, state } of this.byId.values()) {
      if (record.start <= start && state === 'running') channel.conclude(record.start, { type: 'signalled', value: constants.signals.SIGKILL, timeUs });
    }
  }

  async close(): Promise<void> {
    await Promise.all([...this.byId.values()].map(async ({ channel }) => {
      await channel.close();
      await channel.log.close();
    }));
  }

  /** With all that is kept of them. */
  async remove(): Promise<void> {
    await this.close();
    this.byId.clear();
    await this.records.removeAll();
  }

  /** Those that have not ended. */
  private get open(): number {
    return this.byId.size - this.ended.size;
  }

  private add(record: ExecRecord, log: ContainerLog, saved: Promise<void>): ContainerExec {
    const exec = new ContainerExec(record, new ProcessChannel(log, { logger: this.parts.logger, keepsOutput: true }), saved);
    this.byId.set(record.id, exec);
    void exec.ended.then(async (end) => {
      if (end === undefined) return;
      await exec.channel.settled();
      const bytes = log.bytesFrom(log.begin);
      this.ended.set(exec, bytes);
      this.endedBytes += bytes;
      await this.forgetOld();
    }).catch((error: unknown) => {
      this.parts.logger.error({ err: asError(error) }, 'containers: execs that have ended cannot be removed');
    });
    return exec;
  }

  private async forgetOld(): Promise<void> {
    for (const exec of this.ended.keys()) {
      if (this.ended.size <= KEPT_ENDED && this.endedBytes <= KEPT_ENDED_BYTES) return;
      await this.forget(exec);
    }
  }

  private async forget(exec: ContainerExec): Promise<void> {
    this.endedBytes -= this.ended.get(exec) ?? 0;
    this.ended.delete(exec);
    this.byId.delete(exec.record.id);
    await exec.channel.close();
    await exec.channel.log.remove();
    await this.records.remove(exec.record.id);
  }

  private makeRoom(): void {
    if (this.open < MAX_OPEN) return;
    const before = this.parts.clock.now() - STALE_MS;
    for (const exec of this.byId.values()) if (exec.state === 'created' && exec.record.createdAt < before) void this.forget(exec).catch(() => undefined);
    if (this.open >= MAX_OPEN) throw new CodedError('resource_exhausted', `a container has at most ${MAX_OPEN} execs that have not ended`);
  }
}
