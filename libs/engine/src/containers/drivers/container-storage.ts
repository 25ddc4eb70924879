import { randomBytes } from 'node:crypto';
import { chmod, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, isCodedError, type TenantId } from '#kernel';
import type { TenantDisk } from '../../disks/index.js';
import { KeyedQueue } from '../../linux/index.js';
import type { SandboxMount } from '../../runtime/index.js';
import type { WritableLayer } from '../../snapshots/index.js';
import type { ContainerRecord } from './container-record.js';
import type { TenantContainersOptions } from './container-services.js';
import type { AskedVolume, MountWish, PlannedMount } from './mount-plan.js';

/** By it volumes and clients know one that nobody has named. */
const ANONYMOUS_LABEL = 'com.docker.volume.anonymous';

/** What a container has besides its record: its writable layer on the tenant's disk, its holds on image and volumes, its volumes' first content. */
export class ContainerStorage {
  private readonly filling = new KeyedQueue();

  constructor(private readonly services: Pick<TenantContainersOptions, 'images' | 'snapshots' | 'volumes' | 'disks' | 'trees'>) {}

  /** Made when missing: a partition of its own when the layer has a size. @throws CodedError `resource_exhausted` */
  async writable(record: ContainerRecord): Promise<WritableLayer> {
    const disk = await this.diskOf(record.tenantId);
    const { diskBytes } = record.request.limits;
    const folder = diskBytes === undefined ? join(disk.path, 'containers', record.id) : await disk.ensurePartition(partitionOf(record), diskBytes);
    const layer = { upperDir: join(folder, 'upper'), workDir: join(folder, 'work'), ...(record.request.transient === true ? { fleeting: true } : {}) };
    await mkdir(layer.workDir, { recursive: true });
    // The merged root has the mode of the upper directory, whatever the umask was.
    if ((await mkdir(layer.upperDir, { recursive: true })) !== undefined) await chmod(layer.upperDir, 0o755);
    return layer;
  }

  /**
   * Makes or takes the volumes that are asked for, each held from then on. `onNew` hears of each new one before it is made.
   * @returns the mounts as they are kept, in their order
   */
  async takeVolumes(record: ContainerRecord, wishes: readonly MountWish[], onNew: (name: string) => Promise<void>): Promise<{ mounts: PlannedMount[]; toFill: { name: string; destination: string }[] }> {
    const held: string[] = [];
    try {
      return await this.taken(record, wishes, held, onNew);
    } catch (error) {
      for (const name of held) this.services.volumes.release(record.tenantId, name, record.id);
      throw error;
    }
  }

  /** The image's content goes into a volume that was never filled, once: who comes second waits for the first. */
  async fill(record: ContainerRecord, name: string, destination: string): Promise<void> {
    const { volumes, trees, snapshots } = this.services;
    const { tenantId, chainId } = record;
    if (chainId === null) return;
    await this.filling.run(`${tenantId}/${name}`, async () => {
      if ((await volumes.get(tenantId, name)).filled) return;
      const target = await volumes.dataDir(tenantId, name);
      if (target === undefined) return;
      const source = { kind: 'overlay', lowerDirs: await snapshots.layerDirs(chainId) } as const;
      if (await trees.copyUp(source, destination, target)) await volumes.markFilled(tenantId, name);
    });
  }

  async sandboxMounts(record: ContainerRecord): Promise<SandboxMount[]> {
    const result: SandboxMount[] = [];
    for (const mount of record.mounts) result.push(await this.sandboxMount(record.tenantId, mount));
    return result;
  }

  hold(record: ContainerRecord, running: boolean): void {
    const { images, volumes } = this.services;
    const { tenantId, id, imageId, chainId } = record;
    images.hold(tenantId, imageId, chainId ?? undefined, { id, running });
    for (const mount of record.mounts) if (mount.kind === 'volume') volumes.hold(tenantId, mount.name, id);
    for (const name of record.madeVolumes) volumes.hold(tenantId, name, id);
  }

  /** Where files of its network lie: on its tenant's disk, whose size bounds what a guest writes into them, and outside of what is mounted. */
  async networkFolder({ tenantId, id }: ContainerRecord): Promise<string> {
    return join((await this.diskOf(tenantId)).path, 'containers', id, 'network');
  }

  /** Everything goes; of the volumes only the anonymous ones, when that is asked for and nobody else holds them. Idempotent. */
  async dispose(record: ContainerRecord, doomedVolumes: readonly string[]): Promise<void> {
    const { images, volumes, trees, disks } = this.services;
    const { tenantId, id } = record;
    const disk = await disks.find(tenantId);
    if (disk !== undefined) {
      if (record.request.limits.diskBytes !== undefined) await disk.removePartition(partitionOf(record));
      await trees.remove(join(disk.path, 'containers', id));
    }
    for (const mount of record.mounts) if (mount.kind === 'volume') volumes.release(tenantId, mount.name, id);
    for (const name of record.madeVolumes) volumes.release(tenantId, name, id);
    for (const name of doomedVolumes) await this.removeVolume(tenantId, name);
    images.release(tenantId, id);
  }

