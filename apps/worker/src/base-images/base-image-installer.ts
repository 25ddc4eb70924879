import type { ImageReference } from '#kernel';
import { canonicalName, CodedError, familiarName, isCodedError, parseReference } from '#kernel';
import type { TenantImages } from '#engine';
import { busyboxEpoch, busyboxRootfs, busyboxVersion } from './busybox-rootfs.js';
import { RECIPE } from './debian-recipe.js';
import type { MinimalDebian } from './minimal-debian.js';

/** Where the images lie that stand in for docker.io's where its registry cannot be reached, and that the runtimes stand on. */
export const BASE_IMAGES = 'system';
/** Tells an image of an earlier recipe from one of this. */
const COMMENT = `Made of Debian's packages, recipe ${RECIPE}`;

export interface BaseImageInstallerOptions {
  readonly images: Pick<TenantImages, 'importTar' | 'resolve' | 'tag'>;
  readonly debian: MinimalDebian;
  onProgress(progress: { readonly image: string; readonly percent: number; readonly message: string }): void;
}

interface BaseImage {
  /** The first is what it is looked up by. */
  readonly names: readonly ImageReference[];
  readonly changes: readonly string[];
  /** When it is said to be made: with it, equal files are equal images. Seconds since the epoch. */
  readonly epoch: number;
  readonly rootfs: (say: (percent: number, message: string) => void) => AsyncIterable<Uint8Array>;
}

/**
 * Makes `busybox` and `debian:<suite>-slim` of Debian's packages, under the names that docker.io has for such images, so that `docker pull` and
 * `FROM` work on a machine without a way to a registry. Idempotent.
 */
export class BaseImageInstaller {
  constructor(private readonly options: BaseImageInstallerOptions) {}

  async installed(): Promise<boolean> {
    for (const { names } of await this.wanted()) if (!(await this.has(names))) return false;
    return true;
  }

  async install(): Promise<void> {
    for (const image of await this.wanted()) await this.ensure(image);
  }

  private async ensure({ names, changes, epoch, rootfs }: BaseImage): Promise<void> {
    const [first, ...others] = names;
    if (first === undefined) throw new CodedError('internal', 'a base image without a name');
    const image = canonicalName(first);
    const say = (percent: number, message: string): void => {
      this.options.onProgress({ image, percent, message: `${familiarName(first)} ${message}` });
    };
    if (!(await this.has(names))) {
      say(0, 'is made');
      const { images } = this.options;
      const { id } = await images.importTar(BASE_IMAGES, { tar: rootfs(say), name: first, changes, message: COMMENT, created: new Date(epoch * 1000).toISOString() });
      for (const other of others) await images.tag(BASE_IMAGES, id, other);
    }
    say(100, 'is there');
  }

  private async has(names: readonly ImageReference[]): Promise<boolean> {
    for (const name of names) {
      try {
        const { config } = await this.options.images.resolve(BASE_IMAGES, canonicalName(name));
        if (config.history?.[0]?.comment !== COMMENT) return false;
      } catch (error) {
        if (isCodedError(error, 'not_found')) return false;
        throw error;
      }
    }
    return true;
  }

  private async wanted(): Promise<BaseImage[]> {
    const { debian } = this.options;
    const version = await busyboxVersion();
    return [
      {
        names: ['latest', ...(version === undefined ? [] : [version])].map((tag) => parseReference(`busybox:${tag}`)),
        changes: ['CMD ["sh"]', 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        epoch: await busyboxEpoch(),
        rootfs: () => busyboxRootfs(),
      },
      {
        names: [`${debian.suite}-slim`, debian.suite].map((tag) => parseReference(`debian:${tag}`)),
        changes: ['CMD ["bash"]', 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        epoch: debian.epoch,
        rootfs: (say) => debian.rootfs(say),
      },
    ];
  }
}
