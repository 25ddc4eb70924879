import { mkdir, rmdir, stat } from 'node:fs/promises';
import { errnoOf } from '#kernel';
import { removeFile } from '../../linux/index.js';
import { capacityOf, isNear, settleReserve, trimTo, type Capacity } from './ballast.js';
import { growMounted, growUnmounted, lengthenImage, makeImage } from './ext4-image.js';
import { detach, isReleased, mountedDevice, mountImage, unmount } from './loop-mounts.js';

/** One image file, mounted at one place with an exact size for content. Not for concurrent use. */
export class ImageMount {
  #device: string | undefined;
  #reservedBlocks = 0;

  constructor(
    readonly image: string,
    readonly path: string,
    private readonly options: { readonly preallocated: boolean },
  ) {}

  async exists(): Promise<boolean> {
    try {
      await stat(this.image);
      return true;
    } catch (error) {
      if (errnoOf(error) === 'ENOENT') return false;
      throw error;
    }
  }

  /** Makes the image if need be. @throws CodedError `resource_exhausted` when it is to be preallocated and does not fit */
  async make(sizeBytes: number): Promise<void> {
    if (!(await this.exists())) await makeImage(this.image, sizeBytes, this.options);
  }

  /** Mounts the image, which exists. What is mounted there already stays. */
  async mount(): Promise<void> {
    if (this.#device !== undefined) return;
    await mkdir(this.path, { mode: 0o700, recursive: true });
    const device = (await mountedDevice(this.path)) ?? (await mountImage(this.image, this.path, { discard: !this.options.preallocated }));
    this.#reservedBlocks = await settleReserve(device, this.path);
    this.#device = device;
  }

  capacity(): Promise<Capacity> {
    return capacityOf(this.path, this.#reservedBlocks);
  }

  /**
   * Brings what content may take to that size. false when it has to grow, this process may not grow what is mounted, and it cannot be unmounted for
   * that now (`release`, default: by itself).
   * @throws CodedError `failed_precondition` when it holds more
   */
  async resize(sizeBytes: number, release: () => Promise<boolean> = () => this.release()): Promise<boolean> {
    const { usableBytes, mostBytes } = await this.capacity();
    if (isNear(usableBytes, sizeBytes)) return true;
    if (mostBytes < sizeBytes && !(await this.#grow(sizeBytes, release))) return false;
    await trimTo(this.path, sizeBytes, this.#reservedBlocks);
    return true;
  }

  async #grow(sizeBytes: number, release: () => Promise<boolean>): Promise<boolean> {
    await lengthenImage(this.image, sizeBytes, this.options);
    if (this.#device !== undefined && (await growMounted(this.#device))) return this.#settled();
    if (!(await release())) return false;
    try {
      await growUnmounted(this.image);
    } finally {
      await this.mount();
    }
    return true;
  }

  async #settled(): Promise<boolean> {
    if (this.#device !== undefined) this.#reservedBlocks = await settleReserve(this.#device, this.path);
    return true;
  }

  /** Unmounts; false, and mounted as before, while anyone uses it in any name space. */
  async release(): Promise<boolean> {
    if (!(await unmount(this.path))) return false;
    this.#device = undefined;
    if (await isReleased(this.image)) return true;
    await this.mount();
    return false;
  }

  /** Unmounts, from this name space at least: those who use it keep it. */
  async letGo(): Promise<void> {
    this.#device = undefined;
    if (!(await unmount(this.path))) await detach(this.path);
  }

  /** Unlinks the image, last: while it is there, there is something to remove. Its blocks are free when its last user is gone. */
  async remove(): Promise<void> {
    try {
      await rmdir(this.path);
    } catch (error) {
      if (errnoOf(error) !== 'ENOENT') throw error;
    }
    await removeFile(this.image);
  }
}
