import { createHash } from 'node:crypto';
import { CodedError, finishDigest, isCodedError, type Digest } from '#kernel';
import type { BlobInfo, ContentStore, Pin } from '../../content/index.js';
import type { SnapshotInfo, Snapshotter } from '../../snapshots/index.js';
import { Counts } from './counts.js';
import { compressed, decompressed } from './decompress.js';
import { EMPTY_DIFF_ID, EMPTY_TAR } from './empty-layer.js';
import { KeyedTurns } from './keyed-turns.js';
import { SharedLock } from './shared-lock.js';
import { tee } from './tee.js';

/** Proofs are kept in memory for so many blobs: enough for the images of many tenants, a few MiB. */
const MAX_PROOFS = 20_000;

export interface LayerToUnpack {
  readonly parent: Digest | undefined;
  readonly chainId: Digest;
  readonly diffId: Digest;
  readonly blob: Digest;
}

export interface NewLayer {
  readonly snapshot: SnapshotInfo;
  readonly blob: BlobInfo;
}

/** Protects chains from removal while an image is made of them. */
export interface ChainPin {
  add(chains: Iterable<Digest>): Promise<void>;
  /** Idempotent. */
  release(): void;
}

/** Brings layers from the content store into the snapshotter and takes them out again, each stack once whatever the number of callers. */
export class Layers {
  private readonly pins = new Counts();
  private readonly unpacking = new KeyedTurns();
  /** Removals own it; who pins waits for them. */
  private readonly removal = new SharedLock();
  /** Which diffID a blob was seen to hold. */
  private readonly proofs = new Map<Digest, Digest>();

  constructor(
    private readonly content: ContentStore,
    private readonly snapshots: Snapshotter,
    /** Whether an image or a container stands on a chain. Asked without a pause before it is removed. */
    private readonly isNeeded: (chain: Digest) => boolean,
  ) {}

  /** Resolves when no removal is under way: what is there then stays. */
  async pin(chains: Iterable<Digest>): Promise<ChainPin> {
    const held: Digest[] = [];
    let released = false;
    const add = async (more: Iterable<Digest>): Promise<void> => {
      const list = [...more];
      held.push(...list);
      this.pins.add(list);
      await this.removal.share(() => Promise.resolve());
    };
    await add(chains);
    return {
      add,
      release: () => {
        if (!released) this.pins.drop(held);
        released = true;
      },
    };
  }

  prove(blob: Digest, diffId: Digest): void {
    const [oldest] = this.proofs.keys();
    if (this.proofs.size >= MAX_PROOFS && oldest !== undefined) this.proofs.delete(oldest);
    this.proofs.set(blob, diffId);
  }

  /**
   * Makes sure that a layer is unpacked; the caller has pinned its blob and its chain. A stack that is there already is not taken on trust: the blob must hold
   * that very layer, or naming another's diffID would be enough to read its files.
   * @throws CodedError `digest_mismatch`, `invalid_argument`, `quota_exceeded` (more than `maxBytes`), `resource_exhausted`
   */
  async ensure(layer: LayerToUnpack, maxBytes: number): Promise<void> {
    await this.unpacking.take(layer.chainId, async () => {
      const isThere = await this.snapshots.has(layer.chainId);
      if (isThere && this.proofs.get(layer.blob) === layer.diffId) return;
      const tar = limited(decompressed(await this.content.open(layer.blob)), maxBytes);
      if (isThere) await verify(tar, layer.diffId);
      else await this.snapshots.unpack({ ...(layer.parent === undefined ? {} : { parent: layer.parent }), diffId: layer.diffId, tar });
      this.prove(layer.blob, layer.diffId);
    });
  }

  /** What images without layers stand on. The caller has pinned `EMPTY_DIFF_ID`. */
  async ensureEmpty(): Promise<void> {
    await this.unpacking.take(EMPTY_DIFF_ID, async () => {
      if (await this.snapshots.has(EMPTY_DIFF_ID)) return;
      await this.snapshots.unpack({ diffId: EMPTY_DIFF_ID, tar: once(EMPTY_TAR) });
    });
  }

