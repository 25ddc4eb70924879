import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { constants, createZstdCompress } from 'node:zlib';
import { CodedError, isCodedError, systemClock, type Clock, type Digest } from '#kernel';
import type { BlobInfo, ContentStore } from '../../content/index.js';
import { chainIdOf, type SnapshotInfo, type Snapshotter } from '../../snapshots/index.js';
import type { Image, ImageConfig, ImageStore, ImportRequest } from '../images.js';
import { parseManifest, type Manifest } from '../documents.js';
import { parseImageConfig } from '../image-config.js';
import { MEDIA_TYPES } from '../media-types.js';
import { ociArchitecture } from '../platforms.js';
import { checkImageName, checkNamespace } from './image-names.js';
import { ImageRefs } from './image-refs.js';
import { SharedLock } from './shared-lock.js';
import { tee } from './tee.js';

/** Level 1 keeps up with the unpacking on one core; higher levels save a tenth of the size for several times the time. */
const ZSTD_LEVEL = 1;

export interface FsImageStoreOptions {
  readonly root: string;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  readonly clock?: Clock;
}

/** What one image keeps alive. */
interface Needs {
  readonly blobs: ReadonlySet<Digest>;
  readonly chains: ReadonlySet<Digest>;
}

/** What an import has put down so far, to be taken back when it fails. */
interface Stored extends Needs {
  readonly blobs: Set<Digest>;
  readonly chains: Set<Digest>;
}

/** Images whose documents and layers are blobs, and whose names are small files. */
export class FsImageStore implements ImageStore {
  /** Imports share it, removals own it: what an import has stored but not yet named looks like garbage. */
  private readonly lock = new SharedLock();
  private readonly clock: Clock;

  private constructor(
    private readonly content: ContentStore,
    private readonly snapshots: Snapshotter,
    private readonly refs: ImageRefs,
    clock: Clock | undefined,
  ) {
    this.clock = clock ?? systemClock;
  }

  static async open({ root, content, snapshots, clock }: FsImageStoreOptions): Promise<FsImageStore> {
    const refs = join(root, 'refs');
    await mkdir(refs, { recursive: true, mode: 0o700 });
    return new FsImageStore(content, snapshots, new ImageRefs(refs), clock);
  }

  async importRootfs(request: ImportRequest): Promise<Image> {
    checkNamespace(request.namespace);
    checkImageName(request.name);
    const stored: Stored = { blobs: new Set(), chains: new Set() };
    try {
      return await this.lock.share(() => this.store(request, stored));
    } catch (error) {
      await this.lock.own(() => this.discard(stored));
      throw error;
    }
  }

  async get(namespace: string, name: string): Promise<Image> {
    const ref = await this.refs.get(namespace, name);
    if (!ref) throw new CodedError('not_found', 'no such image', { name });
    return this.load(ref.manifest);
  }

  async list(namespace: string): Promise<{ name: string; image: Image }[]> {
    const refs = await this.refs.list(namespace);
    return Promise.all(refs.map(async ({ name, manifest }) => ({ name, image: await this.load(manifest) })));
  }

  remove(namespace: string, name: string): Promise<void> {
    return this.lock.own(async () => {
      const ref = await this.refs.get(namespace, name);
      if (!ref) return;
      const loose = await this.needsOf([ref.manifest]);
      // The name goes first: a crash after it leaves garbage, never a name that leads nowhere.
      await this.refs.remove(namespace, name);
      await this.discard(loose);
    });
  }

  collectGarbage(): Promise<void> {
    return this.lock.own(async () => {
      const blobs = new Set<Digest>();
      for await (const { digest } of this.content.list()) blobs.add(digest);
      const chains = new Set((await this.snapshots.list()).map(({ chainId }) => chainId));
      await this.discard({ blobs, chains });
    });
  }

  private async store(request: ImportRequest, stored: Stored): Promise<Image> {
    const { snapshot, blob } = await this.storeLayer(request.tar, stored);
    const config = await this.storeJson(this.describe(request, snapshot.diffId), stored);
    const manifest: Manifest = {
      schemaVersion: 2,
      mediaType: MEDIA_TYPES.manifest,
      config: { mediaType: MEDIA_TYPES.config, digest: config.digest, size: config.size },
      layers: [{ mediaType: MEDIA_TYPES.layerZstd, digest: blob.digest, size: blob.size }],
    };
    const { digest } = await this.storeJson(manifest, stored);
    await this.refs.put(request.namespace, { name: request.name, manifest: digest });
    return this.load(digest);
  }

