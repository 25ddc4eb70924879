import { mkdir, readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, digestHex, digestOf, errnoOf, isDigest, type Digest } from '#kernel';
import { removeFile, writeFileDurably } from '../../linux/index.js';
import { checkImageName, checkNamespace } from './image-names.js';

export interface ImageRef {
  readonly name: string;
  readonly manifest: Digest;
}

const FILE = /^[0-9a-f]{64}\.json$/;

/** Names as small files, `<namespace>/<sha256 of the name>.json`: a name may hold slashes and is longer than a file name may be. */
export class ImageRefs {
  constructor(private readonly root: string) {}

  async put(namespace: string, ref: ImageRef): Promise<void> {
    const path = this.path(namespace, ref.name);
    await mkdir(join(this.root, namespace), { recursive: true, mode: 0o700 });
    await writeFileDurably(path, `${JSON.stringify(ref)}\n`);
  }

  async get(namespace: string, name: string): Promise<ImageRef | undefined> {
    return readRef(this.path(namespace, name));
  }

  async remove(namespace: string, name: string): Promise<void> {
    await removeFile(this.path(namespace, name));
  }

  async list(namespace: string): Promise<ImageRef[]> {
    const folder = join(this.root, checkNamespace(namespace));
    const files = (await namesIn(folder)).filter((file) => FILE.test(file));
    const refs = await Promise.all(files.map((file) => readRef(join(folder, file))));
    return refs.filter((ref) => ref !== undefined).sort((a, b) => (a.name < b.name ? -1 : 1));
  }

  /** Those of every name space. */
  async listAll(): Promise<ImageRef[]> {
    const namespaces = await namesIn(this.root);
    return (await Promise.all(namespaces.map((namespace) => this.list(namespace)))).flat();
  }

  private path(namespace: string, name: string): string {
    return join(this.root, checkNamespace(namespace), `${digestHex(digestOf(checkImageName(name)))}.json`);
  }
}

async function namesIn(folder: string): Promise<string[]> {
  try {
    return await readdir(folder);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return [];
    throw error;
  }
}

async function readRef(path: string): Promise<ImageRef | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  }
  const value: unknown = JSON.parse(text);
  if (typeof value === 'object' && value !== null && 'name' in value && typeof value.name === 'string' && 'manifest' in value && isDigest(value.manifest)) {
    return { name: value.name, manifest: value.manifest };
  }
  throw new CodedError('internal', 'an image name file is damaged', { path });
}
