import type { Digest } from '#kernel';
import type { ContentStore } from '../../content/index.js';
import { MAX_DOCUMENT_BYTES, parseObject } from '../documents.js';
import { parseImageConfig } from '../image-config.js';
import type { ImageConfig } from '../images.js';

export interface ReadConfig {
  readonly config: ImageConfig;
  readonly raw: Readonly<Record<string, unknown>>;
}

const MAX_CACHED_BYTES = 16 * 1024 * 1024;

/** Configs by image ID. The least recently used go when they are too many. */
export class ConfigCache {
  private readonly cached = new Map<Digest, ReadConfig & { readonly bytes: number }>();
  private bytes = 0;

  constructor(private readonly content: ContentStore) {}

  /** @throws CodedError `not_found` when it is neither here nor in the content store */
  async get(id: Digest): Promise<ReadConfig> {
    const cached = this.cached.get(id);
    if (!cached) return this.put(id, await this.content.read(id, MAX_DOCUMENT_BYTES));
    this.cached.delete(id);
    this.cached.set(id, cached);
    return cached;
  }

  /** @throws CodedError `invalid_argument` */
  put(id: Digest, bytes: Buffer): ReadConfig {
    const read = { config: parseImageConfig(bytes), raw: parseObject(bytes), bytes: bytes.byteLength };
    this.delete(id);
    this.cached.set(id, read);
    this.bytes += read.bytes;
    for (const oldest of this.cached.keys()) {
      if (this.bytes <= MAX_CACHED_BYTES) break;
      this.delete(oldest);
    }
    return read;
  }

  delete(id: Digest): void {
    this.bytes -= this.cached.get(id)?.bytes ?? 0;
    this.cached.delete(id);
  }
}
