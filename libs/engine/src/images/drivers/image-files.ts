import { mkdir, readFile, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, digestHex, digestOf, errnoOf, isDigest, type Digest } from '#kernel';
import { removeFile, syncDirectory, writeFileDurably } from '../../linux/index.js';
import { chainIdOf } from '../../snapshots/index.js';
import { isObject } from '../documents.js';
import { checkNamespace } from './namespaces.js';
import { EMPTY_DIFF_ID } from './empty-layer.js';
import type { ImageLayer } from '../tenant-images.js';
import type { StoredImage, StoredName } from './image-space.js';

const FILE = /^[0-9a-f]{64}\.json$/;
const TMP = /\.tmp$/;

export interface LoadedSpace {
  readonly namespace: string;
  readonly images: readonly StoredImage[];
  readonly names: readonly StoredName[];
}

/** Below `tenants/<name space>/`: a small file for each image, `images/<hex of its ID>.json`, and for each name, `refs/<sha256 of the name>.json`. Each is replaced or removed as one durable step. */
export interface ImageFiles {
  /** Calls `onDamage` for files that cannot be read, and leaves them out. */
  load(onDamage: (path: string, error: unknown) => void): Promise<LoadedSpace[]>;
  putImage(namespace: string, image: StoredImage): Promise<void>;
  removeImage(namespace: string, id: Digest): Promise<void>;
  putName(namespace: string, name: StoredName): Promise<void>;
  removeNames(namespace: string, names: readonly string[]): Promise<void>;
  dropNamespace(namespace: string): Promise<void>;
}

export class DurableImageFiles implements ImageFiles {
  private constructor(private readonly root: string) {}

  static async open(root: string): Promise<DurableImageFiles> {
    const tenants = join(root, 'tenants');
    await mkdir(tenants, { recursive: true, mode: 0o700 });
    return new DurableImageFiles(tenants);
  }

  async load(onDamage: (path: string, error: unknown) => void): Promise<LoadedSpace[]> {
    const spaces: LoadedSpace[] = [];
    for (const namespace of await readdir(this.root)) {
      const images = await readAll(join(this.root, namespace, 'images'), parseStoredImage, onDamage);
      const names = await readAll(join(this.root, namespace, 'refs'), parseStoredName, onDamage);
      spaces.push({ namespace, images, names });
    }
    return spaces;
  }

  async putImage(namespace: string, image: StoredImage): Promise<void> {
    await put(this.folder(namespace, 'images'), digestHex(image.id), image);
  }

  async removeImage(namespace: string, id: Digest): Promise<void> {
    const folder = this.folder(namespace, 'images');
    await removeFile(join(folder, `${digestHex(id)}.json`));
    // What the image needed is deleted next: after a power cut it must not be there again.
    await syncDirectory(folder);
  }

  async putName(namespace: string, name: StoredName): Promise<void> {
    await put(this.folder(namespace, 'refs'), keyOf(name.name), name);
  }

  async removeNames(namespace: string, names: readonly string[]): Promise<void> {
    if (names.length === 0) return;
    const folder = this.folder(namespace, 'refs');
    for (const name of names) await removeFile(join(folder, `${keyOf(name)}.json`));
    await syncDirectory(folder);
  }

  async dropNamespace(namespace: string): Promise<void> {
    await rm(join(this.root, checkNamespace(namespace)), { recursive: true, force: true });
    await syncDirectory(this.root);
  }

  private folder(namespace: string, kind: 'images' | 'refs'): string {
    return join(this.root, checkNamespace(namespace), kind);
  }
}

/** A name may hold slashes and is longer than a file name may be. */
function keyOf(name: string): string {
  return digestHex(digestOf(name));
}

async function put(folder: string, key: string, value: object): Promise<void> {
  const path = join(folder, `${key}.json`);
  const text = `${JSON.stringify({ version: 1, ...value })}\n`;
  try {
    await writeFileDurably(path, text);
  } catch (error) {
    if (errnoOf(error) !== 'ENOENT') throw error;
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await syncDirectory(join(folder, '..'));
    await syncDirectory(join(folder, '..', '..'));
    await writeFileDurably(path, text);
  }
}

async function readAll<T>(folder: string, parse: (value: unknown) => T, onDamage: (path: string, error: unknown) => void): Promise<T[]> {
  const found: T[] = [];
  for (const file of await namesIn(folder)) {
    const path = join(folder, file);
    if (TMP.test(file)) await removeFile(path);
    if (!FILE.test(file)) continue;
    try {
      found.push(parse(JSON.parse(await readFile(path, 'utf8'))));
    } catch (error) {
      onDamage(path, error);
    }
  }
  return found;
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}

function parseStoredImage(value: unknown): StoredImage {
  if (!isObject(value) || !isDigest(value.id) || !isDigest(value.manifest) || typeof value.addedAt !== 'number' || !Array.isArray(value.layers)) throw damaged();
  const layers: ImageLayer[] = [];
  for (const layer of value.layers as unknown[]) {
    if (!isObject(layer) || !isDigest(layer.diffId) || !isDigest(layer.blob) || typeof layer.sizeBytes !== 'number') throw damaged();
    layers.push({ diffId: layer.diffId, chainId: chainIdOf(layers.at(-1)?.chainId, layer.diffId), blob: layer.blob, sizeBytes: layer.sizeBytes });
  }
  const parent = isDigest(value.parent) ? value.parent : undefined;
  return { id: value.id, manifest: value.manifest, parent, addedAt: value.addedAt, chainId: layers.at(-1)?.chainId ?? EMPTY_DIFF_ID, layers, ...(typeof value.documentsBytes === 'number' && { documentsBytes: value.documentsBytes }) };
}

function parseStoredName(value: unknown): StoredName {
  if (!isObject(value) || typeof value.name !== 'string' || !isDigest(value.image) || typeof value.taggedAt !== 'number') throw damaged();
  return { name: value.name, image: value.image, taggedAt: value.taggedAt };
}

function damaged(): CodedError {
  return new CodedError('internal', 'a file of the image store is damaged');
}
