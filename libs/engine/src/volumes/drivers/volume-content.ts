import { mkdir, chmod } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, type TenantId } from '#kernel';
import type { TenantDisk, TenantDisks } from '../../disks/index.js';
import { syncDirectory } from '../../linux/index.js';
import type { Trees } from '../../tree/index.js';
import { pathInHostTree } from './volume-names.js';
import type { VolumeRecord } from './volume-records.js';

const DATA = '_data';

/** A tree to read and write by `Trees`: a directory that only the node can rename, and a path in it that guests can change. */
export interface ContentRoot {
  readonly root: string;
  readonly path: string;
}

/** Where volumes lie on the tenants' disks: `volumes/<id>/_data`, those with a size on a partition, bind volumes in the host tree. */
export class VolumeContent {
  constructor(
    private readonly disks: Pick<TenantDisks, 'find'>,
    private readonly trees: Trees,
  ) {}

  /** @throws CodedError `failed_precondition` when the tenant has no disk */
  async disk(tenantId: TenantId): Promise<TenantDisk> {
    const disk = await this.disks.find(tenantId);
    if (disk === undefined) throw new CodedError('failed_precondition', 'the tenant has no disk', { tenantId });
    return disk;
  }

  /** Makes its directory, empty, durable. @throws CodedError `resource_exhausted` when a volume with a size does not fit */
  async make(tenantId: TenantId, record: VolumeRecord): Promise<void> {
    const folder = await this.#folder(tenantId, record);
    if (folder === undefined) return;
    const data = join(folder, DATA);
    await mkdir(data, { recursive: true, mode: 0o755 });
    await chmod(data, 0o755);
    await syncDirectory(folder);
    await syncDirectory(join(folder, '..'));
  }

  /** The node's own directory; undefined for tmpfs and bind volumes. */
  async dataDir(tenantId: TenantId, record: VolumeRecord): Promise<string | undefined> {
    const folder = await this.#folder(tenantId, record);
    return folder === undefined ? undefined : join(folder, DATA);
  }

  async hostTree(tenantId: TenantId): Promise<string> {
    return join((await this.disk(tenantId)).path, 'host');
  }

  /** undefined for tmpfs, which is nowhere while no sandbox mounts it. */
  async contentRoot(tenantId: TenantId, record: VolumeRecord): Promise<ContentRoot | undefined> {
    if (record.kind.kind === 'bind') return { root: await this.hostTree(tenantId), path: `/${pathInHostTree(record.kind.path)}` };
    const dir = await this.dataDir(tenantId, record);
    return dir === undefined ? undefined : { root: dir, path: '/' };
  }

  /** Bytes that go with the volume. */
  async usage(tenantId: TenantId, record: VolumeRecord): Promise<number> {
    const dir = await this.dataDir(tenantId, record);
    return dir === undefined ? 0 : (await this.trees.usage(dir)).bytes;
  }

  /** Whatever there may be of it, whichever its kind. Idempotent; a tenant without a disk has nothing. */
  async remove(tenantId: TenantId, id: string): Promise<void> {
    const disk = await this.disks.find(tenantId);
    if (disk === undefined) return;
    await this.trees.remove(join(disk.path, 'volumes', id));
    await disk.removePartition(partitionOf(id));
  }

  async #folder(tenantId: TenantId, { id, kind }: VolumeRecord): Promise<string | undefined> {
    if (kind.kind === 'directory') return join((await this.disk(tenantId)).path, 'volumes', id);
    if (kind.kind !== 'partition') return undefined;
    return (await this.disk(tenantId)).ensurePartition(partitionOf(id), kind.sizeBytes);
  }
}

function partitionOf(id: string): string {
  return `volume-${id}`;
}
