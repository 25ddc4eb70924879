import { setTimeout as sleep } from 'node:timers/promises';
import { asError, CodedError, isCodedError } from '#kernel';
import { KeyedQueue } from '../../linux/index.js';
import type { EndpointRequest } from '../../networks/index.js';
import type { Sandbox } from '../../runtime/index.js';
import type { Container, Containers, StartContainer } from '../containers.js';
import { ContainerExecution, type ExecutionEnd } from './container-execution.js';
import type { ContainerLog } from './container-log.js';
import { isRunning, viewOf, type ContainerRecord } from './container-record.js';
import type { ContainerNetwork } from './container-network.js';
import type { ContainerRecords } from './container-records.js';
import type { TenantContainersOptions } from './container-services.js';
import type { ContainerStarter } from './container-starter.js';
import type { ContainerStorage } from './container-storage.js';
import { parseSignal } from './signals.js';

const DEFAULT_STOP_SECONDS = 10;
/** Not known how it ended: the machine went down under it. */
const UNKNOWN_EXIT = 255;
/** In the sandbox's own pid name space; numbers of the node's are nobody's business. */
const VISIBLE_PID = 1;

type WaitResult = Awaited<ReturnType<Containers['wait']>>;
type WaitCondition = Parameters<Containers['wait']>[2];

export interface LifeParts {
  readonly services: TenantContainersOptions;
  readonly records: ContainerRecords;
  readonly storage: ContainerStorage;
  readonly starter: ContainerStarter;
  readonly network: ContainerNetwork;
  /** Nothing of it is left. */
  readonly onRemoved: (life: ContainerLife) => void;
}

/** One container: its record, its log and, while it runs, its execution. Changes of its state are made one after the other. */
export class ContainerLife {
  private readonly turns = new KeyedQueue();
  private readonly exits = new Set<(result: WaitResult) => void>();
  private readonly removals = new Set<(result: WaitResult) => void>();
  private execution: ContainerExecution | undefined;
  private removing: Promise<void> | undefined;
  private gone = false;

  constructor(
    private current: ContainerRecord,
    readonly log: ContainerLog,
    private readonly parts: LifeParts,
  ) {}

  get record(): ContainerRecord {
    return this.current;
  }

  get id(): string {
    return this.current.id;
  }

  get name(): string {
    return this.current.name;
  }

  get running(): boolean {
    return isRunning(this.current);
  }

  /** While it runs; undefined also when what it runs in is just being made or taken up. */
  get sandbox(): Sandbox | undefined {
    return this.execution?.sandbox;
  }

  view(): Container {
    return viewOf(this.current, { pid: this.running ? VISIBLE_PID : 0, network: this.parts.network.view(this.current) });
  }

  /** One after the other with all that changes the container. */
  turn<T>(work: () => Promise<T>): Promise<T> {
    return this.turns.run('', async () => {
      this.refuseIfGone();
      return work();
    });
  }

  async start(options: StartContainer = {}): Promise<boolean> {
    try {
      return await this.turn(() => this.startNow(options));
    } catch (error) {
      if (this.current.request.autoRemove && !this.running && !this.gone) await this.remove({ force: true, volumes: true });
      throw error;
    }
  }

  async stop(options: { readonly signal?: string; readonly timeoutSeconds?: number }): Promise<boolean> {
    const { stopSignal, request } = this.current;
    const signal = parseSignal(options.signal ?? stopSignal ?? 'TERM');
    const seconds = options.timeoutSeconds ?? request.process.stopTimeoutSeconds ?? DEFAULT_STOP_SECONDS;
    const execution = await this.awake();
    if (execution === undefined) return false;
    this.publish('kill', { signal: String(signal) });
    await execution.signal(signal);
    const quit = new AbortController();
    const late = seconds < 0 ? new Promise<never>(() => undefined) : sleep(seconds * 1000, 'late' as const, { signal: quit.signal });
    const result = await Promise.race([execution.ended, late]);
    quit.abort();
    if (result === 'late') {
      this.publish('kill', { signal: String(parseSignal('KILL')) });
      await execution.kill();
    }
    await this.settled();
    this.publish('stop');
    return true;
  }

  async kill(text: string, signalText: string): Promise<void> {
    const signal = parseSignal(signalText);
    const execution = await this.awake();
    if (execution === undefined) throw new CodedError('conflict', `cannot kill container: ${text}: container ${this.id} is not running`);
    this.publish('kill', { signal: String(signal) });
    await execution.signal(signal);
    if (signal === parseSignal('KILL')) await this.settled();
  }

