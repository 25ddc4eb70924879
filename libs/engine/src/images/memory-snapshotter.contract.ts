import { createHash } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError, finishDigest, type Digest } from '#kernel';
import { chainIdOf, type LayerSource, type SnapshotInfo, type Snapshotter } from '../snapshots/index.js';
import { readTar } from '../tar/index.js';

/** Layers that are remembered, not unpacked: what unit tests of images need of a snapshotter. It outlives the image store that uses it, as a disk would. */
export class MemorySnapshotter implements Snapshotter {
  readonly layers = new Map<Digest, SnapshotInfo & { readonly sizeBytes: number }>();
  /** How many tars were read. */
  unpacked = 0;

  async unpack({ parent, diffId: expected, tar }: LayerSource): Promise<SnapshotInfo> {
    if (parent !== undefined) this.info(parent);
    this.unpacked += 1;
    const hash = createHash('sha256');
    let sizeBytes = 0;
    const hashed = async function* (): AsyncGenerator<Uint8Array, void, void> {
      for await (const chunk of tar) {
        hash.update(chunk);
        yield chunk;
      }
    };
    const source = hashed();
    for await (const entry of readTar(source)) sizeBytes += entry.size;
    for (let rest = await source.next(); rest.done !== true; rest = await source.next());
    const diffId = finishDigest(hash);
    if (expected !== undefined && diffId !== expected) throw new CodedError('digest_mismatch', 'the layer is not the one that was announced', { expected, actual: diffId });
    if (parent !== undefined) this.info(parent);
    const chainId = chainIdOf(parent, diffId);
    const existed = this.layers.get(chainId);
    // As a driver that finds the layer there before it flushes: a removal in between takes it.
    await sleep(3);
    if (!existed) this.layers.set(chainId, { chainId, parent, diffId, sizeBytes });
    return { chainId, parent, diffId };
  }

  async has(chainId: Digest): Promise<boolean> {
    await Promise.resolve();
    return this.layers.has(chainId);
  }

  async sizeOf(chainId: Digest): Promise<number> {
    await Promise.resolve();
    return this.info(chainId).sizeBytes;
  }

  async list(): Promise<SnapshotInfo[]> {
    await Promise.resolve();
    return [...this.layers.values()];
  }

  async remove(chainId: Digest): Promise<void> {
    const child = [...this.layers.values()].find(({ parent }) => parent === chainId);
    if (child) throw new CodedError('failed_precondition', 'another layer stands on this one', { chainId, child: child.chainId });
    await sleep(2);
    this.layers.delete(chainId);
  }

  layerDirs(): Promise<readonly string[]> {
    return refuse();
  }

  rootfs(): Promise<never> {
    return refuse();
  }

  async *packChanges(): AsyncIterable<Buffer> {
    yield await refuse();
  }

  async *packTree(): AsyncIterable<Buffer> {
    yield await refuse();
  }

  changes(): Promise<never> {
    return refuse();
  }

  private info(chainId: Digest): SnapshotInfo & { readonly sizeBytes: number } {
    const found = this.layers.get(chainId);
    if (!found) throw new CodedError('not_found', 'no such layer is unpacked here', { chainId });
    return found;
  }
}

function refuse(): Promise<never> {
  return Promise.reject(new CodedError('unsupported', 'layers in memory have no files'));
}
