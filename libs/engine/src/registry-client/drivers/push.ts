import { CodedError, canonicalName, digestOf, familiarRepository, isCodedError, parseReference, repositoryOf, type Clock, type Digest, type ImageReference } from '#kernel';
import type { ContentStore } from '../../content/index.js';
import { MEDIA_TYPES, layerCompressionOf, parseManifest, type Descriptor, type ImageRecord, type Manifest, type TenantImages } from '../../images/index.js';
import type { PushRequest, PushResult } from '../registry-client.js';
import { asGzip, asStored, type GzipLayer, type GzipLayers } from './gzip-layers.js';
import { dismiss } from './dialer.js';
import { inLanes } from './lanes.js';
import { ProgressLines, shortId } from './progress-lines.js';
import { resolveOrNone } from './pull.js';
import { faultError, faultOf } from './registry-errors.js';
import type { RegistrySession } from './registry-session.js';
import { Upload, nextLocation } from './upload.js';

const PARALLEL_LAYERS = 3;
const MAX_MOUNT_SOURCES = 3;

export interface PushStores {
  readonly images: TenantImages;
  readonly content: ContentStore;
  readonly gzipLayers: GzipLayers;
  readonly clock: Clock;
}

interface Layer {
  readonly diffId: Digest;
  readonly stored: Descriptor;
  /** Made here, in a compression that not every client of a registry reads. */
  readonly converts: boolean;
}

/** One image to one registry, by tag. */
export class Push {
  private readonly lines: ProgressLines;
  private readonly scope: string;
  private mountSources: Promise<readonly { repository: string; layers: ReadonlySet<Digest> }[]> | undefined;

  constructor(
    private readonly session: RegistrySession,
    private readonly stores: PushStores,
    private readonly request: PushRequest,
    private readonly record: ImageRecord,
  ) {
    this.lines = new ProgressLines(request.onProgress, stores.clock);
    this.scope = `repository:${request.reference.path}:pull,push`;
  }

  async run(): Promise<PushResult> {
    const { content } = this.stores;
    const pin = await content.pin([this.record.manifest, this.record.id]);
    try {
      const bytes = await content.read(this.record.manifest);
      const manifest = parseManifest(bytes);
      await pin.add(manifest.layers.map((layer) => layer.digest));
      return await this.send(bytes, manifest);
    } catch (error) {
      throw inDockersWords(error, this.session.credentials.scheme === 'bearer');
    } finally {
      pin.release();
    }
  }

  private async send(bytes: Buffer, manifest: Manifest): Promise<PushResult> {
    const { reference, namespace } = this.request;
    const layers = layersOf(manifest, this.record);
    const distinct = [...new Map(layers.map((layer) => [layer.stored.digest, layer])).values()].reverse();
    for (const { diffId } of distinct) this.lines.say('Preparing', shortId(diffId));
    for (const { diffId } of distinct.slice(PARALLEL_LAYERS)) this.lines.say('Waiting', shortId(diffId));
    const sent = new Map<Digest, GzipLayer>();
    await inLanes(distinct, PARALLEL_LAYERS, this.request.signal, async (layer, signal) => {
      sent.set(layer.stored.digest, await this.sendLayer(layer, signal));
    });
    if (!(await this.has(manifest.config.digest, this.request.signal))) await this.upload(manifest.config, undefined, this.request.signal, () => undefined);
    const document = layers.some((layer) => layer.converts) ? converted(manifest, layers, sent) : bytes;
    const digest = digestOf(document);
    const tag = reference.tag ?? 'latest';
    await this.session.request({ method: 'PUT', target: `/v2/${reference.path}/manifests/${tag}`, scopes: [this.scope], headers: { 'content-type': manifest.mediaType, 'content-length': String(document.length) }, body: document }).then(dismiss);
    await this.stores.images.register(namespace, { manifest: this.record.manifest, names: [{ domain: reference.domain, path: reference.path, digest }] });
    this.lines.say(`${tag}: digest: ${digest} size: ${document.length}`);
    return { tag, digest, sizeBytes: document.length };
  }

  private async sendLayer(layer: Layer, signal: AbortSignal): Promise<GzipLayer> {
    const id = shortId(layer.diffId);
    const known = layer.converts ? await this.stores.gzipLayers.get(layer.diffId) : layer.stored;
    if (known && (await this.has(known.digest, signal))) {
      this.lines.say('Layer already exists', id);
      return known;
    }
    const mount = known ? await this.mount(layer, known.digest, signal) : {};
    if (known && mount.from !== undefined) {
      this.lines.say(`Mounted from ${mount.from}`, id);
      return known;
    }
    this.lines.bytes('Pushing', id, 0, layer.stored.size);
    const sent = await this.upload(layer.stored, layer.converts ? 'gzip' : undefined, signal, (current) => {
      this.lines.bytes('Pushing', id, current, layer.stored.size);
    }, mount.location);
    if (layer.converts) await this.stores.gzipLayers.remember(layer.diffId, sent);
    this.lines.say('Pushed', id);
    return sent;
  }

