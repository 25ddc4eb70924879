import { asError, CodedError } from '#kernel';
import { KeyedQueue } from '../../linux/index.js';
import type { EndpointRequest } from '../../networks/index.js';
import type { Sandbox } from '../../runtime/index.js';
import type { Container, HealthState, StartContainer, StartSecrets, UpdateContainer } from '../containers.js';
import { disposeOfContainer } from './container-disposal.js';
import type { ContainerExecution, ExecutionEnd } from './container-execution.js';
import { ContainerFreezer } from './container-freezer.js';
import { ContainerHealth } from './container-health.js';
import type { ContainerLog } from './container-log.js';
import type { ContainerNetwork } from './container-network.js';
import { isRunning, isUp, viewOf, type ContainerRecord } from './container-record.js';
import type { ContainerRecords } from './container-records.js';
import { notRunning, refuseIfGone, refuseRemoval } from './container-refusals.js';
import type { TenantContainersOptions } from './container-services.js';
import { failedStart, type ContainerStarter, type StarterOptions } from './container-starter.js';
import { ContainerStatsSource } from './container-stats.js';
import { stopExecution, type StopOptions } from './container-stop.js';
import type { ContainerStorage } from './container-storage.js';
import { ContainerSupervision } from './container-supervision.js';
import { updateContainer } from './container-update.js';
import { ContainerWaits, type WaitCondition, type WaitResult } from './container-waits.js';
import { healthProbeOf } from './health-check.js';
import type { ProcessTable } from './process-table.js';
import { RecordKeeper } from './record-keeper.js';
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
  readonly stats = new ContainerStatsSource(() => (this.gone ? undefined : { id: this.id, name: this.name, sandbox: isRunning(this.record) ? this.execution?.sandbox : undefined }));
  private readonly waits = new ContainerWaits();
  private readonly keeper: RecordKeeper;
  private readonly supervision: ContainerSupervision;
  private readonly health: ContainerHealth;
  private readonly freezer: ContainerFreezer;
  private execution: ContainerExecution | undefined;
  private removing: Promise<void> | undefined;
  private gone = false;

  constructor(
    record: ContainerRecord,
    readonly processes: ProcessTable,
    private readonly parts: LifeParts,
  ) {
    const { services, records } = parts;
    this.keeper = new RecordKeeper(record, { records, events: services.events });
    this.supervision = new ContainerSupervision(record);
    this.health = new ContainerHealth({ record: () => this.record, changed: (status) => { this.healthChanged(status); }, clock: services.clock, logger: services.logger });
    this.freezer = new ContainerFreezer(this.keeper, this.health, services.logger);
  }

  get log(): ContainerLog {
    return this.processes.log;
  }

  get record(): ContainerRecord {
    return this.keeper.current;
  }

  get id(): string {
    return this.record.id;
  }

  get name(): string {
    return this.record.name;
  }

  /** Or about to, by its policy. */
  get running(): boolean {
    return isUp(this.record);
  }

  /** While it runs; undefined also when what it runs in is just being made or taken up. */
  get sandbox(): Sandbox | undefined {
    return this.execution?.sandbox;
  }

  view(): Container {
    return viewOf(this.record, { pid: isRunning(this.record) ? VISIBLE_PID : 0, health: this.health.state, network: this.parts.network.view(this.record) });
  }

  /** One after the other with all that changes the container. */
  turn<T>(work: () => Promise<T>): Promise<T> {
    return this.turns.run('', async () => {
      refuseIfGone(this.record, this.gone);
      return work();
    });
  }

  async start(options: StartContainer = {}): Promise<boolean> {
    await this.processes.ending();
    try {
      return await this.turn(() => this.startByHand(options));
    } catch (error) {
      if (this.record.request.autoRemove && !this.running && !this.gone) await this.remove({ force: true, volumes: true });
      throw error;
    }
  }

  async stop(options: StopOptions): Promise<boolean> {
    const { stopSignal, request } = this.record;
    const signal = parseSignal(options.signal ?? stopSignal ?? 'TERM');
    if (!this.supervision.closing) this.supervision.byHand = true;
    if (await this.givesUpRetry()) return true;
    const execution = await this.awake();
    if (execution === undefined) return false;
    await stopExecution(execution, signal, options.timeoutSeconds ?? request.process.stopTimeoutSeconds, (sent) => {
      this.publish('kill', { signal: String(sent) });
    });
    await this.turns.idle();
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
    const isFinal = signal === parseSignal('KILL') || signal === parseSignal(this.record.stopSignal ?? 'TERM');
    if (isFinal && this.running) {
      this.supervision.byHand = true;
      if (await this.givesUpRetry()) return;
    }
    const execution = await this.awake();
    if (execution === undefined) throw new CodedError('conflict', `cannot kill container: ${text}: container ${this.id} is not running`);
    this.publish('kill', { signal: String(signal) });
    await execution.signal(signal);
    if (signal === parseSignal('KILL')) await this.turns.idle();
  }

  pause(): Promise<void> {
    return this.turn(async () => {
      if (this.record.status === 'paused') throw new CodedError('conflict', `container ${this.id} is already paused`);
      await this.freezer.pause(this.live());
    });
  }

  unpause(): Promise<void> {
    return this.turn(() => this.freezer.unpause(this.execution));
  }

  async wait(condition: WaitCondition, signal: AbortSignal): Promise<WaitResult> {
    if (this.gone || (condition === 'not-running' && !this.running)) return this.lastExit();
    return this.waits.wait(condition, signal);
  }

  /** Limits, in force at once when it runs, and its policy. @throws CodedError `conflict`, as `Sandbox.updateLimits`; then nothing has changed */
  update(change: UpdateContainer): Promise<void> {
    return this.turn(async () => {
      const save = (request: ContainerRecord['request']): Promise<void> => this.save({ request });
      await updateContainer(change, { request: this.record.request, sandbox: this.execution?.sandbox, defaults: this.parts.services.defaults, save });
      this.publish('update');
    });
  }

  /** What runs, paused or not. @throws CodedError `conflict` */
  live(): ContainerExecution {
    if (this.execution === undefined || !isRunning(this.record)) throw notRunning(this.record);
    return this.execution;
  }

  rename(name: string): Promise<void> {
    return this.turn(async () => {
      const old = this.name;
      await this.save({ name });
      await this.parts.network.rename(this.record);
      this.publish('rename', { oldName: `/${old}` });
    });
  }

  unlink = (alias: string): Promise<void> => this.turn(async () => this.save(await this.parts.network.unlink(this.record, alias)));
  connect = (endpoint: EndpointRequest): Promise<void> => this.turn(async () => this.save({ network: await this.parts.network.connect(this.record, endpoint, this.sandbox?.pid) }));
  disconnect = (network: string, options: { readonly force: boolean }): Promise<void> => this.turn(async () => this.save({ network: await this.parts.network.disconnect(this.record, network, options) }));

  /** Who asks while it is being removed waits for that. */
  async remove(options: { readonly force: boolean; readonly volumes: boolean }): Promise<void> {
    if (!options.force) refuseRemoval(this.record);
    this.removing ??= this.removeNow(options.volumes).catch((error: unknown) => {
      this.removing = undefined;
      throw error;
    });
    await this.removing;
  }

  /** Runs `work` while nothing in the container does, or only in its turn. */
  frozen<T>(pause: boolean, work: () => Promise<T>): Promise<T> {
    return this.turn(() => {
      const { execution } = this;
      return !pause || execution === undefined || this.record.status !== 'running' ? work() : this.freezer.during(execution, work);
    });
  }

  /** After a restart of the worker: takes up what runs, or finds out how it ended. */
  async adopt(sandbox: Sandbox | undefined): Promise<void> {
    const { services, storage, starter } = this.parts;
    storage.hold(this.record, this.running);
    if (!isRunning(this.record)) return;
    if (sandbox === undefined) {
      await this.onEnd(this.processes.loggedEnd(this.record.starts) ?? { exitCode: UNKNOWN_EXIT, oomKilled: false, finishedAt: services.clock.now() });
      return;
    }
    const execution = starter.adopt(this.record, sandbox, this.processes);
    this.execution = execution;
    void execution.ended.then((end) => this.onEnd(end));
    await this.parts.network.adopt(this.record, sandbox.pid);
    if (this.record.status === 'paused') return;
    await starter.takeUp(this.record, execution, this.log);
    this.health.watch(execution);
  }

  /** After a restart of the worker, when all is known: what its policy wants up starts. */
  async revive(): Promise<void> {
    if (this.supervision.isDue(this.record)) await this.tryAgain();
  }

  /** The node goes down: it is stopped, which nobody wanted of it. */
  async close(timeoutSeconds: number): Promise<void> {
    this.supervision.closing = true;
    this.supervision.cancel();
    if (isRunning(this.record)) await this.stop({ timeoutSeconds });
  }

  /** The container runs on without this worker. */
  async release(): Promise<void> {
    this.supervision.closing = true;
    this.supervision.cancel();
    this.health.rest();
    await this.execution?.release();
    await this.processes.release();
  }

  publish(action: string, attributes?: Readonly<Record<string, string>>): void {
    this.keeper.publish(action, attributes);
  }

  private async startByHand({ publishOnNode, secrets }: StartContainer): Promise<boolean> {
    if (this.record.status === 'paused') throw new CodedError('conflict', 'cannot start a paused container, try unpause instead');
    if (this.running) return false;
    this.supervision.begin();
    await this.startNow({ restartCount: 0, ...(publishOnNode === undefined ? {} : { publishOnNode }) }, secrets);
    return true;
  }

  /** Fails as it was before, but for the error. */
  private async startNow(change: Partial<ContainerRecord>, secrets?: StartSecrets): Promise<void> {
    const { starter, storage, services } = this.parts;
    const before = { ...this.record, ...change };
    try {
      const onSandbox: StarterOptions['onSandbox'] = async ({ sandbox }, ambient) => {
        await this.save({ ...change, ambient, ...(healthProbeOf(before) === undefined ? {} : { healthStatus: 'starting' }), status: 'running', sandboxId: sandbox.id, starts: before.starts + 1, startedAt: services.clock.now(), exitCode: 0, oomKilled: false, error: '' });
      };
      const execution = await starter.start(before, this.processes, { onSandbox, ...(secrets === undefined ? {} : { secrets }) });
      this.execution = execution;
      this.processes.begin(execution, this.record, { fresh: true });
      void execution.ended.then((end) => this.onEnd(end));
    } catch (error) {
      this.processes.failed();
      await this.save(failedStart(before, error));
      throw error;
    }
    this.health.begin(this.execution);
    storage.hold(this.record, true);
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
      const { status, tenantId, restartCount = 0 } = this.record;
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
    if (this.record.status !== 'restarting') return false;
    return this.turns.run('', async () => {
      if (this.record.status !== 'restarting') return false;
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
      if (this.record.request.autoRemove && !this.supervision.restarting) await this.remove({ force: true, volumes: true });
    } catch (error) {
      services.logger.error({ err: asError(error), container: this.id }, 'containers: the end of a container could not be carried out');
    }
  }

  private async recordEnd(end: ExecutionEnd): Promise<void> {
    const { startedAt, restartCount = 0 } = this.record;
    const ranMs = Math.max(0, end.finishedAt - (startedAt ?? end.finishedAt));
    const waitMs = this.removing === undefined ? this.supervision.afterEnd(this.record, { exitCode: end.exitCode, ranMs }) : undefined;
    this.execution = undefined;
    this.health.end();
    this.processes.ended(this.record.starts, end);
    // A transient one is removed next, which detaches it: what comes in between does not need to wait for that.
    if (this.record.request.transient !== true) await this.parts.network.detach(this.record);
    const change: Partial<ContainerRecord> = { ...end, status: waitMs === undefined ? 'exited' : 'restarting', sandboxId: null, ...(this.health.state === undefined ? {} : { healthStatus: 'unhealthy' }), ...(waitMs === undefined ? {} : { restartCount: restartCount + 1 }) };
    await this.save(change).catch((error: unknown) => {
      // The log knows the exit code when the record does not.
      this.parts.services.logger.error({ err: asError(error), container: this.id }, 'containers: the end of a container could not be recorded');
      this.keeper.assume(change);
    });
    if (end.oomKilled) this.publish('oom');
    this.publish('die', { exitCode: String(end.exitCode), execDuration: String(Math.round(ranMs / 1000)) });
    if (waitMs !== undefined) this.startAgainIn(waitMs);
    await this.down();
  }

  /** Nothing of it runs. */
  private async down(): Promise<void> {
    this.parts.storage.hold(this.record, this.running);
    this.log.nudge();
    await this.log.rest();
    this.waits.ended(this.lastExit());
  }

  private async removeNow(withVolumes: boolean): Promise<void> {
    const execution = await this.awake();
    if (execution !== undefined) {
      this.publish('kill', { signal: String(parseSignal('KILL')) });
      await execution.kill();
    }
    await this.turns.run('', async () => {
      if (this.gone) return;
      this.supervision.cancel();
      await disposeOfContainer({ ...this.parts, keeper: this.keeper, processes: this.processes }, withVolumes);
      this.gone = true;
      this.parts.onRemoved(this);
      this.publish('destroy');
      this.waits.removed(this.lastExit());
    });
  }

  /** What runs, able to take signals; undefined when nothing does. */
  private async awake(): Promise<ContainerExecution | undefined> {
    if (isRunning(this.record) && (this.execution === undefined || this.record.status === 'paused')) {
      await this.turns.run('', async () => {
        if (this.record.status === 'paused' && this.execution !== undefined) await this.freezer.thaw(this.execution);
      });
    }
    return this.execution;
  }

  private lastExit(): WaitResult {
    const { exitCode, error } = this.record;
    return error === '' ? { exitCode } : { exitCode, error };
  }

  private save(change: Partial<ContainerRecord>): Promise<void> {
    return this.keeper.save({ stoppedByHand: this.supervision.byHand, ...change });
  }

  private healthChanged(healthStatus: HealthState['status']): void {
    this.publish(`health_status: ${healthStatus}`);
    void this.turn(() => this.save({ healthStatus })).catch((error: unknown) => {
      this.parts.services.logger.debug({ err: asError(error), container: this.id }, 'containers: the health of a container could not be recorded');
    });
  }
}
