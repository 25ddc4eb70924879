import { CodedError, asError, canonicalName, digestOf, familiarName, familiarRepository, isCodedError, isDigest, repositoryOf, type Clock, type Digest, type ImageReference } from '#kernel';
import type { ContentStore, Pin } from '../../content/index.js';
import { ACCEPTED_MANIFEST_TYPES, MAX_DOCUMENT_BYTES, findManifest, hostPlatform, parseImageConfig, type Descriptor, type FoundManifest, type ImageRecord, type TenantImages } from '../../images/index.js';
import type { PullRequest, PullResult } from '../registry-client.js';
import type { BlobRequest } from './blob-bytes.js';
import { wholeBody } from './dialer.js';
import { fetchBlob } from './fetch-blob.js';
import type { KnownBlobs } from './known-blobs.js';
import { inLanes } from './lanes.js';
import { ProgressLines, shortId } from './progress-lines.js';
import { faultError, faultOf, type RegistryFault } from './registry-errors.js';
import type { RegistrySession } from './registry-session.js';

const PARALLEL_LAYERS = 3;
/** A tar of many small files is larger than their sum. */
const QUOTA_SLACK_BYTES = 256 * 1024 * 1024;

export interface PullStores {
  readonly images: TenantImages;
  readonly content: ContentStore;
  readonly clock: Clock;
  readonly known: KnownBlobs;
  /** What the images of a name space may take up: no more is fetched for one. */
  readonly quotaBytesOf?: (namespace: string) => number | undefined;
}

/** One image from one registry. The request's reference has a tag or a digest. */
export class Pull {
  private readonly lines: ProgressLines;
  private readonly scopes: readonly string[];

  constructor(
    private readonly session: RegistrySession,
    private readonly stores: PullStores,
    private readonly request: PullRequest,
  ) {
    this.lines = new ProgressLines(request.onProgress, stores.clock);
    this.scopes = [pullScope(request.reference)];
  }

  async run(): Promise<PullResult> {
    const { reference, platform } = this.request;
    const { bytes, servedAs } = await this.readDocument(reference.digest ?? reference.tag ?? 'latest');
    const digest = digestOf(bytes);
    if (reference.digest !== undefined && digest !== reference.digest) throw new CodedError('digest_mismatch', `manifest verification failed for digest ${reference.digest}`, { actual: digest });
    const found = await findManifest(bytes, platform ?? hostPlatform(), (entry) => this.readEntry(entry), servedAs).catch((error: unknown) => {
      throw isCodedError(error, 'unsupported') ? inDockersWords(error, reference) : error;
    });
    this.lines.say(`Pulling from ${reference.path}`, reference.digest ?? reference.tag);
    const pin = await this.stores.content.pin([found.digest, found.manifest.config.digest, ...found.manifest.layers.map((layer) => layer.digest)]);
    try {
      return await this.take(found, digest, pin);
    } finally {
      pin.release();
    }
  }

  private async take(found: FoundManifest, digest: Digest, pin: Pin): Promise<PullResult> {
    const { images, content } = this.stores;
    const { namespace, reference } = this.request;
    const before = await resolveOrNone(images, namespace, canonicalName(reference));
    const names = namesFor(reference, digest);
    const imageId = found.manifest.config.digest;
    const known = await resolveOrNone(images, namespace, imageId);
    if (known?.id === imageId) await pin.add([known.manifest, ...known.layers.map((layer) => layer.blob)]);
    if (known?.id !== imageId || !(await this.isGiven(known.manifest, names))) {
      await this.fetchAll(found);
      await content.write(once(found.bytes), found.digest);
      if (!(await this.isGiven(found.digest, names))) {
        // What was found damaged counts as missing now.
        await this.fetchAll(found);
        await images.register(namespace, { manifest: found.digest, names });
      }
      await this.stores.known.settle(namespace, [imageId, ...found.manifest.layers.map((layer) => layer.digest)]);
      for (const layer of distinct(found.manifest.layers).filter(({ digest: each }) => this.fetched.has(each))) this.lines.say('Pull complete', shortId(layer.digest));
    }
    return finish(this.lines, { imageId, digest, changed: before?.id !== imageId }, reference);
  }