  pause(): Promise<void> {
    return this.turn(async () => {
      if (this.current.status === 'paused') throw new CodedError('conflict', `container ${this.id} is already paused`);
      if (this.execution === undefined || !this.running) throw new CodedError('conflict', `container ${this.id} is not running`);
      await this.execution.sandbox.freeze();
      await this.save({ status: 'paused' });
      this.publish('pause');
    });
  }

  unpause(): Promise<void> {
    return this.turn(async () => {
      if (this.current.status !== 'paused' || this.execution === undefined) throw new CodedError('conflict', `container ${this.id} is not paused`);
      await this.thaw(this.execution);
    });
  }

  async wait(condition: WaitCondition, signal: AbortSignal): Promise<WaitResult> {
    if (this.gone || (condition === 'not-running' && !this.running)) return this.lastExit();
    const waiters = condition === 'removed' ? this.removals : this.exits;
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        waiters.delete(done);
        reject(asError(signal.reason));
      };
      const done = (result: WaitResult): void => {
        waiters.delete(done);
        signal.removeEventListener('abort', abort);
        resolve(result);
      };
      waiters.add(done);
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  rename(name: string): Promise<void> {
    return this.turn(async () => {
      const old = this.name;
      await this.save({ name });
      await this.parts.network.rename(this.current);
      this.publish('rename', { oldName: `/${old}` });
    });
  }

  connect(endpoint: EndpointRequest): Promise<void> {
    return this.turn(async () => {
      await this.save({ network: await this.parts.network.connect(this.current, endpoint, this.sandbox?.pid) });
    });
  }

  disconnect(network: string, options: { readonly force: boolean }): Promise<void> {
    return this.turn(async () => {
      await this.save({ network: await this.parts.network.disconnect(this.current, network, options) });
    });
  }

  /** Who asks while it is being removed waits for that. */
  async remove(options: { readonly force: boolean; readonly volumes: boolean }): Promise<void> {
    if (this.running && !options.force) {
      const why = this.current.status === 'paused' ? 'container is paused and must be unpaused first' : 'container is running: stop the container before removing or force remove';
      throw new CodedError('conflict', `cannot remove container "/${this.name}": ${why}`);
    }
    this.removing ??= this.removeNow(options.volumes).catch((error: unknown) => {
      this.removing = undefined;
      throw error;
    });
    await this.removing;
  }

  /** Runs `work` while nothing in the container does, or only in its turn. */
  frozen<T>(pause: boolean, work: () => Promise<T>): Promise<T> {
    return this.turn(async () => {
      const sandbox = this.execution?.sandbox;
      if (!pause || sandbox === undefined || this.current.status !== 'running') return work();
      await sandbox.freeze();
      this.publish('pause');
      try {
        return await work();
      } finally {
        await sandbox.thaw().catch(() => undefined);
        this.publish('unpause');
      }
    });
  }

  /** After a restart of the worker: takes up what runs, or finds out how it ended. */
  async adopt(sandbox: Sandbox | undefined): Promise<void> {
    const { services, storage, starter } = this.parts;
    storage.hold(this.current, this.running);
    if (!this.running) return;
    if (sandbox === undefined) {
      await this.onEnd({ exitCode: UNKNOWN_EXIT, oomKilled: false, finishedAt: services.clock.now() });
      return;
    }
    const execution = new ContainerExecution({ sandbox, log: this.log, start: this.current.starts, clock: services.clock, logger: services.logger });
    this.execution = execution;
    void execution.ended.then((end) => this.onEnd(end));
    await this.parts.network.adopt(this.current, sandbox.pid);
    if (this.current.status === 'paused') return;
    // A crash in the middle of a commit leaves it frozen.
    await sandbox.thaw().catch(() => undefined);
    try {
      await execution.connect();
      if (this.log.last?.start !== this.current.starts) await starter.resume(this.current, execution);
    } catch (error) {
      services.logger.warn({ err: asError(error), container: this.id }, 'containers: a container cannot be taken up again');
    }
    execution.follow();
  }

  /** The container runs on without this worker. */
  async release(): Promise<void> {
    await this.execution?.release();
    await this.log.close();
  }

  publish(action: string, attributes: Readonly<Record<string, string>> = {}): void {
    const { tenantId, id, name, request, effective } = this.current;
    this.parts.services.events.publish(tenantId, { type: 'container', action, id, attributes: { ...effective.labels, image: request.image, name, ...attributes } });
  }

