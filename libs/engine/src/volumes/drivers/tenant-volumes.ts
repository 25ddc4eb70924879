import { mkdir } from 'node:fs/promises';
import { CodedError, asError, isId, systemClock, type Clock, type Logger, type TenantId } from '#kernel';
import type { DiskUsage, TenantDisks } from '../../disks/index.js';
import type { HostEvents } from '../../events/index.js';
import { KeyedQueue } from '../../linux/index.js';
import type { Trees } from '../../tree/index.js';
import type { CreateVolume, MountSource, Volume, Volumes } from '../volumes.js';
import { VolumeContent } from './volume-content.js';
import { VolumeHolds } from './volume-holds.js';
import { ANONYMOUS_LABEL, anonymousName, assertVolumeName, pathInHostTree } from './volume-names.js';
import { parseVolumeOptions, type VolumeKind } from './volume-options.js';
import { newVolumeId, VolumeRecords, type VolumeRecord } from './volume-records.js';

export interface TenantVolumesOptions {
  /** Of the records, on the node's own file system. */
  readonly root: string;
  /** Whoever makes volumes has called `ensure` for the tenant before. */
  readonly disks: Pick<TenantDisks, 'find'>;
  readonly trees: Trees;
  readonly events: HostEvents;
  readonly logger: Logger;
  readonly clock?: Clock;
}

const MOST_VOLUMES = 10_000;
const MOST_RECORD_BYTES = 64 * 1024;
/** All records lie in memory: only so many may be large ones. */
const MOST_LARGE_RECORDS = 100;
const LARGE_RECORD_BYTES = 2 * 1024;

/** Records in memory and in small files, content on the tenants' disks. One process per root. */
export class TenantVolumes implements Volumes {
  readonly #tenants = new Map<TenantId, Map<string, VolumeRecord>>();
  readonly #queue = new KeyedQueue();
  readonly #holds = new VolumeHolds();
  readonly #records: VolumeRecords;
  readonly #content: VolumeContent;
  readonly #events: HostEvents;
  readonly #trees: Trees;
  readonly #logger: Logger;
  readonly #clock: Clock;
  readonly #disks: Pick<TenantDisks, 'find'>;

  private constructor(options: TenantVolumesOptions) {
    this.#records = new VolumeRecords(options.root, options.logger);
    this.#content = new VolumeContent(options.disks, options.trees);
    this.#events = options.events;
    this.#trees = options.trees;
    this.#logger = options.logger;
    this.#clock = options.clock ?? systemClock;
    this.#disks = options.disks;
  }

  /** To be followed by `recover`. */
  static async open(options: TenantVolumesOptions): Promise<TenantVolumes> {
    await mkdir(options.root, { recursive: true, mode: 0o700 });
    return new TenantVolumes(options);
  }

  async recover(): Promise<void> {
    for (const tenantId of await this.#records.tenants()) {
      const { records, unfinished } = await this.#records.load(tenantId);
      this.#tenants.set(tenantId, new Map(records.map((record) => [record.volume.name, record])));
      for (const id of unfinished) await this.#clear(tenantId, id);
    }
  }

