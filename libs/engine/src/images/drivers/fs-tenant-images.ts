import { CodedError, asError, isCodedError, isId, silentLogger, systemClock, type Clock, type Digest, type ImageReference, type Logger } from '#kernel';
import type { ContentStore } from '../../content/index.js';
import type { HostEvents } from '../../events/index.js';
import type { Snapshotter } from '../../snapshots/index.js';
import { applyChanges } from '../changes.js';
import type { AppendLayer, HistoryRow, ImageHolder, ImageLayer, ImageRecord, ImageUsage, ImportTar, RegisterImage, Removal, TenantImages } from '../tenant-images.js';
import { ConfigCache } from './config-cache.js';
import { decompressed } from './decompress.js';
import { readImageDocuments, type ImagePlan } from './image-documents.js';
import { DurableImageFiles, type ImageFiles } from './image-files.js';
import { historyOf, type Ancestor } from './image-history.js';
import { ImageIndex } from './image-index.js';
import { ImageMaker, type NewImage } from './image-maker.js';
import { ImageQuota } from './image-quota.js';
import { Removing, type RemovalPlan } from './image-removal.js';
import { blobsOf, familiarText, nameOf, stackOf, type ImageSpace, type StoredImage } from './image-space.js';
import { KeyedTurns } from './keyed-turns.js';
import { Layers } from './layers.js';
import { loadImages } from './load-images.js';
import { Making } from './making.js';
import { takeOverOldRefs } from './old-refs.js';

export interface FsTenantImagesOptions {
  readonly root: string;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  /** Told of the tenants' images; not of other name spaces'. */
  readonly events?: HostEvents;
  readonly clock?: Clock;
  readonly logger?: Logger;
  /** What the layers of a name space's images may take up, each counted once. undefined: no limit. */
  readonly quotaBytesOf?: (namespace: string) => number | undefined;
  /** In the place of the files below `root`. */
  readonly files?: ImageFiles;
}

/**
 * Images whose documents and layers are blobs and whose records and names are small files, kept in memory. One process at a time. Changes of one name space
 * follow one another; a file is written before what it says shows, and removed after it has ceased to show.
 */
export class FsTenantImages implements TenantImages {
  private readonly turns = new KeyedTurns();
  private readonly layers: Layers;
  private readonly configs: ConfigCache;
  private readonly maker: ImageMaker;
  private readonly quota: ImageQuota;
  /** Collections that nobody waits for. */
  private background: Promise<unknown> = Promise.resolve();

  private constructor(
    private readonly options: FsTenantImagesOptions,
    private readonly files: ImageFiles,
    private readonly index: ImageIndex,
    private readonly clock: Clock,
    private readonly logger: Logger,
  ) {
    this.layers = new Layers(options.content, options.snapshots, (chain) => index.needsChain(chain));
    this.configs = new ConfigCache(options.content);
    this.maker = new ImageMaker(options.content, this.layers, this.configs, clock);
    this.quota = new ImageQuota(options.quotaBytesOf);
  }

  /** Reads what is there. Collects nothing: who holds what is not known yet (`collectGarbage`). */
  static async open(options: FsTenantImagesOptions): Promise<FsTenantImages> {
    const files = options.files ?? (await DurableImageFiles.open(options.root));
    const logger = options.logger ?? silentLogger;
    const index = new ImageIndex();
    const images = new FsTenantImages(options, files, index, options.clock ?? systemClock, logger);
    await loadImages({ files, index, layers: images.layers, content: options.content, snapshots: options.snapshots, logger });
    await takeOverOldRefs(options.root, images, logger);
    return images;
  }

  async register(namespace: string, { manifest, names, parent }: RegisterImage): Promise<ImageRecord> {
    this.index.space(namespace);
    return this.making(async (making) => {
      await making.pinBlobs([manifest]);
      const plan = await readImageDocuments(this.options.content, manifest, making);
      await making.pinChains(stackOf(plan));
      return this.keep(namespace, plan, { names, parent });
    });
  }

  async tag(namespace: string, target: Digest, name: ImageReference): Promise<void> {
    if (name.digest !== undefined) throw new CodedError('invalid_argument', 'refusing to create a tag with a digest reference');
    await this.turns.take(namespace, async () => {
      this.index.space(namespace).get(target);
      await this.putName(namespace, target, name);
    });
    this.publish(namespace, 'tag', target, familiarText(nameOf(name)));
  }

  async resolve(namespace: string, text: string): Promise<ImageRecord> {
    const space = this.index.space(namespace);
    return this.record(space, space.resolve(text).image);
  }

