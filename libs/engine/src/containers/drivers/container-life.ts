import { asError, CodedError, isCodedError } from '#kernel';
import { KeyedQueue } from '../../linux/index.js';
import type { EndpointRequest } from '../../networks/index.js';
import type { Sandbox } from '../../runtime/index.js';
import type { Container, StartContainer, UpdateContainer } from '../containers.js';
import { ContainerExecution, type ExecutionEnd } from './container-execution.js';
import type { ContainerLog } from './container-log.js';
import type { ContainerNetwork } from './container-network.js';
import { isRunning, isUp, viewOf, type ContainerRecord } from './container-record.js';
import type { ContainerRecords } from './container-records.js';
import type { TenantContainersOptions } from './container-services.js';
import type { ContainerStarter } from './container-starter.js';
import { ContainerStatsSource } from './container-stats.js';
import type { ContainerStorage } from './container-storage.js';
import type { ProcessTable } from './process-table.js';
import { stopExecution, type StopOptions } from './container-stop.js';
import { ContainerSupervision } from './container-supervision.js';
import { updateContainer } from './container-update.js';
import { ContainerWaits, type WaitCondition, type WaitResult } from './container-waits.js';
import { parseSignal } from './signals.js';

/** Not known how it ended: the machine went down under it. */
const UNKNOWN_EXIT = 255;
/** In the sandbox's own pid name space; numbers of the node's are nobody's business. */
const VISIBLE_PID = 1;

export interface LifeParts {
  readonly services: TenantContainersOptions;
  readonly records: ContainerRecords;
  readonly storage: ContainerStorage;
  readonly starter: ContainerStarter;
  /** Settles when every container of the node is known: nothing starts by itself before. */
  readonly recovered: Promise<void>;
  readonly network: ContainerNetwork;
  /** Nothing of it is left. */
  readonly onRemoved: (life: ContainerLife) => void;
}

/** One container: its record, its log and, while it runs, its execution. Changes of its state are made one after the other. */
export class ContainerLife {
  private readonly turns = new KeyedQueue();
  readonly stats = new ContainerStatsSource(() => (this.gone ? undefined : { id: this.id, name: this.name, sandbox: isRunning(this.current) ? this.execution?.sandbox : undefined }));
  private readonly waits = new ContainerWaits();
  private readonly supervision: ContainerSupervision;
  private execution: ContainerExecution | undefined;
  private removing: Promise<void> | undefined;
  private gone = false;

  constructor(
    private current: ContainerRecord,
    readonly processes: ProcessTable,
    private readonly parts: LifeParts,
  ) {
    this.supervision = new ContainerSupervision(current);
  }

  get log(): ContainerLog {
    return this.processes.log;
  }

  get record(): ContainerRecord {
    return this.current;
  }

  get id(): string {
    return this.current.id;
  }

  get name(): string {
    return this.current.name;
  }

  /** Or about to, by its policy. */
  get running(): boolean {
    return isUp(this.current);
  }

  /** While it runs; undefined also when what it runs in is just being made or taken up. */
  get sandbox(): Sandbox | undefined {
    return this.execution?.sandbox;
  }

