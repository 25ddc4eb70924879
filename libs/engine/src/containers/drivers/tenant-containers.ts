import { availableParallelism } from 'node:os';
import { asError, canonicalName, CodedError, isCodedError, type Digest, type TenantId } from '#kernel';
import { KeyedQueue } from '../../linux/index.js';
import type { Sandbox } from '../../runtime/index.js';
import type { WritableLayer } from '../../snapshots/index.js';
import type { TreeChange } from '../../tree/index.js';
import type { EndpointRequest } from '../../networks/index.js';
import type { CommitContainer, CommittedImage, Container, Containers, ContainerStats, CreateContainer, LogChunk, LogOptions, ProcessListing, StartContainer, UpdateContainer } from '../containers.js';
import { checkRestartPolicy } from './container-checks.js';
import { commitContainer, commitLayer } from './container-commit.js';
import { ContainerLife, type LifeParts } from './container-life.js';
import { checkResources, type NodeResources } from './container-limits.js';
import { ContainerNetwork } from './container-network.js';
import { ContainerMaker, newContainerId } from './container-maker.js';
import { findContainer, nameConflict, parseContainerName, randomContainerName } from './container-names.js';
import type { ContainerRecord } from './container-record.js';
import { ContainerRecords } from './container-records.js';
import type { TenantContainersOptions } from './container-services.js';
import { CONTAINER_ANNOTATION, ContainerStarter } from './container-starter.js';
import type { StopOptions } from './container-stop.js';
import { ContainerStorage } from './container-storage.js';
import { ContainerTrees } from './container-trees.js';
import { containerTop } from './container-top.js';
import { lookUpNames } from './guest-lookup.js';
import { HostIndex } from './host-index.js';
import { networkWarnings } from './network-conflicts.js';
import { keepsOutput } from './log-shape.js';
import { reviveInOrder } from './revival.js';
import { readLog } from './log-reader.js';
import { TenantContainerFiles } from './tenant-container-files.js';
import { ProcessTable } from './process-table.js';
import { TenantProcesses } from './tenant-processes.js';
import { visibleChanges } from './visible-changes.js';

const CLOSE_GRACE_SECONDS = 3;
/** Containers taken up side by side. */
const AT_ONCE = 16;

/** The containers of every tenant of a node, their records and logs below one folder. */
export class TenantContainers implements Containers {
  /** Their files, running or not. */
  readonly files: TenantContainerFiles;
  private readonly records: ContainerRecords;
  private readonly storage: ContainerStorage;
  private readonly maker: ContainerMaker;
  private readonly lifeParts: LifeParts;
  private readonly index = new HostIndex();
  private readonly recovered = Promise.withResolvers<undefined>();
  /** Creates with an ID that the caller chose, in turn. */
  private readonly chosen = new KeyedQueue();
  /** Attach and exec. */
  readonly processes = new TenantProcesses({
    find: (tenantId, text) => this.find(tenantId, text),
    all: (tenantId) => this.index.of(tenantId),
  });

  private constructor(private readonly services: TenantContainersOptions) {
    this.records = new ContainerRecords(services.root, services.logger);
    this.storage = new ContainerStorage(services);
    const network = new ContainerNetwork(services, this.storage, { find: (tenantId, text) => this.find(tenantId, text), of: (tenantId) => this.index.of(tenantId) });
    this.maker = new ContainerMaker(services, this.records, this.storage, network);
    this.files = new TenantContainerFiles(services.guestTrees, new ContainerTrees(services, this.storage), (tenantId, text) => this.find(tenantId, text));
    this.lifeParts = {
      services,
      records: this.records,
      storage: this.storage,
      starter: new ContainerStarter(services, this.storage, network),
      network,
      recovered: this.recovered.promise,
      onRemoved: (life) => {
        this.index.remove(life);
      },
    };
  }

  /** `recover` is to be awaited before all else. */
  static open(services: TenantContainersOptions): TenantContainers {
    return new TenantContainers(services);
  }