  /** The image of exactly that name. */
  async find(namespace: string, name: ImageReference): Promise<ImageRecord | undefined> {
    const space = this.index.space(namespace);
    const found = space.find(name);
    return found && this.record(space, space.get(found.image));
  }

  async list(namespace: string): Promise<ImageRecord[]> {
    const space = this.index.space(namespace);
    const records = await Promise.all([...space.images.values()].map((image) => this.record(space, image).catch(unlessGone)));
    return records.filter((record) => record !== undefined).sort((a, b) => (b.config.created ?? '').localeCompare(a.config.created ?? '') || a.id.localeCompare(b.id));
  }

  async history(namespace: string, text: string): Promise<HistoryRow[]> {
    const space = this.index.space(namespace);
    const { image } = space.resolve(text);
    const { config } = await this.configOf(image);
    const ancestors: Ancestor[] = [];
    const tagsOf = (id: Digest): string[] => namesOf(space, id).tags;
    for (let at: StoredImage | undefined = image; at && !ancestors.some(({ id }) => id === at?.id); at = at.parent === undefined ? undefined : space.images.get(at.parent)) {
      ancestors.push({ id: at.id, tags: tagsOf(at.id) });
    }
    return historyOf(config, image.layers, ancestors);
  }

  async remove(namespace: string, text: string, options: { readonly force: boolean; readonly keepParents: boolean }): Promise<Removal[]> {
    return [...(await this.removeAs(namespace, (space) => Removing.plan(space, { ...space.resolve(text), text }, options))).removals];
  }

  async prune(namespace: string, { all, accepts }: { readonly all: boolean; readonly accepts?: (image: ImageRecord) => boolean }): Promise<{ readonly removals: Removal[]; readonly reclaimedBytes: number }> {
    const removals: Removal[] = [];
    let reclaimedBytes = 0;
    // The last child of an image goes before it does: again, until a round takes nothing.
    for (let taken = -1; taken !== removals.length; ) {
      taken = removals.length;
      for (const record of await this.list(namespace)) {
        if (accepts && !accepts(record)) continue;
        const plan = await this.removeAs(namespace, (space) => planPruning(space, record.id, all));
        removals.push(...plan.removals);
        reclaimedBytes += plan.bytes;
      }
    }
    return { removals, reclaimedBytes };
  }

  usage(namespace: string): Promise<ImageUsage> {
    const space = this.index.space(namespace);
    const images = [...space.images.values()];
    const users = new Map<Digest, number>();
    for (const image of images) for (const chain of new Set(stackOf(image))) users.set(chain, (users.get(chain) ?? 0) + 1);
    const sum = (image: StoredImage, counts: (chain: Digest) => boolean): number => image.layers.filter(({ chainId }) => counts(chainId)).reduce((total, { sizeBytes }) => total + sizeBytes, 0);
    return Promise.resolve({
      layersBytes: space.layersBytes(),
      images: images.map((image) => ({
        id: image.id,
        sizeBytes: sum(image, () => true),
        sharedBytes: sum(image, (chain) => (users.get(chain) ?? 0) > 1),
        containers: space.holdersOf(image.id).length,
      })),
    });
  }

  hold(namespace: string, image: Digest, chainId: Digest | undefined, holder: ImageHolder): void {
    this.index.hold(namespace, image, chainId, holder);
  }

  release(namespace: string, holderId: string): void {
    const chains = this.index.release(namespace, holderId);
    // The image may have gone before its container did.
    if (chains.some((chain) => !this.index.needsChain(chain))) this.background = this.background.then(() => this.collect([], chains));
  }

  async importTar(namespace: string, { tar, name, message, changes, architecture, config, created }: ImportTar): Promise<ImageRecord> {
    const record = await this.make(namespace, {
      base: undefined,
      layer: decompressed(tar),
      config: applyChanges(config ?? {}, changes),
      comment: message ?? 'Imported from -',
      ...(architecture === undefined ? {} : { architecture }),
      ...(created === undefined ? {} : { created }),
      names: name ? [name] : [],
    });
    this.publish(namespace, 'import', record.id, record.id);
    return record;
  }

  async append(namespace: string, { base, name, layerOf, ...rest }: AppendLayer): Promise<ImageRecord> {
    const space = this.index.space(namespace);
    const taken = layerOf && { layerOf: { image: space.get(layerOf.image), index: layerOf.index } };
    return this.make(namespace, { ...rest, ...taken, base: base === undefined ? undefined : space.get(base), names: name ? [name] : [] });
  }

  async collectGarbage(): Promise<{ readonly blobs: number; readonly bytes: number; readonly layers: number }> {
    await this.background;
    const layers = await this.layers.removeAll();
    const { removed } = await this.options.content.sweep((digest) => this.index.needsBlob(digest));
    return { blobs: removed.length, bytes: removed.reduce((sum, { size }) => sum + size, 0), layers: layers.length };
  }