  view(): Container {
    return viewOf(this.current, { pid: isRunning(this.current) ? VISIBLE_PID : 0, network: this.parts.network.view(this.current) });
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
      return await this.turn(() => this.startByHand(options));
    } catch (error) {
      if (this.current.request.autoRemove && !this.running && !this.gone) await this.remove({ force: true, volumes: true });
      throw error;
    }
  }

  async stop(options: StopOptions): Promise<boolean> {
    const { stopSignal, request } = this.current;
    const signal = parseSignal(options.signal ?? stopSignal ?? 'TERM');
    if (!this.supervision.closing) this.supervision.byHand = true;
    if (await this.givesUpRetry()) return true;
    const execution = await this.awake();
    if (execution === undefined) return false;
    await stopExecution(execution, signal, options.timeoutSeconds ?? request.process.stopTimeoutSeconds, (sent) => {
      this.publish('kill', { signal: String(sent) });
    });
    await this.settled();
    this.publish('stop');
    return true;
  }

  /** One that is to remove itself at its end stays. */
  async restart(options: StopOptions & StartContainer): Promise<void> {
    this.supervision.restarting = true;
    try {
      await this.stop(options);
      await this.turn(() => this.startByHand(options));
    } finally {
      this.supervision.restarting = false;
    }
    this.publish('restart');
  }

  async kill(text: string, signalText: string): Promise<void> {
    const signal = parseSignal(signalText);
    const isFinal = signal === parseSignal('KILL') || signal === parseSignal(this.current.stopSignal ?? 'TERM');
    if (isFinal && this.running) {
      this.supervision.byHand = true;
      if (await this.givesUpRetry()) return;
    }
    const execution = await this.awake();
    if (execution === undefined) throw new CodedError('conflict', `cannot kill container: ${text}: container ${this.id} is not running`);
    this.publish('kill', { signal: String(signal) });
    await execution.signal(signal);
    if (signal === parseSignal('KILL')) await this.settled();
  }

  pause(): Promise<void> {
    return this.turn(async () => {
      if (this.current.status === 'paused') throw new CodedError('conflict', `container ${this.id} is already paused`);
      await this.live().sandbox.freeze();
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
    return this.waits.wait(condition, signal);
  }

  /** Limits, in force at once when it runs, and its policy. @throws CodedError `conflict`, as `Sandbox.updateLimits`; then nothing has changed */
  update(change: UpdateContainer): Promise<void> {
    return this.turn(async () => {
      const save = (request: ContainerRecord['request']): Promise<void> => this.save({ request });
      await updateContainer(change, { request: this.current.request, sandbox: this.execution?.sandbox, defaults: this.parts.services.defaults, save });
      this.publish('update');
    });
  }

  /** What runs, paused or not. @throws CodedError `conflict` */
  live(): ContainerExecution {
    if (this.current.status === 'restarting') throw new CodedError('conflict', `Container ${this.id} is restarting, wait until the container is running`);
    if (this.execution === undefined || !isRunning(this.current)) throw new CodedError('conflict', `container ${this.id} is not running`);
    return this.execution;
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
      const { status } = this.current;
      const why = status === 'paused' ? 'container is paused and must be unpaused first' : `container is ${status}: stop the container before removing or force remove`;
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
    if (!isRunning(this.current)) return;
    if (sandbox === undefined) {
      await this.onEnd({ exitCode: UNKNOWN_EXIT, oomKilled: false, finishedAt: services.clock.now() });
      return;
    }
    const execution = new ContainerExecution({ sandbox, main: this.processes.main, start: this.current.starts, clock: services.clock, logger: services.logger });
    this.execution = execution;
    this.processes.adopt(execution);
    this.processes.begin(execution, this.current, { fresh: false });
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

  /** After a restart of the worker, when all is known: what its policy wants up starts. */
  async revive(): Promise<void> {
    if (this.supervision.isDue(this.current)) await this.tryAgain();
  }

  /** The node goes down: it is stopped, which nobody wanted of it. */
  async close(timeoutSeconds: number): Promise<void> {
    this.supervision.closing = true;
    this.supervision.cancel();
    if (isRunning(this.current)) await this.stop({ timeoutSeconds });
  }

  /** The container runs on without this worker. */
  async release(): Promise<void> {
    this.supervision.closing = true;
    this.supervision.cancel();
    await this.execution?.release();
    await this.processes.release();
  }

  publish(action: string, attributes: Readonly<Record<string, string>> = {}): void {
    const { tenantId, id, name, request, effective } = this.current;
    this.parts.services.events.publish(tenantId, { type: 'container', action, id, attributes: { ...effective.labels, image: request.image, name, ...attributes } });
  }

  private async startByHand({ publishOnNode }: StartContainer): Promise<boolean> {
    if (this.current.status === 'paused') throw new CodedError('conflict', 'cannot start a paused container, try unpause instead');
    if (this.running) return false;
    this.supervision.begin();
    await this.startNow({ restartCount: 0, ...(publishOnNode === undefined ? {} : { publishOnNode }) });
    return true;
  }

  /** Fails as it was before, but for the error. */
  private async startNow(change: Partial<ContainerRecord>): Promise<void> {
    const { starter, storage, services } = this.parts;
    const before = { ...this.current, ...change };
    try {
      const execution = await starter.start(before, this.processes, async ({ sandbox }, ambient) => {
        await this.save({ ...change, ambient, status: 'running', sandboxId: sandbox.id, starts: before.starts + 1, startedAt: services.clock.now(), exitCode: 0, oomKilled: false, error: '' });
      });
      this.execution = execution;
      this.processes.begin(execution, this.current, { fresh: true });
      void execution.ended.then((end) => this.onEnd(end));
    } catch (error) {
      this.processes.failed();
      const exitCode = isCodedError(error) && typeof error.details.exitCode === 'number' ? error.details.exitCode : 128;
      const status = before.status === 'restarting' ? 'exited' : before.status;
      await this.save({ status, sandboxId: null, startedAt: before.startedAt, exitCode, error: asError(error).message });
      throw error;
    }
    storage.hold(this.current, true);
    this.publish('start');
  }

  private startAgainIn(ms: number): void {
    this.supervision.schedule(ms, () => {
      void this.tryAgain();
    });
  }

  private async tryAgain(): Promise<void> {
    await this.startAgain().catch((error: unknown) => {
      this.parts.services.logger.warn({ err: asError(error), container: this.id }, 'containers: a container could not be started again');
    });
  }

  private async startAgain(): Promise<void> {
    await this.parts.recovered;
    await this.turns.run('', async () => {
      const { status, tenantId, restartCount = 0 } = this.current;
      if (this.supervision.closing || this.gone || (status !== 'restarting' && status !== 'exited')) return;
      try {
        await this.parts.services.prepareTenant?.(tenantId);
        await this.startNow({ restartCount });
      } finally {
        if (!this.running) await this.down();
      }
    });
  }

  /** True: it was between two runs, and stays down. */
  private async givesUpRetry(): Promise<boolean> {
    if (this.current.status !== 'restarting') return false;
    return this.turns.run('', async () => {
      if (this.current.status !== 'restarting') return false;
      this.supervision.cancel();
      await this.save({ status: 'exited' });
      await this.down();
      this.publish('stop');
      return true;
    });
  }

  private async onEnd(end: ExecutionEnd | undefined): Promise<void> {
    if (end === undefined) return;
    const { services } = this.parts;
    try {
      await this.turns.run('', () => this.recordEnd(end));
      if (this.current.request.autoRemove && !this.supervision.restarting) await this.remove({ force: true, volumes: true });
    } catch (error) {
      services.logger.error({ err: asError(error), container: this.id }, 'containers: the end of a container could not be carried out');
    }
  }

  private async recordEnd(end: ExecutionEnd): Promise<void> {
    const { startedAt, restartCount = 0 } = this.current;
    const ranMs = Math.max(0, end.finishedAt - (startedAt ?? end.finishedAt));
    const waitMs = this.removing === undefined ? this.supervision.afterEnd(this.current, { exitCode: end.exitCode, ranMs }) : undefined;
    this.execution = undefined;
    this.processes.ended(this.current.starts, end);
    await this.parts.network.detach(this.current);
    const change: Partial<ContainerRecord> = { ...end, status: waitMs === undefined ? 'exited' : 'restarting', sandboxId: null, ...(waitMs === undefined ? {} : { restartCount: restartCount + 1 }) };
    await this.save(change).catch((error: unknown) => {
      // The log knows the exit code when the record does not.
      this.parts.services.logger.error({ err: asError(error), container: this.id }, 'containers: the end of a container could not be recorded');
      this.current = { ...this.current, ...change };
    });
    if (end.oomKilled) this.publish('oom');
    this.publish('die', { exitCode: String(end.exitCode), execDuration: String(Math.round(ranMs / 1000)) });
    if (waitMs !== undefined) this.startAgainIn(waitMs);
    await this.down();
  }

  /** Nothing of it runs. */
  private async down(): Promise<void> {
    this.parts.storage.hold(this.current, this.running);
    this.log.nudge();
    await this.log.rest();
    this.waits.ended(this.lastExit());
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
      this.supervision.cancel();
      const doomed = withVolumes ? this.current.mounts.flatMap((mount) => (mount.kind === 'volume' && mount.anonymous ? [mount.name] : [])) : [];
      // Its volumes to go, for who finds it half removed.
      await this.save({ phase: 'removing', status: 'removing', madeVolumes: doomed });
      await this.parts.network.detach(this.current);
      await storage.dispose(this.current, doomed);
      await this.processes.remove();
      await records.remove(this.current);
      this.gone = true;
      onRemoved(this);
      this.publish('destroy');
      this.waits.removed(this.lastExit());
    });
  }

  /** What runs, able to take signals; undefined when nothing does. */
  private async awake(): Promise<ContainerExecution | undefined> {
    if (isRunning(this.current) && (this.execution === undefined || this.current.status === 'paused')) {
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
    const next = { ...this.current, stoppedByHand: this.supervision.byHand, ...change };
    await this.parts.records.save(next);
    this.current = next;
  }

  private refuseIfGone(): void {
    if (this.gone) throw new CodedError('not_found', `No such container: ${this.id}`);
    if (this.current.phase === 'removing') throw new CodedError('conflict', `container ${this.id} is marked for removal and cannot be changed`);
  }
}