  private async sandboxMount(tenantId: TenantId, mount: PlannedMount): Promise<SandboxMount> {
    const { destination, readOnly } = mount;
    if (mount.kind === 'tmpfs') return { kind: 'tmpfs', destination, sizeBytes: mount.sizeBytes, mode: mount.mode, readOnly };
    const { volumes } = this.services;
    const source = mount.kind === 'volume' ? await volumes.source(tenantId, mount.name) : await volumes.hostPath(tenantId, mount.hostPath, mount.create);
    if (source.kind === 'tmpfs') return { kind: 'tmpfs', destination, sizeBytes: source.sizeBytes, mode: source.mode, readOnly };
    const { base, ensureDirectory } = source;
    const path = mount.kind === 'volume' && mount.subpath !== undefined ? join(source.path, mount.subpath) : source.path;
    return { kind: 'bind', destination, source: { base, path, ensureDirectory, readOnly } };
  }

  private async taken(record: ContainerRecord, wishes: readonly MountWish[], held: string[], onNew: (name: string) => Promise<void>): Promise<{ mounts: PlannedMount[]; toFill: { name: string; destination: string }[] }> {
    const mounts: PlannedMount[] = [];
    const toFill: { name: string; destination: string }[] = [];
    for (const wish of wishes) {
      if (wish.kind === 'ready') {
        if (wish.mount.kind === 'volume') await this.holdExisting(record, wish.mount.name, held);
        if (wish.mount.kind === 'bind' && !wish.mount.create) await this.mustExist(record.tenantId, wish.mount.hostPath);
        mounts.push(wish.mount);
        continue;
      }
      const { asked } = wish;
      const name = await this.takeVolume(record, asked, held, onNew);
      mounts.push({ kind: 'volume', name, anonymous: asked.name === undefined, destination: asked.destination, readOnly: asked.readOnly, ...(asked.subpath === undefined ? {} : { subpath: asked.subpath }) });
      if (!asked.noCopy) toFill.push({ name, destination: asked.destination });
    }
    return { mounts, toFill };
  }

  /** @throws CodedError `invalid_argument` when the tenant's host tree has nothing there; it may still go before the start */
  private async mustExist(tenantId: TenantId, hostPath: string): Promise<void> {
    const { volumes, trees } = this.services;
    const source = await volumes.hostPath(tenantId, hostPath, false);
    if (source.kind !== 'bind' || source.path === '') return;
    try {
      // Only its first bytes: they come when the path is there.
      for await (const chunk of trees.pack({ source: { kind: 'directory', path: source.base }, as: 'files', path: source.path })) if (chunk.length > 0) return;
    } catch (error) {
      if (!isCodedError(error, 'not_found')) throw error;
      throw new CodedError('invalid_argument', `invalid mount config for type "bind": bind source path does not exist: ${hostPath}`, { hostPath }, { cause: error });
    }
  }

  /** Another container held it when we looked, and may have gone since. */
  private async holdExisting({ tenantId, id }: ContainerRecord, name: string, held: string[]): Promise<void> {
    this.services.volumes.hold(tenantId, name, id);
    held.push(name);
    await this.services.volumes.get(tenantId, name);
  }

  /** The name of an anonymous one is known before it is made, so that a crash leaves none behind. */
  private async takeVolume({ tenantId, id }: ContainerRecord, asked: AskedVolume, held: string[], onNew: (name: string) => Promise<void>): Promise<string> {
    const { volumes } = this.services;
    const name = asked.name ?? randomBytes(32).toString('hex');
    const labels = asked.name === undefined ? { ...asked.labels, [ANONYMOUS_LABEL]: '' } : asked.labels;
    volumes.hold(tenantId, name, id);
    held.push(name);
    if (!(await this.volumeExists(tenantId, name))) await onNew(name);
    const { options } = asked;
    await volumes.create(tenantId, { name, ...(labels === undefined ? {} : { labels }), ...(options === undefined ? {} : { options }) });
    return name;
  }

  private async removeVolume(tenantId: TenantId, name: string): Promise<void> {
    try {
      await this.services.volumes.remove(tenantId, name, { force: true });
    } catch (error) {
      // Another container holds it: it goes with that one.
      if (!isCodedError(error, 'conflict')) throw error;
    }
  }

  private async volumeExists(tenantId: TenantId, name: string): Promise<boolean> {
    try {
      await this.services.volumes.get(tenantId, name);
      return true;
    } catch (error) {
      if (isCodedError(error, 'not_found')) return false;
      throw error;
    }
  }

  private async diskOf(tenantId: TenantId): Promise<TenantDisk> {
    const disk = await this.services.disks.find(tenantId);
    if (disk === undefined) throw new CodedError('failed_precondition', 'the tenant has no disk on this node yet', { tenantId });
    return disk;
  }
}

function partitionOf({ id }: ContainerRecord): string {
  return `container-${id}`;
}