  async recover(): Promise<void> {
    const { runtime, logger } = this.services;
    const sandboxes = new Map<string, Sandbox>();
    for (const sandbox of await runtime.list()) if (CONTAINER_ANNOTATION in sandbox.annotations) sandboxes.set(sandbox.id, sandbox);
    const records = await this.records.load();
    // Who waited for a build's step has died with the worker.
    const left = records.filter(({ phase, request }) => phase !== 'whole' || request.transient === true);
    const whole = records.filter((record) => !left.includes(record));
    const claimed = new Set(records.flatMap(({ sandboxId, request }) => (request.transient === true ? [] : [sandboxId])));
    // Of a start that had not come so far as to be recorded: no process of it exists. Or one whose end was recorded and not carried out.
    for (const [id, sandbox] of sandboxes) if (!claimed.has(sandbox.id)) await sandbox.destroy().then(() => sandboxes.delete(id));
    const lives: (readonly [ContainerLife, Sandbox | undefined])[] = [];
    await eachOf(whole, AT_ONCE, async (record) => {
      const life = new ContainerLife(record, await this.openProcesses(record, { fresh: false }), this.lifeParts);
      lives.push([life, sandboxes.get(record.sandboxId ?? '')]);
      this.index.add(life);
      this.storage.hold(record, life.running);
    });
    // After every hold is said: what others hold stays.
    for (const record of left) await this.sweep(record);
    await eachOf(lives, AT_ONCE, async ([life, sandbox]) => {
      await life.adopt(sandbox);
      if (!life.running && life.record.request.autoRemove && life.record.starts > 0) await this.removeQuietly(life);
    });
    this.recovered.resolve(undefined);
    reviveInOrder(lives.map(([life]) => life));
    logger.info({ containers: lives.length, running: lives.filter(([life]) => life.running).length, swept: left.length }, 'containers: recovered');
  }

  async create(tenantId: TenantId, request: CreateContainer): Promise<{ readonly id: string; readonly warnings: readonly string[] }> {
    const { id } = request;
    if (id === undefined) return this.make(tenantId, newContainerId(), request);
    return this.chosen.run(id, async () => {
      const known = [...this.index.of(tenantId)].some((life) => life.id === id);
      return known ? { id, warnings: [] } : this.make(tenantId, id, request);
    });
  }

  private async make(tenantId: TenantId, id: string, request: CreateContainer): Promise<{ readonly id: string; readonly warnings: readonly string[] }> {
    const warnings = checkResources(request.limits, await this.node(), { update: false });
    const name = this.reserve(tenantId, id, request.name ?? '');
    try {
      const record = await this.maker.make(id, { tenantId, name, request, mountsOf: (text) => this.find(tenantId, text).record.mounts });
      const life = new ContainerLife(record, await this.openProcesses(record, { fresh: true }), this.lifeParts);
      this.index.add(life);
      life.publish('create');
      return { id, warnings: [...warnings, ...networkWarnings(request.network)] };
    } finally {
      this.index.unreserve(tenantId, name);
    }
  }

  get(tenantId: TenantId, text: string): Promise<Container> {
    return attempt(() => this.find(tenantId, text).view());
  }

  list(tenantId: TenantId): Promise<Container[]> {
    return attempt(() => [...this.index.of(tenantId)].filter(({ record }) => record.request.transient !== true).map((life) => life.view()).sort((one, other) => other.createdAt - one.createdAt || (one.id < other.id ? -1 : 1)));
  }

  async start(tenantId: TenantId, text: string, options: StartContainer = {}): Promise<boolean> {
    return this.find(tenantId, text).start(options);
  }

  async stop(tenantId: TenantId, text: string, options: StopOptions = {}): Promise<boolean> {
    return this.find(tenantId, text).stop(options);
  }

  async restart(tenantId: TenantId, text: string, options: StopOptions & StartContainer = {}): Promise<void> {
    await this.find(tenantId, text).restart(options);
  }

  async update(tenantId: TenantId, text: string, change: UpdateContainer): Promise<{ readonly warnings: readonly string[] }> {
    checkRestartPolicy(change.restart, false);
    const warnings = checkResources(change.limits, await this.node(), { update: true });
    const life = this.find(tenantId, text);
    try {
      await life.update(change);
    } catch (error) {
      if (!isCodedError(error) || error.code === 'not_found') throw error;
      throw new CodedError(error.code, `Cannot update container ${life.id}: ${error.message}`, {}, { cause: error });
    }
    return { warnings };
  }

  async kill(tenantId: TenantId, text: string, signal = 'KILL'): Promise<void> {
    await this.find(tenantId, text).kill(text, signal === '' ? 'KILL' : signal);
  }

  async pause(tenantId: TenantId, text: string): Promise<void> {
    await this.find(tenantId, text).pause();
  }

  async unpause(tenantId: TenantId, text: string): Promise<void> {
    await this.find(tenantId, text).unpause();
  }

