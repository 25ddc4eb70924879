import { join } from 'node:path';
import { digestOf, parseReference, withDefaultTag, type TenantId } from '#kernel';
import { FsContentStore } from '../../content/index.js';
import { TarImageArchives } from '../../images/index.js';
import type { BuildHost } from './build-host.contract.js';

export type RawConfig = Record<string, unknown> & { history: Record<string, unknown>[]; rootfs: { diff_ids: string[] } };

/** Brings images from one tenant to another, as they are and as nobody should make them. */
export class MovedImages {
  private constructor(
    private readonly built: BuildHost,
    private readonly content: FsContentStore,
  ) {}

  static async open(built: BuildHost): Promise<MovedImages> {
    return new MovedImages(built, await FsContentStore.open(join(built.host.base, 'content')));
  }

  /** By `docker save` and `docker load`. */
  async move(name: string, from: TenantId, to: TenantId): Promise<void> {
    const archives = new TarImageArchives({ content: this.content, images: this.built.images });
    await archives.load(to, archives.save(from, [name]));
  }

  /** The tenant's image of that name with another config and other layers (of its manifest), as a pull would register it. */
  async rewrite(tenant: TenantId, name: string, edit: (config: RawConfig, layers: object[]) => void): Promise<void> {
    const { images } = this.built;
    const { manifest, rawConfig } = await images.resolve(tenant, name);
    const config = structuredClone(rawConfig) as RawConfig;
    const described = JSON.parse((await this.content.read(manifest)).toString()) as { config: object; layers: object[] };
    edit(config, described.layers);
    const configBytes = Buffer.from(JSON.stringify(config));
    const manifestBytes = Buffer.from(JSON.stringify({ ...described, config: { ...described.config, digest: digestOf(configBytes), size: configBytes.byteLength } }));
    const pin = await this.content.pin([configBytes, manifestBytes].map((bytes) => digestOf(bytes)));
    try {
      for (const bytes of [configBytes, manifestBytes]) await this.content.write(once(bytes));
      await images.register(tenant, { manifest: digestOf(manifestBytes), names: [withDefaultTag(parseReference(name))] });
    } finally {
      pin.release();
    }
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  await Promise.resolve();
  yield bytes;
}