  async drop(namespace: string): Promise<void> {
    const images = await this.turns.take(namespace, async () => {
      const space = this.index.space(namespace);
      const all = [...space.images.values()];
      this.index.drop(namespace);
      await this.files.dropNamespace(namespace);
      for (const image of all) this.index.forget(image);
      return all;
    });
    await this.collect(images.flatMap(blobsOf), images.flatMap(stackOf));
  }

  private make(namespace: string, request: Omit<NewImage, 'maxBytes'> & { readonly names: readonly ImageReference[] }): Promise<ImageRecord> {
    const { base, names, layerOf } = request;
    return this.making(async (making) => {
      for (const image of [base, layerOf?.image]) {
        if (!image) continue;
        await making.pinBlobs(blobsOf(image));
        await making.pinChains(stackOf(image));
        // What is here after the pins stays.
        this.index.space(namespace).get(image.id);
      }
      const plan = await this.maker.make({ ...request, maxBytes: this.quota.streamLimit(namespace, this.index.space(namespace)) }, making);
      const record = await this.keep(namespace, plan, { names, parent: base?.id, below: base?.layers });
      for (const name of names) this.publish(namespace, 'tag', record.id, familiarText(nameOf(name)));
      return record;
    });
  }

  /** Unpacks what is not unpacked, and writes the record. All that the plan names is pinned. `below`: layers of an image that is here, hence unpacked and proven. */
  private async keep(namespace: string, plan: ImagePlan, { names, parent, below = [] }: { readonly names: readonly ImageReference[]; readonly parent: Digest | undefined; readonly below?: readonly ImageLayer[] | undefined }): Promise<ImageRecord> {
    const space = this.index.space(namespace);
    if (plan.layers.length === 0) await this.layers.ensureEmpty();
    const sizes = space.layerSizes();
    const layers: ImageLayer[] = [];
    for (const [index, layer] of plan.layers.entries()) {
      const known = below[index];
      if (known?.chainId === layer.chainId && known.blob === layer.blob) {
        layers.push(known);
        continue;
      }
      const pendingBytes = layers.reduce((sum, { chainId, sizeBytes }) => sum + (sizes.has(chainId) ? 0 : sizeBytes), 0);
      const limit = sizes.has(layer.chainId) ? Number.POSITIVE_INFINITY : this.quota.streamLimit(namespace, space, pendingBytes);
      await this.layers.ensure({ ...layer, parent: layers.at(-1)?.chainId }, limit);
      layers.push({ ...layer, sizeBytes: await this.layers.sizeOf(layer.chainId) });
      // Before the next one takes room.
      if (!space.images.has(plan.id)) this.quota.check(namespace, space, layers);
    }
    const documentsBytes = await this.documentsBytes(plan);
    await this.turns.take(namespace, async () => {
      const known = this.index.space(namespace).images.get(plan.id);
      if (known && known.parent === undefined && parent !== undefined && parent !== plan.id) await this.putParent(namespace, known, parent);
      if (!known) {
        this.quota.check(namespace, this.index.space(namespace), layers);
        this.quota.checkDocuments(this.index.space(namespace), documentsBytes);
        const image: StoredImage = { id: plan.id, manifest: plan.manifest, parent: parent === plan.id ? undefined : parent, addedAt: this.clock.now(), chainId: plan.chainId, layers, documentsBytes };
        await this.files.putImage(namespace, image);
        this.index.add(namespace, image);
      }
      for (const name of names) await this.putName(namespace, plan.id, name);
    });
    const now = this.index.space(namespace);
    return this.record(now, now.get(plan.id));
  }

  /** It came from elsewhere, and was made again here: what it stands on is a part of it from now on, and goes with it. */
  private async putParent(namespace: string, image: StoredImage, parent: Digest): Promise<void> {
    const child = { ...image, parent };
    await this.files.putImage(namespace, child);
    this.index.space(namespace).images.set(child.id, child);
  }

  private async documentsBytes({ id, manifest }: ImagePlan): Promise<number> {
    const documents = await Promise.all([id, manifest].map((digest) => this.options.content.stat(digest)));
    return documents.reduce((sum, document) => sum + (document?.size ?? 0), 0);
  }

  private async putName(namespace: string, image: Digest, reference: ImageReference): Promise<void> {
    const stored = { name: nameOf(reference), image, taggedAt: this.clock.now() };
    this.quota.checkName(this.index.space(namespace), stored.name);
    await this.files.putName(namespace, stored);
    this.index.space(namespace).names.set(stored.name, stored);
  }