  async wait(tenantId: TenantId, text: string, condition: 'not-running' | 'next-exit' | 'removed', signal: AbortSignal): Promise<{ readonly exitCode: number; readonly error?: string }> {
    return this.find(tenantId, text).wait(condition, signal);
  }

  async rename(tenantId: TenantId, text: string, newName: string): Promise<void> {
    const life = this.find(tenantId, text);
    const name = this.reserve(tenantId, life.id, requireName(newName), life);
    try {
      await life.rename(name);
    } finally {
      this.index.unreserve(tenantId, name);
    }
  }

  async unlink(tenantId: TenantId, text: string): Promise<void> {
    const [, parent = '', alias = ''] = /^\/?([^/]+)\/([^/]+)$/.exec(text) ?? [];
    if (alias === '') throw new CodedError('conflict', 'Conflict, cannot remove the default link name of the container');
    await this.find(tenantId, parent).unlink(alias);
  }

  async connect(tenantId: TenantId, text: string, endpoint: EndpointRequest): Promise<void> {
    await this.find(tenantId, text).connect(endpoint);
  }

  async disconnect(tenantId: TenantId, text: string, network: string, options: { readonly force: boolean }): Promise<void> {
    await this.find(tenantId, text).disconnect(network, options);
  }

  async remove(tenantId: TenantId, text: string, options: { readonly force: boolean; readonly volumes: boolean }): Promise<void> {
    await this.find(tenantId, text).remove(options);
  }

  async prune(tenantId: TenantId, accepts: (container: Container) => boolean): Promise<{ readonly removed: string[]; readonly reclaimedBytes: number }> {
    const removed: string[] = [];
    let reclaimedBytes = 0;
    for (const life of [...this.index.of(tenantId)]) {
      if (life.running || life.record.request.transient === true || !accepts(life.view())) continue;
      try {
        const { writableBytes } = await this.usageOf(life);
        await life.remove({ force: false, volumes: false });
        reclaimedBytes += writableBytes;
        removed.push(life.id);
      } catch (error) {
        // Started, or removed, by somebody else meanwhile.
        if (!isCodedError(error, 'conflict') && !isCodedError(error, 'not_found')) throw error;
      }
    }
    return { removed, reclaimedBytes };
  }

  async top(tenantId: TenantId, text: string, psArgs: string): Promise<ProcessListing> {
    const life = this.find(tenantId, text);
    const execution = life.live();
    // Who is frozen cannot be asked.
    const names = life.record.status === 'running' && execution.connected ? lookUpNames(execution.agent) : Promise.resolve(new Map<number, string>());
    const table = await containerTop(execution.sandbox, psArgs, await names);
    life.publish('top');
    return table;
  }

  async *stats(tenantId: TenantId, text: string, options: { readonly once: boolean }, signal: AbortSignal): AsyncGenerator<ContainerStats> {
    yield* this.find(tenantId, text).stats.follow(options, signal);
  }

  async *logs(tenantId: TenantId, text: string, options: LogOptions, signal: AbortSignal): AsyncGenerator<LogChunk> {
    const life = this.find(tenantId, text);
    if (!keepsOutput(life.record.request.logging)) throw new CodedError('unsupported', 'configured logging driver does not support reading');
    yield* readLog({ log: life.log, options, running: () => life.running, signal, now: () => this.services.clock.now() });
  }

  async changes(tenantId: TenantId, text: string): Promise<TreeChange[]> {
    const life = this.find(tenantId, text);
    return visibleChanges(await this.services.snapshots.changes(life.record.chainId ?? undefined, await this.layerOf(life)));
  }

  async export(tenantId: TenantId, text: string): Promise<AsyncIterable<Buffer>> {
    const life = this.find(tenantId, text);
    const layer = await this.layerOf(life);
    life.publish('export');
    return this.services.snapshots.packTree(life.record.chainId ?? undefined, layer);
  }

  async commit(tenantId: TenantId, text: string, request: CommitContainer): Promise<Digest> {
    const life = this.find(tenantId, text);
    return life.frozen(request.pause, async () => {
      const { imageId, reference } = await commitContainer(this.services, life.record, await this.storage.writable(life.record), request);
      life.publish('commit', { comment: request.comment ?? '', imageID: imageId, imageRef: reference === undefined ? '' : canonicalName(reference) });
      return imageId;
    });
  }