  private upload(stored: Descriptor, as: 'gzip' | undefined, signal: AbortSignal, onRead: (bytes: number) => void, location?: URL): Promise<GzipLayer> {
    const { content } = this.stores;
    return new Upload(this.session, {
      repository: this.request.reference.path,
      scopes: [this.scope],
      signal,
      open: () => (as === 'gzip' ? asGzip(content, stored.digest, onRead) : asStored(content, stored.digest, onRead)),
      ...(as === 'gzip' ? {} : { known: { digest: stored.digest, size: stored.size } }),
      ...(location === undefined ? {} : { location }),
    }).run();
  }

  private async has(digest: Digest, signal: AbortSignal): Promise<boolean> {
    const reply = await this.session.request({ method: 'HEAD', target: `/v2/${this.request.reference.path}/blobs/${digest}`, scopes: [this.scope], signal }, [404]);
    dismiss(reply);
    return reply.status === 200;
  }

  /**
   * From a repository of the same registry in which this name space has an image with that layer: only what the tenant has a name for is
   * ever asked about.
   */
  private async mount({ diffId }: Layer, digest: Digest, signal: AbortSignal): Promise<{ readonly from?: string; readonly location?: URL }> {
    const { path } = this.request.reference;
    let location: URL | undefined;
    for (const { repository } of (await this.sources()).filter(({ layers }) => layers.has(diffId)).slice(0, MAX_MOUNT_SOURCES)) {
      const target = `/v2/${path}/blobs/uploads/?mount=${digest}&from=${encodeURIComponent(repository)}`;
      const reply = await this.session.send({ method: 'POST', target, scopes: [this.scope, `repository:${repository}:pull`], headers: { 'content-length': '0' }, signal });
      dismiss(reply);
      if (reply.status === 201) return { from: repository };
      if (reply.status === 202) location = nextLocation(reply, this.session);
      // Refused for whatever reason: then it is sent.
      else if (reply.status >= 400) break;
    }
    return location === undefined ? {} : { location };
  }

  private sources(): Promise<readonly { repository: string; layers: ReadonlySet<Digest> }[]> {
    this.mountSources ??= this.listSources();
    return this.mountSources;
  }

  private async listSources(): Promise<readonly { repository: string; layers: ReadonlySet<Digest> }[]> {
    const { reference, namespace } = this.request;
    const found = new Map<string, Set<Digest>>();
    for (const record of await this.stores.images.list(namespace)) {
      for (const name of [...record.tags, ...record.digests]) {
        const { domain, path } = parseReference(name);
        if (domain !== reference.domain || path === reference.path) continue;
        const layers = found.get(path) ?? new Set<Digest>();
        for (const diffId of record.config.rootfs.diff_ids) layers.add(diffId);
        found.set(path, layers);
      }
    }
    return [...found].map(([repository, layers]) => ({ repository, layers }));
  }
}

/** What the name means here. @throws CodedError `not_found`, `invalid_argument`, in the words of Docker's engine */
export async function imageToPush(images: TenantImages, namespace: string, reference: ImageReference): Promise<ImageRecord> {
  if (reference.digest !== undefined) throw new CodedError('invalid_argument', 'cannot push a digest reference');
  const record = await resolveOrNone(images, namespace, canonicalName(reference));
  if (!record) throw new CodedError('not_found', `An image does not exist locally with the tag: ${familiarRepository(reference)}`);
  return record;
}

export function announcePush(request: PushRequest): void {
  request.onProgress({ status: `The push refers to repository [${repositoryOf(request.reference)}]` });
}

/** A manifest that came from a registry goes back as it was, to the byte. */
function layersOf(manifest: Manifest, record: ImageRecord): Layer[] {
  const isPulled = record.digests.some((name) => name.endsWith(`@${record.manifest}`));
  return manifest.layers.map((stored, index) => {
    const diffId = record.config.rootfs.diff_ids[index];
    if (diffId === undefined) throw new CodedError('internal', 'a stored image has more layers than its config names', { manifest: record.manifest });
    return { diffId, stored, converts: !isPulled && layerCompressionOf(stored.mediaType) !== 'gzip' };
  });
}

/** The fields stand in one order, so that equal images are equal bytes. */
function converted(manifest: Manifest, layers: readonly Layer[], sent: ReadonlyMap<Digest, GzipLayer>): Buffer {
  const isDocker = manifest.mediaType === MEDIA_TYPES.dockerManifest;
  const list = layers.map(({ stored, converts }) => {
    const result = sent.get(stored.digest) ?? stored;
    return { mediaType: converts ? (isDocker ? MEDIA_TYPES.dockerLayerGzip : MEDIA_TYPES.layerGzip) : stored.mediaType, size: result.size, digest: result.digest };
  });
  const { mediaType, size, digest } = manifest.config;
  return Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: manifest.mediaType, config: { mediaType, size, digest }, layers: list, ...(manifest.annotations && { annotations: manifest.annotations }) }));
}

function inDockersWords(error: unknown, hasToken: boolean): unknown {
  const isRefused = isCodedError(error) && (error.details.status === 401 || error.details.status === 403);
  if (!isRefused || !hasToken) return error;
  return faultError(403, faultOf(403, Buffer.alloc(0)));
}