  /** false when a blob that is kept is damaged or missing: fetched once more, it heals. */
  private async isGiven(manifest: Digest, names: readonly ImageReference[]): Promise<boolean> {
    try {
      await this.stores.images.register(this.request.namespace, { manifest, names });
      return true;
    } catch (error) {
      if (isCodedError(error, 'digest_mismatch') || isCodedError(error, 'not_found') || isCodedError(error, 'invalid_argument')) return false;
      throw error;
    }
  }

  /** Layers that came now, as opposed to those that were here. */
  private readonly fetched = new Set<Digest>();

  private async fetchAll({ manifest }: FoundManifest): Promise<void> {
    const { content } = this.stores;
    const { config } = manifest;
    if (config.size > MAX_DOCUMENT_BYTES) throw new CodedError('invalid_argument', `the config of an image has ${config.size} bytes, at most ${MAX_DOCUMENT_BYTES} are allowed`);
    this.checkQuota(manifest.layers);
    const mayHave = await this.stores.known.of(this.request.namespace);
    const isHere = async ({ digest, size }: Descriptor): Promise<boolean> => mayHave(digest) && (await content.stat(digest))?.size === size;
    const readConfig = async (): Promise<Buffer> => {
      if (!(await isHere(config))) await this.fetch(config, this.request.signal, mayHave, () => undefined);
      return content.read(config.digest, MAX_DOCUMENT_BYTES);
    };
    const { rootfs } = parseImageConfig(await readConfig().catch(onceMoreIfDamaged(readConfig)));
    if (rootfs.diff_ids.length !== manifest.layers.length) throw new CodedError('invalid_argument', `the image's config names ${rootfs.diff_ids.length} layers, its manifest ${manifest.layers.length}`);
    const layers = distinct(manifest.layers);
    const missing: Descriptor[] = [];
    for (const layer of layers) {
      if (await isHere(layer)) {
        this.lines.say('Already exists', shortId(layer.digest));
        continue;
      }
      this.lines.say('Pulling fs layer', shortId(layer.digest));
      missing.push(layer);
    }
    for (const layer of missing.slice(PARALLEL_LAYERS)) this.lines.say('Waiting', shortId(layer.digest));
    await inLanes(missing, PARALLEL_LAYERS, this.request.signal, (layer, signal) => this.fetchLayer(layer, signal, mayHave));
    for (const layer of missing) this.lines.say('Extracting', shortId(layer.digest));
  }

  /** Before a hostile registry's layer fills the disk of all: they are weighed when they are unpacked, and packed they are not larger. */
  private checkQuota(layers: readonly Descriptor[]): void {
    const quota = this.stores.quotaBytesOf?.(this.request.namespace);
    const needed = distinct(layers).reduce((sum, { size }) => sum + size, 0);
    if (quota !== undefined && needed > quota + QUOTA_SLACK_BYTES) throw new CodedError('quota_exceeded', `no space left for images: the layers of this one have ${needed} bytes, ${quota} are allowed`, { quotaBytes: quota, neededBytes: needed });
  }

  private async fetch(blob: Descriptor, signal: AbortSignal, mayHave: (digest: Digest) => boolean, onBytes: (current: number) => void): Promise<void> {
    await fetchBlob(this.session, this.stores.content, this.blob(blob, signal), () => mayHave(blob.digest), onBytes);
    await this.stores.known.note(this.request.namespace, blob.digest);
  }

  private async fetchLayer(layer: Descriptor, signal: AbortSignal, mayHave: (digest: Digest) => boolean): Promise<void> {
    const id = shortId(layer.digest);
    this.lines.bytes('Downloading', id, 0, layer.size);
    await this.fetch(layer, signal, mayHave, (current) => {
      this.lines.bytes('Downloading', id, current, layer.size);
    });
    this.fetched.add(layer.digest);
    this.lines.say('Verifying Checksum', id);
    this.lines.say('Download complete', id);
  }

  private blob({ digest, size }: Descriptor, signal: AbortSignal): BlobRequest {
    return { repository: this.request.reference.path, digest, size, scopes: this.scopes, signal };
  }