  async commitAs(tenantId: TenantId, text: string, image: CommittedImage): Promise<Digest> {
    const { record } = this.find(tenantId, text);
    return commitLayer(this.services, record, await this.storage.writable(record), image);
  }

  async usage(tenantId: TenantId, text: string): Promise<{ readonly writableBytes: number; readonly rootfsBytes: number }> {
    return this.usageOf(this.find(tenantId, text));
  }

  async drop(tenantId: TenantId): Promise<void> {
    await Promise.all([...this.index.of(tenantId)].map((life) => life.remove({ force: true, volumes: true })));
    await this.records.dropTenant(tenantId);
  }

  async close(): Promise<void> {
    await this.files.close();
    await Promise.all(
      [...this.index.all()].map(async (life) => {
        await life.close(CLOSE_GRACE_SECONDS).catch((error: unknown) => {
          this.services.logger.error({ err: asError(error), container: life.id }, 'containers: a container could not be stopped');
        });
      }),
    );
    await this.release();
  }

  /** The worker ends; what runs, runs on, and the next one takes it up by `recover`. */
  async release(): Promise<void> {
    await Promise.all([...this.index.all()].map((life) => life.release()));
  }

  private async node(): Promise<NodeResources> {
    return { features: await this.services.runtime.features(), cpus: availableParallelism() };
  }

  /** `fresh`: nothing of them is on disk. */
  private openProcesses(record: ContainerRecord, { fresh }: { readonly fresh: boolean }): Promise<ProcessTable> {
    const { clock, logger } = this.services;
    return ProcessTable.open({ record, folders: { log: this.records.logFolder(record), execs: this.records.execsFolder(record) }, fresh, clock, logger });
  }

  private find(tenantId: TenantId, text: string): ContainerLife {
    return findContainer(this.index.of(tenantId), text);
  }

  /** Nobody else gets the name until `unreserve`. @throws CodedError `conflict`, `invalid_argument` */
  private reserve(tenantId: TenantId, id: string, wanted: string, self?: ContainerLife): string {
    const name = wanted === '' || wanted === '/' ? randomContainerName((each) => this.index.ownerOf(tenantId, each) !== undefined) : parseContainerName(wanted);
    if (self?.name === name) throw sameName();
    const owner = this.index.ownerOf(tenantId, name);
    if (owner !== undefined) throw nameConflict(name, owner);
    this.index.reserve(tenantId, name, id);
    return name;
  }

  private async usageOf(life: ContainerLife): Promise<{ writableBytes: number; rootfsBytes: number }> {
    const { upperDir } = await this.layerOf(life);
    const { bytes } = await this.services.trees.usage(upperDir);
    return { writableBytes: bytes, rootfsBytes: life.record.imageBytes + bytes };
  }

  /** In its turn: what a removal has taken away is not made again. */
  private layerOf(life: ContainerLife): Promise<WritableLayer> {
    return life.turn(() => this.storage.writable(life.record));
  }

  private async sweep(record: ContainerRecord): Promise<void> {
    this.services.logger.warn({ container: record.id, phase: record.phase }, 'containers: sweeping a container that was half made or half removed');
    const { mounts, madeVolumes } = record;
    if (record.request.transient === true) await this.lifeParts.network.detach(record);
    const anonymous = record.request.transient === true ? mounts.flatMap((mount) => (mount.kind === 'volume' && mount.anonymous ? [mount.name] : [])) : [];
    await this.maker.undo({ ...record, madeVolumes: [...madeVolumes, ...anonymous] });
    await (await this.openProcesses(record, { fresh: true })).remove();
  }

  private async removeQuietly(life: ContainerLife): Promise<void> {
    await life.remove({ force: true, volumes: true }).catch((error: unknown) => {
      this.services.logger.error({ err: asError(error), container: life.id }, 'containers: a container that was to go by itself cannot be removed');
    });
  }
}

function requireName(text: string): string {
  if (text === '' || text === '/') throw new CodedError('invalid_argument', 'Neither old nor new names may be empty');
  return text;
}

function sameName(): CodedError {
  return new CodedError('invalid_argument', 'Renaming a container with the same name as its current name');
}

function attempt<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}

async function eachOf<T>(items: readonly T[], atOnce: number, work: (item: T) => Promise<void>): Promise<void> {
  const queue = [...items];
  const next = async (): Promise<void> => {
    for (let item = queue.shift(); item !== undefined; item = queue.shift()) await work(item);
  };
  await Promise.all(Array.from({ length: atOnce }, next));
}
