import { createHash } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { errnoOf, finishDigest, isDigest, type Digest } from '#kernel';
import type { ContentStore } from '../../content/index.js';
import { decompressed } from '../../images/index.js';
import { writeFileDurably } from '../../linux/index.js';

export interface GzipLayer {
  readonly digest: Digest;
  readonly size: number;
}

/** Fixed: with it, the name that the header does not hold and the time that is 0, equal layers become equal bytes. */
const LEVEL = 4;
const CHUNK_BYTES = 128 * 1024;
const MAX_REMEMBERED = 10_000;

/** A stored layer as registries take it from everybody: gzip. Deterministic, so a transfer that broke can go on in a second run. */
export async function* asGzip(content: ContentStore, layer: Digest, onRead: (bytes: number) => void): AsyncGenerator<Buffer, void, void> {
  const gzip = createGzip({ level: LEVEL, chunkSize: CHUNK_BYTES });
  // A failing source destroys the stream with its error, which the iteration below throws; a reader that leaves ends both.
  pipeline(decompressed(counted(content, layer, onRead)), gzip).catch(() => undefined);
  yield* gzip as AsyncIterable<Buffer>;
}

/** A stored blob as it is. */
export async function* asStored(content: ContentStore, blob: Digest, onRead: (bytes: number) => void): AsyncGenerator<Buffer, void, void> {
  for await (const chunk of counted(content, blob, onRead)) yield Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength);
}

async function* counted(content: ContentStore, blob: Digest, onRead: (bytes: number) => void): AsyncGenerator<Uint8Array, void, void> {
  let read = 0;
  for await (const chunk of await content.open(blob)) {
    yield chunk;
    read += chunk.byteLength;
    onRead(read);
  }
}

export async function measure(bytes: AsyncIterable<Uint8Array>): Promise<GzipLayer> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const chunk of bytes) {
    hash.update(chunk);
    size += chunk.byteLength;
  }
  return { digest: finishDigest(hash), size };
}

/**
 * What layers became when they were pushed, by diffID: so the next push can ask the registry for them before it compresses anything. A hint:
 * what it says is only used where the registry confirms it, and it is of one version of the compressor.
 */
export class GzipLayers {
  private readonly file: string;
  private known: Promise<Map<Digest, GzipLayer>> | undefined;
  private saving: Promise<void> = Promise.resolve();

  constructor(root: string) {
    this.file = join(root, 'gzip-layers.json');
  }

  async get(diffId: Digest): Promise<GzipLayer | undefined> {
    return (await this.load()).get(diffId);
  }

  async remember(diffId: Digest, layer: GzipLayer): Promise<void> {
    const known = await this.load();
    const before = known.get(diffId);
    if (before?.digest === layer.digest) return;
    known.set(diffId, layer);
    for (const oldest of known.keys()) {
      if (known.size <= MAX_REMEMBERED) break;
      known.delete(oldest);
    }
    this.saving = this.saving.catch(() => undefined).then(() => this.save(known));
    await this.saving;
  }

  private load(): Promise<Map<Digest, GzipLayer>> {
    this.known ??= readKnown(this.file);
    return this.known;
  }

  private async save(known: ReadonlyMap<Digest, GzipLayer>): Promise<void> {
    await mkdir(dirname(this.file), { recursive: true, mode: 0o700 });
    await writeFileDurably(this.file, JSON.stringify({ compressor: compressor(), layers: [...known].map(([diffId, { digest, size }]) => [diffId, digest, size]) }));
  }
}

function compressor(): string {
  return `zlib ${process.versions.zlib} level ${LEVEL}`;
}

async function readKnown(file: string): Promise<Map<Digest, GzipLayer>> {
  try {
    const value = JSON.parse(await readFile(file, 'utf8')) as { compressor?: unknown; layers?: unknown };
    if (value.compressor !== compressor() || !Array.isArray(value.layers)) return new Map();
    return new Map(value.layers.flatMap(entryOf));
  } catch (error) {
    // Losing it costs one compression.
    if (errnoOf(error) === 'ENOENT' || error instanceof SyntaxError) return new Map();
    throw error;
  }
}

function entryOf(value: unknown): [Digest, GzipLayer][] {
  const [diffId, digest, size] = Array.isArray(value) ? (value as unknown[]) : [];
  return isDigest(diffId) && isDigest(digest) && typeof size === 'number' ? [[diffId, { digest, size }]] : [];
}