  private async startNow({ publishOnNode }: StartContainer): Promise<boolean> {
    if (this.current.status === 'paused') throw new CodedError('conflict', 'cannot start a paused container, try unpause instead');
    if (this.running) return false;
    const { starter, storage, services } = this.parts;
    const before = publishOnNode === undefined ? this.current : { ...this.current, publishOnNode };
    try {
      const execution = await starter.start(before, this.log, async ({ sandbox }) => {
        await this.save({ ...(publishOnNode === undefined ? {} : { publishOnNode }), status: 'running', sandboxId: sandbox.id, starts: before.starts + 1, startedAt: services.clock.now(), exitCode: 0, oomKilled: false, error: '' });
      });
      this.execution = execution;
      void execution.ended.then((end) => this.onEnd(end));
    } catch (error) {
      const exitCode = isCodedError(error) && typeof error.details.exitCode === 'number' ? error.details.exitCode : 128;
      await this.save({ status: before.status, sandboxId: null, startedAt: before.startedAt, exitCode, error: asError(error).message });
      throw error;
    }
    storage.hold(this.current, true);
    this.publish('start');
    return true;
  }

  private async onEnd(end: ExecutionEnd | undefined): Promise<void> {
    if (end === undefined) return;
    const { services, storage } = this.parts;
    try {
      await this.turns.run('', async () => {
        this.execution = undefined;
        await this.parts.network.detach(this.current);
        const change: Partial<ContainerRecord> = { ...end, status: 'exited', sandboxId: null };
        await this.save(change).catch((error: unknown) => {
          // The log knows the exit code when the record does not.
          services.logger.error({ err: asError(error), container: this.id }, 'containers: the end of a container could not be recorded');
          this.current = { ...this.current, ...change };
        });
        storage.hold(this.current, false);
        this.publish('die', { exitCode: String(end.exitCode), execDuration: String(Math.max(0, Math.round((end.finishedAt - (this.current.startedAt ?? end.finishedAt)) / 1000))) });
        this.log.nudge();
        await this.log.rest();
        for (const done of [...this.exits]) done(this.lastExit());
      });
      if (this.current.request.autoRemove) await this.remove({ force: true, volumes: true });
    } catch (error) {
      services.logger.error({ err: asError(error), container: this.id }, 'containers: the end of a container could not be carried out');
    }
  }

  private async removeNow(withVolumes: boolean): Promise<void> {
    const { records, storage, onRemoved } = this.parts;
    const execution = await this.awake();
    if (execution !== undefined) {
      this.publish('kill', { signal: String(parseSignal('KILL')) });
      await execution.kill();
    }
    await this.turns.run('', async () => {
      if (this.gone) return;
      const doomed = withVolumes ? this.current.mounts.flatMap((mount) => (mount.kind === 'volume' && mount.anonymous ? [mount.name] : [])) : [];
      // Its volumes to go, for who finds it half removed.
      await this.save({ phase: 'removing', status: 'removing', madeVolumes: doomed });
      await this.parts.network.detach(this.current);
      await storage.dispose(this.current, doomed);
      await this.log.remove();
      await records.remove(this.current);
      this.gone = true;
      onRemoved(this);
      this.publish('destroy');
      for (const done of [...this.exits, ...this.removals]) done(this.lastExit());
    });
  }

  /** What runs, able to take signals; undefined when nothing does. */
  private async awake(): Promise<ContainerExecution | undefined> {
    if (this.running && (this.execution === undefined || this.current.status === 'paused')) {
      await this.turns.run('', async () => {
        if (this.current.status === 'paused' && this.execution !== undefined) await this.thaw(this.execution);
      });
    }
    return this.execution;
  }

  private async thaw(execution: ContainerExecution): Promise<void> {
    await execution.sandbox.thaw();
    await this.save({ status: 'running' });
    if (!execution.connected) {
      // It was found paused.
      await execution.connect().catch((error: unknown) => {
        this.parts.services.logger.warn({ err: asError(error), container: this.id }, 'containers: a paused container is dead');
      });
      execution.follow();
    }
    this.publish('unpause');
  }

  /** When all that has been begun is over. */
  private async settled(): Promise<void> {
    await this.turns.idle();
  }

  private lastExit(): WaitResult {
    const { exitCode, error } = this.current;
    return error === '' ? { exitCode } : { exitCode, error };
  }

  private async save(change: Partial<ContainerRecord>): Promise<void> {
    const next = { ...this.current, ...change };
    await this.parts.records.save(next);
    this.current = next;
  }

  private refuseIfGone(): void {
    if (this.gone) throw new CodedError('not_found', `No such container: ${this.id}`);
    if (this.current.phase === 'removing') throw new CodedError('conflict', `container ${this.id} is marked for removal and cannot be changed`);
  }
}
