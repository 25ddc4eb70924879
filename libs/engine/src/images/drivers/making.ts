import type { Digest } from '#kernel';
import type { ContentStore, Pin } from '../../content/index.js';
import type { ChainPin, Layers } from './layers.js';

/** What an image in the making is made of: protected from collectors until `release`. */
export class Making {
  readonly blobs = new Set<Digest>();
  readonly chains = new Set<Digest>();
  private readonly pins: { release(): void }[] = [];

  constructor(
    private readonly content: ContentStore,
    private readonly layers: Layers,
  ) {}

  /** Resolves when what is there stays. */
  async pinBlobs(digests: Iterable<Digest>): Promise<void> {
    const list = [...digests];
    for (const digest of list) this.blobs.add(digest);
    this.pins.push(await this.content.pin(list));
  }

  async pinChains(chains: Iterable<Digest>): Promise<void> {
    const list = [...chains];
    for (const chain of list) this.chains.add(chain);
    this.pins.push(await this.layers.pin(list));
  }

  /** For a blob whose digest shows when it is written. */
  async blobPin(): Promise<Pin> {
    const pin = await this.content.pin([]);
    this.pins.push(pin);
    return {
      add: (digests) => {
        const list = [...digests];
        for (const digest of list) this.blobs.add(digest);
        return pin.add(list);
      },
      release: () => {
        pin.release();
      },
    };
  }

  async chainPin(): Promise<ChainPin> {
    const pin = await this.layers.pin([]);
    this.pins.push(pin);
    return {
      add: (chains) => {
        const list = [...chains];
        for (const chain of list) this.chains.add(chain);
        return pin.add(list);
      },
      release: () => {
        pin.release();
      },
    };
  }

  release(): void {
    for (const pin of this.pins) pin.release();
  }
}