  private async removeAs(namespace: string, planOf: (space: ImageSpace) => RemovalPlan): Promise<RemovalPlan> {
    const plan = await this.turns.take(namespace, async () => {
      const space = this.index.space(namespace);
      const planned = planOf(space);
      const owners = planned.names.map((name) => space.names.get(name)?.image);
      await this.carryOut(namespace, space, planned);
      for (const owner of owners) if (owner !== undefined) this.publish(namespace, 'untag', owner, owner);
      for (const { id } of planned.images) this.publish(namespace, 'delete', id, id);
      return planned;
    });
    await this.collect(plan.images.flatMap(blobsOf), plan.images.flatMap(stackOf));
    return plan;
  }

  /** All of it ceases to show at once; what then cannot be removed from disk shows again. */
  private async carryOut(namespace: string, space: ImageSpace, { names, images }: RemovalPlan): Promise<void> {
    const hidden = names.flatMap((name) => space.names.get(name) ?? []);
    for (const name of names) space.names.delete(name);
    for (const image of images) this.index.hide(namespace, image);
    const left = [...images];
    try {
      for (let image = left[0]; image; image = left[0]) {
        await this.files.removeImage(namespace, image.id);
        this.index.forget(image);
        left.shift();
      }
      await this.files.removeNames(namespace, names);
    } catch (error) {
      for (const image of left) space.add(image);
      for (const name of hidden) if (space.images.has(name.image)) space.names.set(name.name, name);
      throw error;
    }
  }

  private async making<T>(action: (making: Making) => Promise<T>): Promise<T> {
    const making = new Making(this.options.content, this.layers);
    try {
      return await action(making);
    } finally {
      making.release();
      await this.collect(making.blobs, making.chains);
    }
  }

  /** Removes of these what nothing needs. */
  private async collect(blobs: Iterable<Digest>, chains: Iterable<Digest>): Promise<void> {
    try {
      await this.layers.remove(chains);
      for (const blob of new Set(blobs)) if (!this.index.needsBlob(blob)) await this.options.content.delete(blob);
    } catch (error) {
      // The next collection of garbage takes it.
      this.logger.warn({ err: asError(error) }, 'what images no longer need could not be removed');
    }
  }

  private async record(space: ImageSpace, image: StoredImage): Promise<ImageRecord> {
    const { config, raw } = await this.configOf(image);
    const { tags, digests, taggedAt } = namesOf(space, image.id);
    return {
      id: image.id,
      manifest: image.manifest,
      config,
      rawConfig: raw,
      chainId: image.chainId,
      layers: image.layers,
      parent: image.parent !== undefined && space.images.has(image.parent) ? image.parent : undefined,
      sizeBytes: image.layers.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0),
      addedAt: image.addedAt,
      tags,
      digests,
      taggedAt,
      containers: space.holdersOf(image.id).map(({ id }) => id),
    };
  }

  private async configOf(image: StoredImage): ReturnType<ConfigCache['get']> {
    try {
      return await this.configs.get(image.id);
    } catch (error) {
      // It was removed meanwhile.
      if (isCodedError(error, 'not_found')) throw new CodedError('not_found', `No such image: ${image.id}`, { image: image.id }, { cause: error });
      throw error;
    }
  }

  private publish(namespace: string, action: string, id: Digest, name: string): void {
    if (isId('tenant', namespace)) this.options.events?.publish(namespace, { type: 'image', action, id, attributes: { name } });
  }
}

function namesOf(space: ImageSpace, id: Digest): { readonly tags: string[]; readonly digests: string[]; readonly taggedAt: number | undefined } {
  const names = space.namesOf(id);
  const of = (isDigest: boolean): string[] => names.filter(({ name }) => name.includes('@') === isDigest).map(({ name }) => name);
  const times = names.map(({ taggedAt }) => taggedAt);
  return { tags: of(false), digests: of(true), taggedAt: times.length === 0 ? undefined : Math.max(...times) };
}

/** Nothing for an image that is gone, used, named (unless `all`), or has children (it goes with the last of them). */
function planPruning(space: ImageSpace, id: Digest, all: boolean): RemovalPlan {
  const none: RemovalPlan = { removals: [], names: [], images: [], bytes: 0 };
  const image = space.images.get(id);
  if (!image || space.holdersOf(id).length > 0 || space.childrenOf(id).length > 0) return none;
  const { tags } = namesOf(space, id);
  if (tags.length > 0 && !all) return none;
  return Removing.plan(space, { image, name: undefined, text: id }, { force: true, keepParents: false });
}

function unlessGone(error: unknown): undefined {
  if (!isCodedError(error, 'not_found')) throw error;
}
