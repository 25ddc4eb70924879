import type { ImageReference } from '#kernel';
import { CodedError, isCodedError, parseReference, canonicalName } from '#kernel';
import type { TenantImages } from '#engine';
import { busyboxRootfs, busyboxVersion } from './busybox-rootfs.js';

/** Where the images lie that stand in for docker.io's where its registry cannot be reached. */
const NAMESPACE = 'system';

export interface BaseImageInstallerOptions {
  readonly images: Pick<TenantImages, 'importTar' | 'resolve' | 'tag'>;
  /** Debian's suite (`bookworm`), and its minimal root file system as a tar. */
  readonly debian: { readonly suite: string; readonly rootfs: () => AsyncIterable<Uint8Array> };
  onProgress(progress: { readonly image: string; readonly percent: number; readonly message: string }): void;
}

interface BaseImage {
  /** The first is what it is looked up by. */
  readonly names: readonly ImageReference[];
  readonly changes: readonly string[];
  readonly rootfs: () => AsyncIterable<Uint8Array>;
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

  private async ensure({ names, changes, rootfs }: BaseImage): Promise<void> {
    const [first, ...others] = names;
    if (first === undefined) throw new CodedError('internal', 'a base image without a name');
    const name = canonicalName(first);
    this.options.onProgress({ image: name, percent: 0, message: `${name} is made` });
    if (!(await this.has(names))) {
      const { id } = await this.options.images.importTar(NAMESPACE, { tar: rootfs(), name: first, changes, message: "Made of Debian's packages" });
      for (const other of others) await this.options.images.tag(NAMESPACE, id, other);
    }
    this.options.onProgress({ image: name, percent: 100, message: `${name} is there` });
  }

  private async has(names: readonly ImageReference[]): Promise<boolean> {
    for (const name of names) {
      try {
        await this.options.images.resolve(NAMESPACE, canonicalName(name));
      } catch (error) {
        if (isCodedError(error, 'not_found')) return false;
        throw error;
      }
    }
    return true;
  }

  private async wanted(): Promise<BaseImage[]> {
    const { suite, rootfs } = this.options.debian;
    const version = await busyboxVersion();
    return [
      {
        names: ['latest', ...(version === undefined ? [] : [version])].map((tag) => parseReference(`busybox:${tag}`)),
        changes: ['CMD ["sh"]', 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        rootfs: () => busyboxRootfs(),
      },
      {
        names: [`${suite}-slim`, suite].map((tag) => parseReference(`debian:${tag}`)),
        changes: ['CMD ["bash"]', 'ENV PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin'],
        rootfs,
      },
    ];
  }
}
