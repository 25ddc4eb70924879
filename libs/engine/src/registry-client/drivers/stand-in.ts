import { canonicalName, parseReference, repositoryOf, type ImageReference } from '#kernel';
import { normalizePlatform, parseManifest, platformText, type ImageRecord } from '../../images/index.js';
import type { PullRequest, PullResult } from '../registry-client.js';
import { ProgressLines, shortId } from './progress-lines.js';
import { distinct, finish, namesFor, resolveOrNone, type PullStores } from './pull.js';

/** Whose images are offered to all when docker.io cannot be reached. */
const PROVIDER = 'system';

/** The node's own image of docker.io's name, given to the name space as if it had been pulled; undefined when there is none. */
export async function pullStandIn(stores: Pick<PullStores, 'images' | 'content' | 'clock'>, request: PullRequest): Promise<PullResult | undefined> {
  const { images, content } = stores;
  const { namespace, reference } = request;
  const provided = await findProvided(images, reference);
  if (!provided || !fits(provided, request)) return undefined;
  const pin = await content.pin([provided.manifest, provided.id]);
  try {
    const { layers } = parseManifest(await content.read(provided.manifest));
    await pin.add(layers.map((layer) => layer.digest));
    const digest = reference.digest ?? provided.manifest;
    const lines = new ProgressLines(request.onProgress, stores.clock);
    const before = await resolveOrNone(images, namespace, canonicalName(reference));
    lines.say(`Pulling from ${reference.path}`, reference.digest ?? reference.tag);
    const isNew = (await resolveOrNone(images, namespace, provided.id)) === undefined;
    const ids = isNew ? distinct(layers).map((layer) => shortId(layer.digest)) : [];
    for (const status of ['Pulling fs layer', 'Verifying Checksum', 'Download complete', 'Extracting']) for (const id of ids) lines.say(status, id);
    await images.register(namespace, { manifest: provided.manifest, names: namesFor(reference, digest) });
    for (const id of ids) lines.say('Pull complete', id);
    return finish(lines, { imageId: provided.id, digest, changed: before?.id !== provided.id }, reference);
  } finally {
    pin.release();
  }
}

/** By tag; by digest, when it is that of an image which has a tag in the same repository: what was pulled by tag here can be pulled by digest too. */
async function findProvided(images: PullStores['images'], reference: ImageReference): Promise<ImageRecord | undefined> {
  if (reference.digest === undefined) return resolveOrNone(images, PROVIDER, canonicalName(reference));
  const repository = repositoryOf(reference);
  return (await images.list(PROVIDER)).find(({ manifest, tags }) => manifest === reference.digest && tags.some((tag) => repositoryOf(parseReference(tag)) === repository));
}

function fits({ config }: ImageRecord, { platform }: PullRequest): boolean {
  if (!platform) return true;
  const wanted = normalizePlatform(platform);
  const given = normalizePlatform({ os: config.os, architecture: config.architecture, ...(config.variant === undefined ? {} : { variant: config.variant }) });
  return platformText(wanted) === platformText(given);
}