  async create(tenantId: TenantId, request: CreateVolume): Promise<Volume> {
    if (!isId('tenant', tenantId)) throw new CodedError('invalid_argument', 'not the id of a tenant');
    const record = this.#newRecord(request);
    return this.#queue.run(tenantId, async () => {
      const volumes = this.#of(tenantId);
      const known = volumes.get(record.volume.name);
      if (known !== undefined) return sameOrConflict(known.volume, record.volume);
      if (volumes.size >= MOST_VOLUMES) throw new CodedError('quota_exceeded', `a tenant has at most ${MOST_VOLUMES} volumes`);
      if (isLarge(record) && [...volumes.values()].filter(isLarge).length >= MOST_LARGE_RECORDS) {
        throw new CodedError('quota_exceeded', `a tenant has at most ${MOST_LARGE_RECORDS} volumes whose labels and options take more than ${LARGE_RECORD_BYTES} bytes`);
      }
      await this.#make(tenantId, record);
      volumes.set(record.volume.name, record);
      this.#publish(tenantId, 'create', record.volume.name, { driver: 'local' });
      return record.volume;
    });
  }

  get(tenantId: TenantId, name: string): Promise<Volume> {
    return Promise.resolve().then(() => this.#record(tenantId, name).volume);
  }

  list(tenantId: TenantId): Promise<Volume[]> {
    return Promise.resolve([...this.#known(tenantId).values()].map(({ volume }) => volume));
  }

  async remove(tenantId: TenantId, name: string, { force = false }: { readonly force?: boolean } = {}): Promise<void> {
    await this.#queue.run(tenantId, async () => {
      if (force && !this.#known(tenantId).has(name)) return;
      const record = this.#record(tenantId, name);
      const holders = this.#holds.of(tenantId, name);
      if (holders.length > 0) throw new CodedError('conflict', `remove ${name}: volume is in use - [${holders.join(', ')}]`, { holders });
      await this.#remove(tenantId, record);
    });
  }

  async prune(tenantId: TenantId, { all, accepts }: Parameters<Volumes['prune']>[1]): ReturnType<Volumes['prune']> {
    const removed: string[] = [];
    let reclaimedBytes = 0;
    await this.#queue.run(tenantId, async () => {
      for (const record of [...this.#known(tenantId).values()]) {
        const { name, anonymous } = record.volume;
        if (!(all || anonymous) || this.#holds.has(tenantId, name) || accepts?.(record.volume) === false) continue;
        const bytes = await this.#content.usage(tenantId, record);
        // Taken while it was being counted.
        if (this.#holds.has(tenantId, name)) continue;
        await this.#remove(tenantId, record);
        removed.push(name);
        reclaimedBytes += bytes;
      }
    });
    this.#publish(tenantId, 'prune', '', { reclaimed: String(reclaimedBytes) });
    return { removed, reclaimedBytes };
  }

  async usage(tenantId: TenantId, name: string): Promise<{ readonly bytes: number }> {
    return { bytes: await this.#content.usage(tenantId, this.#record(tenantId, name)) };
  }

  hold(tenantId: TenantId, name: string, holder: string): void {
    this.#holds.add(tenantId, name, holder);
  }

  release(tenantId: TenantId, name: string, holder: string): void {
    this.#holds.delete(tenantId, name, holder);
  }

  holders(tenantId: TenantId, name: string): readonly string[] {
    return this.#holds.of(tenantId, name);
  }

  async source(tenantId: TenantId, name: string): Promise<MountSource> {
    const record = this.#record(tenantId, name);
    const { kind } = record;
    if (kind.kind === 'tmpfs') return { kind: 'tmpfs', sizeBytes: kind.sizeBytes, mode: kind.mode };
    // As with Docker, what a bind volume names must be there.
    if (kind.kind === 'bind') return this.hostPath(tenantId, kind.path, false);
    return { kind: 'bind', base: await this.#directory(tenantId, record), path: '', ensureDirectory: false };
  }

  async hostPath(tenantId: TenantId, path: string, create: boolean): Promise<MountSource> {
    const inside = pathInHostTree(path);
    return { kind: 'bind', base: await this.#content.hostTree(tenantId), path: inside, ensureDirectory: create };
  }

  async dataDir(tenantId: TenantId, name: string): Promise<string | undefined> {
    return this.#content.dataDir(tenantId, this.#record(tenantId, name));
  }

  async markFilled(tenantId: TenantId, name: string): Promise<void> {
    if (this.#record(tenantId, name).volume.filled) return;
    await this.#queue.run(tenantId, async () => {
      const record = this.#record(tenantId, name);
      const filled = { ...record, volume: { ...record.volume, filled: true } };
      await this.#records.write(tenantId, filled, 'json');
      this.#of(tenantId).set(name, filled);
    });
  }

  async *pack(tenantId: TenantId, name: string): AsyncGenerator<Buffer, void, void> {
    const { root, path } = await this.#contentRoot(tenantId, name);
    yield* this.#trees.pack({ source: { kind: 'directory', path: root }, as: 'files', path });
  }

  async extract(tenantId: TenantId, name: string, tar: AsyncIterable<Uint8Array>): Promise<void> {
    const { root, path } = await this.#contentRoot(tenantId, name);
    // Before: a container that starts meanwhile must not take it for an empty one.
    await this.markFilled(tenantId, name);
    await this.#trees.extract({ root, into: path, tar, as: 'files' });
  }

  async diskUsage(tenantId: TenantId): Promise<DiskUsage | undefined> {
    return (await this.#disks.find(tenantId))?.usage();
  }

  async drop(tenantId: TenantId): Promise<void> {
    if (!isId('tenant', tenantId)) return;
    await this.#queue.run(tenantId, async () => {
      for (const record of [...this.#known(tenantId).values()]) await this.#remove(tenantId, record);
      await this.#records.forgetAll(tenantId);
      this.#tenants.delete(tenantId);
      this.#holds.forget(tenantId);
    });
  }

  #newRecord({ name: given, driver, labels = {}, options = {} }: CreateVolume): VolumeRecord {
    const name = given === undefined || given === '' ? anonymousName() : given;
    assertVolumeName(name);
    if (driver !== undefined && driver !== '' && driver !== 'local') {
      throw new CodedError('invalid_argument', `create ${name}: error looking up volume plugin ${driver}: plugin "${driver}" not found`);
    }
    const kind = coded(() => parseVolumeOptions(options), `create ${name}: `);
    const all = given === undefined || given === '' ? { ...labels, [ANONYMOUS_LABEL]: '' } : { ...labels };
    const volume: Volume = { name, driver: 'local', createdAt: this.#clock.now(), labels: all, options: { ...options }, anonymous: Object.hasOwn(all, ANONYMOUS_LABEL), filled: false };
    if (Buffer.byteLength(JSON.stringify(volume)) > MOST_RECORD_BYTES) throw new CodedError('invalid_argument', `create ${name}: labels and options take more than ${MOST_RECORD_BYTES} bytes`);
    return { id: newVolumeId(), volume, kind };
  }

  async #make(tenantId: TenantId, record: VolumeRecord): Promise<void> {
    if (isElsewhere(record.kind)) {
      await this.#records.write(tenantId, record, 'json');
      return;
    }
    await this.#content.disk(tenantId);
    await this.#records.write(tenantId, record, 'making');
    try {
      await this.#content.make(tenantId, record);
      await this.#records.move(tenantId, record.id, 'making', 'json');
    } catch (error) {
      await this.#clear(tenantId, record.id);
      throw error;
    }
  }

  /** From the first `await` on the name is free, and what was made under it is gone for whoever looks. */
  async #remove(tenantId: TenantId, record: VolumeRecord): Promise<void> {
    const { name } = record.volume;
    this.#of(tenantId).delete(name);
    try {
      await this.#records.move(tenantId, record.id, 'json', 'dying');
    } catch (error) {
      this.#of(tenantId).set(name, record);
      throw error;
    }
    this.#publish(tenantId, 'destroy', name, { driver: 'local' });
    await this.#clear(tenantId, record.id, record.kind);
  }

  /** What cannot be removed now stays recorded, and the next `recover` removes it. */
  async #clear(tenantId: TenantId, id: string, kind?: VolumeKind): Promise<void> {
    try {
      if (!isElsewhere(kind)) await this.#content.remove(tenantId, id);
      await this.#records.forget(tenantId, id);
    } catch (error) {
      this.#logger.error({ tenantId, id, err: asError(error) }, 'volumes: left to be removed at the next start');
    }
  }

  async #directory(tenantId: TenantId, record: VolumeRecord): Promise<string> {
    const dir = await this.#content.dataDir(tenantId, record);
    if (dir === undefined) throw new CodedError('failed_precondition', `volume ${record.volume.name} has no directory`);
    return dir;
  }

  async #contentRoot(tenantId: TenantId, name: string): Promise<{ readonly root: string; readonly path: string }> {
    const root = await this.#content.contentRoot(tenantId, this.#record(tenantId, name));
    if (root === undefined) throw new CodedError('failed_precondition', `volume ${name} is in memory: it has content only in a sandbox`);
    return root;
  }

  #publish(tenantId: TenantId, action: string, id: string, attributes: Readonly<Record<string, string>>): void {
    this.#events.publish(tenantId, { type: 'volume', action, id, attributes });
  }

  #record(tenantId: TenantId, name: string): VolumeRecord {
    const record = this.#known(tenantId).get(name);
    if (record === undefined) throw new CodedError('not_found', `get ${name}: no such volume`, { name });
    return record;
  }

  #known(tenantId: TenantId): ReadonlyMap<string, VolumeRecord> {
    return this.#tenants.get(tenantId) ?? new Map<string, VolumeRecord>();
  }

  #of(tenantId: TenantId): Map<string, VolumeRecord> {
    let volumes = this.#tenants.get(tenantId);
    if (volumes === undefined) {
      volumes = new Map();
      this.#tenants.set(tenantId, volumes);
    }
    return volumes;
  }
}

/** Nothing of it lies among the volumes. */
function isElsewhere(kind: VolumeKind | undefined): boolean {
  return kind?.kind === 'tmpfs' || kind?.kind === 'bind';
}

function isLarge({ volume: { labels, options } }: VolumeRecord): boolean {
  const texts = [labels, options].flatMap((map) => Object.entries(map).flat());
  return texts.reduce((sum, text) => sum + text.length, 0) > LARGE_RECORD_BYTES;
}

function sameOrConflict(known: Volume, asked: Volume): Volume {
  const keys = new Set([...Object.keys(known.options), ...Object.keys(asked.options)]);
  if ([...keys].every((key) => known.options[key] === asked.options[key])) return known;
  throw new CodedError('conflict', `create ${known.name}: volume name must be unique: it exists with other options`, { name: known.name });
}

function coded<T>(work: () => T, prefix: string): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof CodedError) throw new CodedError(error.code, `${prefix}${error.message}`, error.details, { cause: error });
    throw error;
  }
}
