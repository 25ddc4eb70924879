import type { ContentStore } from '../content/index.js';
import type { Snapshotter } from '../snapshots/index.js';
import type { ImageFiles } from './drivers/image-files.js';

const KILLED = Symbol('killed');

/**
 * One life of a process: what it calls goes through here until it dies, after a number of calls. Then no call returns; those under way on disk come to
 * their end, or to that of their source, and `buried` says when.
 */
export class Life {
  private callsLeft = Number.POSITIVE_INFINITY;
  private readonly underWay = new Set<Promise<unknown>>();
  private die: () => void = () => undefined;
  readonly death = new Promise<void>((resolve) => {
    this.die = resolve;
  });
  private state: 'alive' | 'dead' = 'alive';

  killAfter(calls: number): void {
    this.callsLeft = calls;
  }

  kill(): void {
    this.state = 'dead';
    this.die();
  }

  /** Resolves when nothing of this life touches the disk any longer. */
  async buried(): Promise<void> {
    while (this.underWay.size > 0) await Promise.allSettled([...this.underWay]);
  }

  content(store: ContentStore): ContentStore {
    return {
      write: (source, expected, pin) => this.call(() => store.write(this.mortal(source), expected, pin)),
      open: (digest) => this.call(() => store.open(digest)),
      read: (digest, maxBytes) => this.call(() => store.read(digest, maxBytes)),
      stat: (digest) => this.call(() => store.stat(digest)),
      list: () => store.list(),
      delete: (digest) => this.call(() => store.delete(digest)),
      pin: (digests) => this.call(() => store.pin(digests)),
      ingest: (expected, size) => this.call(() => store.ingest(expected, size)),
      sweep: (isNeeded) => this.call(() => store.sweep((digest) => this.isDead() || isNeeded(digest))),
    };
  }

  snapshots(store: Snapshotter): Snapshotter {
    return {
      unpack: (layer) => this.call(() => store.unpack({ ...layer, tar: this.mortal(layer.tar) })),
      has: (chain) => this.call(() => store.has(chain)),
      layerDirs: (chain) => this.call(() => store.layerDirs(chain)),
      rootfs: (chain, upper) => this.call(() => store.rootfs(chain, upper)),
      packChanges: (layer) => store.packChanges(layer),
      packTree: (chain, layer) => store.packTree(chain, layer),
      changes: (chain, layer) => this.call(() => store.changes(chain, layer)),
      sizeOf: (chain) => this.call(() => store.sizeOf(chain)),
      list: () => this.call(() => store.list()),
      remove: (chain) => this.call(() => store.remove(chain)),
    };
  }

  files(files: ImageFiles): ImageFiles {
    return {
      load: (onDamage) => this.call(() => files.load(onDamage)),
      putImage: (namespace, image) => this.call(() => files.putImage(namespace, image)),
      removeImage: (namespace, id) => this.call(() => files.removeImage(namespace, id)),
      putName: (namespace, name) => this.call(() => files.putName(namespace, name)),
      removeNames: (namespace, names) => this.call(() => files.removeNames(namespace, names)),
      dropNamespace: (namespace) => this.call(() => files.dropNamespace(namespace)),
    };
  }

  isDead(): boolean {
    return this.state === 'dead';
  }

  private async call<T>(action: () => Promise<T>): Promise<T> {
    this.callsLeft -= 1;
    if (this.callsLeft < 0) this.kill();
    if (this.isDead()) return new Promise<never>(() => undefined);
    const running = action();
    this.underWay.add(running);
    const [end] = await Promise.allSettled([running]);
    this.underWay.delete(running);
    if (this.isDead()) return new Promise<never>(() => undefined);
    if (end.status === 'rejected') throw end.reason;
    return end.value;
  }

  /** Breaks off when its reader dies. */
  private async *mortal(source: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array, void, void> {
    const iterator = source[Symbol.asyncIterator]();
    const death = this.death.then(() => KILLED);
    for (;;) {
      const next = await Promise.race([iterator.next(), death]);
      if (typeof next === 'symbol') throw new Error('killed');
      if (next.done === true) return;
      yield next.value;
    }
  }
}