  private async storeLayer(tar: AsyncIterable<Uint8Array>, stored: Stored): Promise<{ snapshot: SnapshotInfo; blob: BlobInfo }> {
    const { branches, pumped } = tee(tar, 2);
    const [toUnpack, toCompress] = branches as [AsyncIterable<Uint8Array>, AsyncIterable<Uint8Array>];
    const [unpacked, written, source] = await Promise.allSettled([this.snapshots.unpack({ tar: toUnpack }), this.content.write(compressed(toCompress)), pumped]);
    if (unpacked.status === 'fulfilled') stored.chains.add(unpacked.value.chainId);
    if (written.status === 'fulfilled') stored.blobs.add(written.value.digest);
    if (unpacked.status === 'fulfilled' && written.status === 'fulfilled') return { snapshot: unpacked.value, blob: written.value };
    // `cancelled` only tells that another of the three has failed.
    const reasons = [source, unpacked, written].flatMap((end): unknown[] => (end.status === 'rejected' ? [end.reason] : []));
    throw reasons.find((reason) => !isCodedError(reason, 'cancelled')) ?? reasons[0];
  }

  /** The fields stand in one order, so that equal configs are equal bytes. */
  private describe(request: ImportRequest, diffId: Digest): ImageConfig {
    const created = request.created ?? new Date(this.clock.now()).toISOString();
    return {
      created,
      architecture: ociArchitecture(),
      os: 'linux',
      config: sorted(request.config ?? {}),
      rootfs: { type: 'layers', diff_ids: [diffId] },
      history: [{ created, created_by: 'sandbar import', ...(request.comment === undefined ? {} : { comment: request.comment }) }],
    };
  }

  private async storeJson(document: object, stored: Stored): Promise<BlobInfo> {
    const info = await this.content.write(once(Buffer.from(JSON.stringify(document))));
    stored.blobs.add(info.digest);
    return info;
  }

  private async load(manifest: Digest): Promise<Image> {
    const { config: descriptor } = parseManifest(await this.content.read(manifest));
    const config = parseImageConfig(await this.content.read(descriptor.digest));
    const chainId = chainsOf(config).at(-1);
    if (chainId === undefined) throw new CodedError('internal', 'a stored image has no layer', { manifest });
    return { id: descriptor.digest, manifest, config, chainId };
  }

  private async needsOf(manifests: readonly Digest[]): Promise<Needs> {
    const blobs = new Set<Digest>();
    const chains = new Set<Digest>();
    for (const digest of manifests) {
      const manifest = parseManifest(await this.content.read(digest));
      const config = parseImageConfig(await this.content.read(manifest.config.digest));
      for (const blob of [digest, manifest.config.digest, ...manifest.layers.map((layer) => layer.digest)]) blobs.add(blob);
      for (const chain of chainsOf(config)) chains.add(chain);
    }
    return { blobs, chains };
  }

  /** Deletes of these what no name needs. */
  private async discard(loose: Needs): Promise<void> {
    const named = await this.refs.listAll();
    const needed = await this.needsOf([...new Set(named.map((ref) => ref.manifest))]);
    for (const blob of loose.blobs) {
      if (!needed.blobs.has(blob)) await this.content.delete(blob);
    }
    await this.removeChains([...loose.chains].filter((chain) => !needed.chains.has(chain)));
  }

  /** Children before their parents. */
  private async removeChains(chains: readonly Digest[]): Promise<void> {
    const doomed = new Set(chains);
    while (doomed.size > 0) {
      const parents = new Set((await this.snapshots.list()).map((snapshot) => snapshot.parent));
      const leaves = [...doomed].filter((chain) => !parents.has(chain));
      if (leaves.length === 0) return;
      for (const chain of leaves) {
        await this.snapshots.remove(chain);
        doomed.delete(chain);
      }
    }
  }
}

/** The chainIDs of an image's layers, lowest first. */
function chainsOf(config: ImageConfig): Digest[] {
  const chains: Digest[] = [];
  for (const diffId of config.rootfs.diff_ids) chains.push(chainIdOf(chains.at(-1), diffId));
  return chains;
}

async function* compressed(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
  const zstd = createZstdCompress({ params: { [constants.ZSTD_c_compressionLevel]: ZSTD_LEVEL } });
  // A failing source destroys zstd with its error, which the iteration below throws; a reader that leaves ends both.
  pipeline(source, zstd).catch(() => undefined);
  yield* zstd as AsyncIterable<Uint8Array>;
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  await Promise.resolve();
  yield bytes;
}

function sorted(config: ImageConfig['config']): ImageConfig['config'] {
  return Object.fromEntries(Object.entries(config).sort(([a], [b]) => (a < b ? -1 : 1)));
}