  private async readDocument(tagOrDigest: string): Promise<{ bytes: Buffer; servedAs?: string }> {
    const { path } = this.request.reference;
    const reply = await this.session.send({ method: 'GET', target: `/v2/${path}/manifests/${tagOrDigest}`, scopes: this.scopes, headers: { accept: ACCEPTED_MANIFEST_TYPES.join(', ') } });
    if (reply.status !== 200) throw pullError(reply.status, faultOf(reply.status, await this.session.bodyOf(reply)), this.request.reference, this.session.credentials.scheme === 'bearer');
    const bytes = await wholeBody(reply, MAX_DOCUMENT_BYTES, this.request.signal);
    const claimed = reply.headers['docker-content-digest'];
    if (isDigest(claimed) && claimed !== digestOf(bytes)) throw new CodedError('digest_mismatch', `manifest verification failed for digest ${claimed}`, { actual: digestOf(bytes) });
    const servedAs = reply.headers['content-type']?.split(';')[0]?.trim();
    return { bytes, ...(servedAs === undefined ? {} : { servedAs }) };
  }

  private async readEntry(entry: Descriptor): Promise<Buffer> {
    const { bytes } = await this.readDocument(entry.digest);
    // A document that is not the one asked for is not even parsed.
    if (digestOf(bytes) !== entry.digest) throw new CodedError('digest_mismatch', `manifest verification failed for digest ${entry.digest}`, { actual: digestOf(bytes) });
    return bytes;
  }
}

export function pullScope({ path }: ImageReference): string {
  return `repository:${path}:pull`;
}

/** What was found damaged counts as missing now. */
function onceMoreIfDamaged<T>(action: () => Promise<T>): (error: unknown) => Promise<T> {
  return (error) => (isCodedError(error, 'digest_mismatch') ? action() : Promise.reject(asError(error)));
}

/** A tag moves, and the digest is remembered with it; who asked for a digest gets no tag. */
export function namesFor(reference: ImageReference, digest: Digest): ImageReference[] {
  const { domain, path, tag } = reference;
  return [...(reference.digest === undefined && tag !== undefined ? [{ domain, path, tag }] : []), { domain, path, digest }];
}

export function finish(lines: ProgressLines, result: PullResult, reference: ImageReference): PullResult {
  lines.say(`Digest: ${result.digest}`);
  lines.say(`Status: ${result.changed ? 'Downloaded newer image' : 'Image is up to date'} for ${familiarName(reference.digest === undefined ? reference : { domain: reference.domain, path: reference.path, digest: reference.digest })}`);
  return result;
}

export async function resolveOrNone(images: TenantImages, namespace: string, text: string): Promise<ImageRecord | undefined> {
  try {
    return await images.resolve(namespace, text);
  } catch (error) {
    if (isCodedError(error, 'not_found')) return undefined;
    throw error;
  }
}

export function distinct(layers: readonly Descriptor[]): Descriptor[] {
  return [...new Map(layers.map((layer) => [layer.digest, layer])).values()];
}

/** As Docker's engine tells it (moby, distribution/errors.go). A token server lets everybody in, with less: then "unauthorized" means "denied". */
export function pullError(status: number, fault: RegistryFault, reference: ImageReference, hasToken: boolean): CodedError {
  const denied = fault.code === 'DENIED' || (status === 401 && hasToken);
  if (denied) {
    const text = fault.code === 'DENIED' ? fault.text : 'denied: requested access to the resource is denied';
    return new CodedError('permission_denied', `pull access denied for ${familiarRepository(reference)}, repository does not exist or may require 'docker login': ${text}`);
  }
  if (status === 404) {
    const what = fault.code === 'NAME_UNKNOWN' ? `repository ${familiarRepository(reference)}` : `manifest for ${familiarName(reference)}`;
    return new CodedError('not_found', `${what} not found: ${fault.code === '' ? 'manifest unknown: manifest unknown' : fault.text}`);
  }
  return faultError(status, fault);
}

function inDockersWords(error: CodedError, reference: ImageReference): CodedError {
  if (!error.message.includes('schema version 1')) return error;
  const text = `Docker Image Format v1 and Docker Image manifest version 2, schema 1 support is disabled by default and will be removed in an upcoming release. Suggest the author of ${repositoryOf(reference)}${reference.tag === undefined ? '' : `:${reference.tag}`} to upgrade the image to the OCI Format or Docker Image manifest v2, schema 2. More information at https://docs.docker.com/go/deprecated-image-specs/`;
  return new CodedError('unsupported', `[DEPRECATION NOTICE] ${text}`, error.details, { cause: error });
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  await Promise.resolve();
  yield bytes;
}