  /**
   * Stores and unpacks a layer in one pass over its tar, and pins both. The caller has pinned the parent. A collector may meet the unpacked layer before its
   * chain is known, hence pinned: `ensure` unpacks it again then.
   * @throws CodedError as `Snapshotter.unpack`. What the tar's source throws, likewise.
   */
  async store(tar: AsyncIterable<Uint8Array>, parent: Digest | undefined, pins: { readonly blobs: Pin; readonly chains: ChainPin }, maxBytes: number): Promise<NewLayer> {
    const { branches, pumped } = tee(limited(tar, maxBytes), 2);
    const [toUnpack, toCompress] = branches as [AsyncIterable<Uint8Array>, AsyncIterable<Uint8Array>];
    const [unpacked, written, source] = await Promise.allSettled([
      this.snapshots.unpack({ ...(parent === undefined ? {} : { parent }), tar: toUnpack }),
      this.content.write(compressed(toCompress), undefined, pins.blobs),
      pumped,
    ]);
    if (unpacked.status === 'fulfilled') await pins.chains.add([unpacked.value.chainId]);
    if (unpacked.status === 'fulfilled' && written.status === 'fulfilled') {
      this.prove(written.value.digest, unpacked.value.diffId);
      return { snapshot: unpacked.value, blob: written.value };
    }
    // `cancelled` only tells that another of the three has failed.
    const reasons = [source, unpacked, written].flatMap((end): unknown[] => (end.status === 'rejected' ? [end.reason] : []));
    throw reasons.find((reason) => !isCodedError(reason, 'cancelled')) ?? reasons[0];
  }

  sizeOf(chain: Digest): Promise<number> {
    return this.snapshots.sizeOf(chain);
  }

  /** Removes of these and what they stand on, children before their parents, what nothing needs. Answers with what was removed. */
  async remove(chains: Iterable<Digest>): Promise<Digest[]> {
    const loose = [...chains].filter((chain) => !this.isHeld(chain));
    if (loose.length === 0) return [];
    const parents = new Map((await this.snapshots.list()).map(({ chainId, parent }) => [chainId, parent]));
    const doomed = new Set<Digest>();
    for (const chain of loose) {
      for (let at: Digest | undefined = chain; at !== undefined && !doomed.has(at); at = parents.get(at)) doomed.add(at);
    }
    const removed: Digest[] = [];
    for (const chain of childrenFirst(doomed, parents)) {
      if (await this.removal.own(() => this.removeOne(chain))) removed.push(chain);
    }
    return removed;
  }

  /** All that nothing needs. */
  async removeAll(): Promise<Digest[]> {
    return this.remove((await this.snapshots.list()).map(({ chainId }) => chainId));
  }

  private async removeOne(chain: Digest): Promise<boolean> {
    if (this.isHeld(chain)) return false;
    try {
      await this.snapshots.remove(chain);
      return true;
    } catch (error) {
      // Another layer stands on it, which something needs.
      if (isCodedError(error, 'failed_precondition')) return false;
      throw error;
    }
  }

  private isHeld(chain: Digest): boolean {
    return this.pins.has(chain) || this.isNeeded(chain);
  }
}

/** Deepest first. */
function childrenFirst(chains: Iterable<Digest>, parents: ReadonlyMap<Digest, Digest | undefined>): Digest[] {
  const depths = new Map<Digest, number>();
  const depthOf = (chain: Digest): number => {
    const path: Digest[] = [];
    let at: Digest | undefined = chain;
    for (; at !== undefined && !depths.has(at); at = parents.get(at)) path.push(at);
    let depth = at === undefined ? 0 : (depths.get(at) ?? 0);
    for (const step of path.reverse()) depths.set(step, (depth += 1));
    return depth;
  };
  return [...chains].filter((chain) => parents.has(chain)).sort((a, b) => depthOf(b) - depthOf(a));
}

async function verify(tar: AsyncIterable<Uint8Array>, diffId: Digest): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of tar) hash.update(chunk);
  const actual = finishDigest(hash);
  if (actual !== diffId) throw new CodedError('digest_mismatch', 'the layer is not the one that was announced', { expected: diffId, actual });
}

async function* limited(tar: AsyncIterable<Uint8Array>, maxBytes: number): AsyncGenerator<Uint8Array, void, void> {
  let seen = 0;
  for await (const chunk of tar) {
    seen += chunk.byteLength;
    if (seen > maxBytes) throw new CodedError('quota_exceeded', 'no space left for images: a layer is larger than what the quota leaves', { maxBytes });
    yield chunk;
  }
}

async function* once(bytes: Uint8Array): AsyncGenerator<Uint8Array, void, void> {
  await Promise.resolve();
  yield bytes;
}
