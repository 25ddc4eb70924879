import { mkdir, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, type TenantId } from '#kernel';
import { removeFile, type KeyedQueue } from '../../linux/index.js';
import type { DiskUsage, TenantDisk } from '../disks.js';
import { isUnfinishedImage } from './ext4-image.js';
import { ensureHostTree } from './host-tree.js';
import { ImageMount } from './image-mount.js';
import { mountedDevice } from './loop-mounts.js';

const PARTITION_NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]{0,99}$/;
const PARTITIONS = 'partitions';
const FOLDERS = [['containers', 0o700], ['volumes', 0o700], [PARTITIONS, 0o700]] as const;
const IMAGE = '.img';

/** Made by `LoopDisks`, which calls all but the interface's methods while it holds the tenant's place in the queue. */
export class LoopDisk implements TenantDisk {
  readonly #mount: ImageMount;
  readonly #partitions = new Map<string, ImageMount>();

  constructor(
    readonly tenantId: TenantId,
    image: string,
    readonly path: string,
    private readonly queue: KeyedQueue,
  ) {
    this.#mount = new ImageMount(image, path, { preallocated: false });
  }

  async usage(): Promise<DiskUsage> {
    const { usableBytes, availableBytes, totalInodes, usedInodes } = await this.#mount.capacity();
    const available = Math.min(availableBytes, usableBytes);
    return { totalBytes: usableBytes, usedBytes: usableBytes - available, availableBytes: available, totalInodes, usedInodes };
  }

  ensurePartition(name: string, sizeBytes: number): Promise<string> {
    return this.queue.run(this.tenantId, async () => {
      if (!PARTITION_NAME.test(name)) throw new CodedError('invalid_argument', `"${name}" is no name of a partition`);
      if (!Number.isSafeInteger(sizeBytes) || sizeBytes <= 0) throw new CodedError('invalid_argument', 'a partition has a size', { sizeBytes });
      const partition = this.#partition(name);
      if (this.#partitions.has(name)) return partition.path;
      await partition.make(sizeBytes);
      await partition.mount();
      await partition.resize(sizeBytes);
      this.#partitions.set(name, partition);
      return partition.path;
    });
  }

  removePartition(name: string): Promise<void> {
    return this.queue.run(this.tenantId, async () => {
      if (!PARTITION_NAME.test(name)) return;
      const partition = this.#partition(name);
      if (!(await partition.exists())) return;
      this.#partitions.delete(name);
      await partition.letGo();
      await partition.remove();
    });
  }

  exists(): Promise<boolean> {
    return this.#mount.exists();
  }

  make(sizeBytes: number): Promise<void> {
    return this.#mount.make(sizeBytes);
  }

  async mount(): Promise<void> {
    await this.#mount.mount();
    for (const [folder, mode] of FOLDERS) await mkdir(join(this.path, folder), { recursive: true, mode });
    await ensureHostTree(this.path);
    const names = await readdir(join(this.path, PARTITIONS));
    for (const name of names.filter(isUnfinishedImage)) await removeFile(join(this.path, PARTITIONS, name));
    for (const name of await this.#partitionNames()) {
      if ((await mountedDevice(this.#partition(name).path)) !== undefined) await this.#mountAgain(name);
    }
  }

  /** false: it has to grow and cannot while it is in use. */
  async resize(sizeBytes: number): Promise<boolean> {
    let inUse: string[] = [];
    const release = async (): Promise<boolean> => {
      inUse = [...this.#partitions.keys()];
      return this.release();
    };
    try {
      return await this.#mount.resize(sizeBytes, release);
    } finally {
      for (const name of inUse.filter((other) => !this.#partitions.has(other))) await this.#mountAgain(name);
    }
  }

  /** Unmounts all of it; false, and its partitions as `resize` or the next `ensurePartition` finds them, while it is in use. */
  async release(): Promise<boolean> {
    for (const [name, partition] of this.#partitions) {
      if (!(await partition.release())) return false;
      this.#partitions.delete(name);
    }
    return this.#mount.release();
  }

  async letGo(): Promise<void> {
    for (const name of await this.#partitionNames()) await this.#partition(name).letGo();
    this.#partitions.clear();
    await this.#mount.letGo();
  }

  async remove(): Promise<void> {
    await this.#mount.remove();
  }

  async #mountAgain(name: string): Promise<void> {
    const partition = this.#partition(name);
    await partition.mount();
    this.#partitions.set(name, partition);
  }

  async #partitionNames(): Promise<string[]> {
    const names = await readdir(join(this.path, PARTITIONS)).catch(() => []);
    return names.filter((name) => name.endsWith(IMAGE) && !isUnfinishedImage(name)).map((name) => name.slice(0, -IMAGE.length));
  }

  #partition(name: string): ImageMount {
    const known = this.#partitions.get(name);
    return known ?? new ImageMount(join(this.path, PARTITIONS, `${name}${IMAGE}`), join(this.path, PARTITIONS, name), { preallocated: true });
  }
}
