import { CodedError, canonicalName, parseReference, type Digest, type ImageReference } from '#kernel';
import type { ContentStore } from '../../content/index.js';
import { parseImageConfig, parseManifest, type ImageRecord, type RegisterImage, type TenantImages } from '../../images/index.js';

/** What transfers use of a name space's images, without layers being unpacked: whose blobs are missing is not registered. */
export class MemoryImages {
  private readonly records = new Map<string, ImageRecord>();

  constructor(private readonly content: ContentStore) {}

  asTenantImages(): TenantImages {
    return this as unknown as TenantImages;
  }

  async register(namespace: string, { manifest, names }: RegisterImage): Promise<ImageRecord> {
    const { config, layers } = parseManifest(await this.content.read(manifest));
    for (const { digest } of layers) if (!(await this.content.stat(digest))) throw new CodedError('not_found', 'a blob is missing', { digest });
    const document = parseImageConfig(await this.content.read(config.digest));
    const key = `${namespace} ${config.digest}`;
    const record = this.records.get(key) ?? { id: config.digest, manifest, config: document, chainId: config.digest, tags: [], digests: [], parent: undefined, rawConfig: {}, sizeBytes: 0, layers: [], addedAt: 0, taggedAt: undefined, containers: [] };
    this.records.set(key, record);
    for (const name of names) await this.tag(namespace, config.digest, name);
    return this.records.get(key) ?? record;
  }

  async tag(namespace: string, target: Digest, reference: ImageReference): Promise<void> {
    await Promise.resolve();
    const name = canonicalName(reference);
    if (!this.records.has(`${namespace} ${target}`)) throw new CodedError('not_found', `No such image: ${target}`);
    for (const [key, record] of this.records) {
      if (!key.startsWith(`${namespace} `)) continue;
      const without = { ...record, tags: record.tags.filter((tag) => tag !== name), digests: record.digests.filter((digest) => digest !== name) };
      const with_ = reference.digest === undefined ? { ...without, tags: [...without.tags, name] } : { ...without, digests: [...without.digests, name] };
      this.records.set(key, record.id === target ? with_ : without);
    }
  }

  async resolve(namespace: string, text: string): Promise<ImageRecord> {
    await Promise.resolve();
    const byId = this.records.get(`${namespace} ${text}`);
    if (byId) return byId;
    const name = text.startsWith('sha256:') ? text : canonicalName(parseReference(text));
    for (const [key, record] of this.records) if (key.startsWith(`${namespace} `) && [...record.tags, ...record.digests].includes(name)) return record;
    throw new CodedError('not_found', `No such image: ${text}`);
  }

  async list(namespace: string): Promise<ImageRecord[]> {
    await Promise.resolve();
    return [...this.records].filter(([key]) => key.startsWith(`${namespace} `)).map(([, record]) => record);
  }
}
