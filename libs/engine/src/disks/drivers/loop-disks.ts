import { mkdir, readdir, realpath, rmdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { CodedError, isId, systemClock, type Clock, type Logger, type TenantId } from '#kernel';
import { KeyedQueue, readMounts, removeFile } from '../../linux/index.js';
import type { TenantDisk, TenantDisks } from '../disks.js';
import { isUnfinishedImage } from './ext4-image.js';
import { mustRun, runHostProgram } from './host-programs.js';
import { LoopDisk } from './loop-disk.js';
import { detach, listLoopDevices, mountedDevice, unmount } from './loop-mounts.js';

export interface LoopDisksOptions {
  readonly logger: Logger;
  readonly clock?: Clock;
}

const IMAGE = '.img';
/** Below this there is no room for a journal and folders. */
const LEAST_BYTES = 8 * 1024 ** 2;
const GROWTH_RETRY_MS = 30_000;

interface Known {
  readonly disk: LoopDisk;
  /** As last asked for, and reached. */
  sizeBytes?: number;
  /** A growth that could not be: unmounting is not tried again at each start of a container. */
  waits?: { readonly sizeBytes: number; readonly untilMs: number };
}

/**
 * One sparse ext4 image per tenant on a loop device: `images/<tenant>.img`, mounted at `mounts/<tenant>` in the name space of this process. `mounts`
 * is a shared mount of its own, so a spawner that is started later (its name space is a slave) sees disks come and go. One process per root.
 */
export class LoopDisks implements TenantDisks {
  readonly driver = 'ext4 images on loop devices';
  readonly #known = new Map<TenantId, Known>();
  readonly #queue = new KeyedQueue();
  #closed = false;

  private constructor(
    private readonly images: string,
    private readonly mounts: string,
    private readonly logger: Logger,
    private readonly clock: Clock,
  ) {}

  /** Makes the folders and the shared mount: to be called before the spawner is started. */
  static async open(root: string, { logger, clock = systemClock }: LoopDisksOptions): Promise<LoopDisks> {
    for (const folder of ['images', 'mounts']) await mkdir(join(root, folder), { recursive: true, mode: 0o700 });
    // As the kernel names them in mountinfo and sysfs.
    const real = await realpath(root);
    const mounts = join(real, 'mounts');
    await shareMount(mounts);
    return new LoopDisks(join(real, 'images'), mounts, logger, clock);
  }

  async recover(): Promise<void> {
    const names = await readdir(this.images);
    for (const name of names.filter(isUnfinishedImage)) await removeFile(join(this.images, name));
    const tenants = new Set(names.map(tenantOf).filter((tenant) => tenant !== undefined));
    for (const name of await readdir(this.mounts)) {
      if (!isId('tenant', name) || !tenants.has(name)) await this.#sweepMountPoint(join(this.mounts, name));
      else if ((await mountedDevice(join(this.mounts, name))) !== undefined) await this.#queue.run(name, () => this.#mounted(name));
    }
    const mounted = new Set((await readMounts()).map(({ source }) => source));
    for (const { device, image } of await listLoopDevices()) {
      // A crash between attaching and mounting. One that sandboxes use is only marked to go with them, as it is already.
      if (image.startsWith(`${this.images}/`) && !mounted.has(device)) await runHostProgram('losetup', ['--detach', device]);
    }
  }

  async ensure(tenantId: TenantId, sizeBytes: number): Promise<TenantDisk> {
    this.#assertOpen();
    const known = this.#known.get(tenantId);
    if (known?.sizeBytes === sizeBytes) return known.disk;
    if (!Number.isSafeInteger(sizeBytes) || sizeBytes < LEAST_BYTES) throw new CodedError('invalid_argument', `a disk has ${LEAST_BYTES} bytes or more`, { sizeBytes });
    return this.#queue.run(tenantId, () => this.#sized(tenantId, sizeBytes));
  }

  async find(tenantId: TenantId): Promise<TenantDisk | undefined> {
    this.#assertOpen();
    return this.#known.get(tenantId)?.disk ?? this.#queue.run(tenantId, async () => (await this.#mounted(tenantId))?.disk);
  }

  async list(): Promise<TenantDisk[]> {
    this.#assertOpen();
    const tenants = (await readdir(this.images)).map(tenantOf).filter((tenant) => tenant !== undefined);
    const disks: TenantDisk[] = [];
    for (const tenant of tenants) {
      const disk = await this.find(tenant);
      if (disk !== undefined) disks.push(disk);
    }
    return disks;
  }

  async remove(tenantId: TenantId): Promise<void> {
    this.#assertOpen();
    await this.#queue.run(tenantId, async () => {
      const known = await this.#mounted(tenantId);
      if (known === undefined) return;
      if (!(await known.disk.release())) throw new CodedError('failed_precondition', 'the disk is in use', { tenantId });
      this.#known.delete(tenantId);
      await known.disk.remove();
    });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#queue.idle();
    for (const { disk } of this.#known.values()) await disk.letGo();
    this.#known.clear();
    if (!(await unmount(this.mounts))) await detach(this.mounts);
  }

  async #sized(tenantId: TenantId, sizeBytes: number): Promise<TenantDisk> {
    this.#assertOpen();
    const known = this.#entry(tenantId);
    if (known.sizeBytes === sizeBytes) return known.disk;
    const { disk } = known;
    await disk.make(sizeBytes);
    await disk.mount();
    this.#known.set(tenantId, known);
    if (known.waits?.sizeBytes === sizeBytes && this.clock.monotonicMs() < known.waits.untilMs) return disk;
    if (await disk.resize(sizeBytes)) {
      known.sizeBytes = sizeBytes;
      delete known.waits;
    } else {
      delete known.sizeBytes;
      known.waits = { sizeBytes, untilMs: this.clock.monotonicMs() + GROWTH_RETRY_MS };
      this.logger.warn({ tenantId, sizeBytes }, 'disks: it grows when it is idle: this process lacks CAP_SYS_RESOURCE');
    }
    return disk;
  }

  /** undefined when it has no image. In the tenant's place in the queue. */
  async #mounted(tenantId: TenantId): Promise<Known | undefined> {
    this.#assertOpen();
    const known = this.#entry(tenantId);
    if (this.#known.has(tenantId)) return known;
    if (!(await known.disk.exists())) return undefined;
    await known.disk.mount();
    this.#known.set(tenantId, known);
    return known;
  }

  #entry(tenantId: TenantId): Known {
    const known = this.#known.get(tenantId);
    if (known !== undefined) return known;
    // It becomes a file's name.
    if (!isId('tenant', tenantId)) throw new CodedError('invalid_argument', 'not the id of a tenant');
    return { disk: new LoopDisk(tenantId, join(this.images, `${tenantId}${IMAGE}`), join(this.mounts, tenantId), this.#queue) };
  }

  /** A removal ended halfway: its image is gone, the mount point or even the mount is not. */
  async #sweepMountPoint(path: string): Promise<void> {
    const below = (await readMounts()).map(({ mountPoint }) => mountPoint).filter((mountPoint) => mountPoint === path || mountPoint.startsWith(`${path}/`));
    for (const mountPoint of below.reverse()) await detach(mountPoint);
    await rmdir(path).catch(() => {
      this.logger.warn({ path }, 'disks: not a mount point of ours');
    });
  }

  #assertOpen(): void {
    if (this.#closed) throw new CodedError('unavailable', 'the disks are closed');
  }
}

function tenantOf(name: string): TenantId | undefined {
  const tenant = basename(name, IMAGE);
  return name.endsWith(IMAGE) && isId('tenant', tenant) ? tenant : undefined;
}

/** A mount is what propagates; a folder on the root file system has the propagation of `/`, which differs from machine to machine. Idempotent. */
async function shareMount(path: string): Promise<void> {
  const mounts = await readMounts();
  const mine = mounts.findLast(({ mountPoint }) => mountPoint === path);
  const below = mounts.find(({ id }) => id === mine?.parentId);
  // Made private once more, it would lose its copies in the name spaces that outlived the last worker: what is unmounted here would stay in use there.
  if (mine?.peerGroup !== undefined && mine.peerGroup !== below?.peerGroup) return;
  if (mine === undefined) await mustRun('mount', ['-n', '--bind', path, path]);
  // First private: below a shared `/` it would be of one group with its copies in the name spaces of the machine's services.
  await mustRun('mount', ['-n', '--make-private', path]);
  await mustRun('mount', ['-n', '--make-shared', path]);
}
