import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { gzipSync } from 'node:zlib';
import fc from 'fast-check';
import { digestOf, isCodedError, parseReference, type Digest } from '#kernel';
import { FsContentStore, type ContentStore } from '../content/index.js';
import { chainIdOf } from '../snapshots/index.js';
import { streamOf } from '../snapshots/snapshots.contract.js';
import { DurableImageFiles } from './drivers/image-files.js';
import { FsTenantImages, MEDIA_TYPES } from './index.js';
import { MemorySnapshotter } from './memory-snapshotter.contract.js';
import { Life } from './mortal-stores.contract.js';
import { layerTar } from './tenant-images.contract.js';

const NAMESPACES = ['ten_a', 'ten_b'];
const NAMES = ['a', 'b', 'c'];
const HOLDERS = ['h1', 'h2', 'h3'];
/** Which layers each image has: some share their lower ones. */
const STACKS = [[0], [0, 1], [0, 1, 2], [3], [0, 3], []];

interface Operation {
  readonly kind: 'register' | 'import' | 'append' | 'tag' | 'rmi' | 'prune' | 'hold' | 'release' | 'collect' | 'drop';
  readonly namespace: string;
  readonly name: string;
  readonly other: string;
  readonly stack: number;
  readonly force: boolean;
  readonly holder: string;
  /** Milliseconds until it begins. */
  readonly wait: number;
}
interface Step {
  /** At once. */
  readonly operations: readonly Operation[];
  /** Calls after which the process dies; undefined: it lives. */
  readonly killAfter: number | undefined;
}

const operation: fc.Arbitrary<Operation> = fc.record({
  kind: fc.oneof({ weight: 5, arbitrary: fc.constantFrom('register' as const, 'append' as const, 'rmi' as const) }, { weight: 3, arbitrary: fc.constantFrom('import' as const, 'tag' as const, 'hold' as const, 'release' as const, 'collect' as const, 'prune' as const) }, { weight: 1, arbitrary: fc.constant('drop' as const) }),
  namespace: fc.constantFrom(...NAMESPACES),
  name: fc.constantFrom(...NAMES),
  other: fc.constantFrom(...NAMES),
  stack: fc.nat(STACKS.length - 1),
  force: fc.boolean(),
  holder: fc.constantFrom(...HOLDERS),
  wait: fc.nat(15),
});
const step: fc.Arbitrary<Step> = fc.record({ operations: fc.array(operation, { minLength: 1, maxLength: 5 }), killAfter: fc.option(fc.nat(40), { nil: undefined, freq: 3 }) });

interface Blobs {
  readonly manifest: Digest;
  readonly bytes: ReadonlyMap<Digest, Buffer>;
}

/** The documents and layers that a pull of that image would bring. */
function imageOf(tars: readonly Buffer[]): Blobs {
  const blobs = tars.map((tar) => gzipSync(tar));
  const config = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: tars.map((tar) => digestOf(tar)) } }));
  const descriptor = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const manifest = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.manifest, config: descriptor(MEDIA_TYPES.config, config), layers: blobs.map((blob) => descriptor(MEDIA_TYPES.layerGzip, blob)) }));
  return { manifest: digestOf(manifest), bytes: new Map([manifest, config, ...blobs].map((bytes) => [digestOf(bytes), bytes])) };
}

/** A node's image store through several lives of its process. */
class World {
  private life = new Life();
  private content!: ContentStore;
  private files!: DurableImageFiles;
  images!: FsTenantImages;
  private readonly snapshots = new MemorySnapshotter();
  readonly held = new Map<string, { readonly namespace: string; readonly image: Digest; readonly chainId: Digest }>();

  constructor(
    private readonly root: string,
    private readonly tars: readonly Buffer[],
  ) {}

  async start(): Promise<void> {
    this.life = new Life();
    this.content = await FsContentStore.open(join(this.root, 'content'));
    this.files = await DurableImageFiles.open(join(this.root, 'images'));
    this.images = await FsTenantImages.open({ root: join(this.root, 'images'), content: this.life.content(this.content), snapshots: this.life.snapshots(this.snapshots), files: this.life.files(this.files) });
    for (const [holder, { namespace, image, chainId }] of this.held) this.images.hold(namespace, image, chainId, { id: holder, running: false });
  }

  async run({ operations, killAfter }: Step): Promise<void> {
    const before = await this.ids();
    const { life } = this;
    if (killAfter !== undefined) life.killAfter(killAfter);
    const ends = Promise.all(operations.map((each) => this.perform(each)));
    if (killAfter === undefined) {
      await ends;
      await this.check();
      return;
    }
    await Promise.race([ends, life.death]);
    life.kill();
    await life.buried();
    await this.start();
    await this.check();
    const removed = new Set(operations.filter(({ kind }) => kind === 'rmi' || kind === 'prune' || kind === 'drop').map(({ namespace }) => namespace));
    for (const namespace of NAMESPACES) if (!removed.has(namespace)) expect(await this.idsOf(namespace)).toEqual(expect.arrayContaining(before.get(namespace) ?? []));
  }

  /** All that a record or a holder needs is there. */
  async check(): Promise<void> {
    for (const blob of (await this.needs()).blobs) expect([blob, (await this.content.stat(blob))?.digest]).toEqual([blob, blob]);
    for (const chain of (await this.needs()).chains) expect([chain, await this.snapshots.has(chain)]).toEqual([chain, true]);
  }

  /** And after a collection, nothing else is. */
  async checkNothingLeft(): Promise<void> {
    await this.images.collectGarbage();
    await this.check();
    const { blobs, chains } = await this.needs();
    const kept: Digest[] = [];
    for await (const { digest } of this.content.list()) kept.push(digest);
    expect(kept.sort()).toEqual([...blobs].sort());
    expect([...this.snapshots.layers.keys()].sort()).toEqual([...chains].sort());
  }

  /** What breaks the rules of Docker fails, which is fine; all else must not. */
  private async perform(what: Operation): Promise<void> {
    const { life } = this;
    try {
      await sleep(what.wait);
      if (life !== this.life || life.isDead()) return;
      await this.attempt(what);
    } catch (error) {
      if (!isCodedError(error) || !['not_found', 'conflict', 'invalid_argument'].includes(error.code)) throw error;
    }
  }

  private async attempt({ kind, namespace, name, other, stack, force, holder }: Operation): Promise<void> {
    const { images, life } = this;
    const tar = () => streamOf(this.tars[stack % this.tars.length] ?? Buffer.alloc(0), 512);
    switch (kind) {
      case 'register':
        return this.register(namespace, name, stack);
      case 'import':
        await images.importTar(namespace, { tar: tar(), name: parseReference(name), changes: [], created: '2026-01-01T00:00:00Z' });
        return;
      case 'append': {
        const base = await images.resolve(namespace, name);
        await images.append(namespace, { base: base.id, ...(force ? { layer: tar() } : {}), config: {}, createdBy: other, name: parseReference(other) });
        return;
      }
      case 'tag':
        return images.tag(namespace, (await images.resolve(namespace, name)).id, parseReference(other));
      case 'rmi':
        await images.remove(namespace, name, { force, keepParents: stack % 2 === 0 });
        return;
      case 'prune':
        await images.prune(namespace, { all: force });
        return;
      case 'hold': {
        if (this.held.has(holder)) return;
        const { id, chainId } = await images.resolve(namespace, name);
        images.hold(namespace, id, chainId, { id: holder, running: force });
        try {
          await images.resolve(namespace, id);
        } catch (error) {
          images.release(namespace, holder);
          throw error;
        }
        const earlier = this.held.get(holder);
        if (earlier && earlier.namespace !== namespace) images.release(earlier.namespace, holder);
        // A process that has died says nothing any longer.
        if (life === this.life) this.held.set(holder, { namespace, image: id, chainId });
        return;
      }
      case 'release': {
        const hold = this.held.get(holder);
        this.held.delete(holder);
        if (hold) images.release(hold.namespace, holder);
        return;
      }
      case 'collect':
        await images.collectGarbage();
        return;
      case 'drop':
        for (const [id, hold] of [...this.held]) {
          if (hold.namespace !== namespace) continue;
          this.held.delete(id);
          images.release(namespace, id);
        }
        return images.drop(namespace);
    }
  }

  private async register(namespace: string, name: string, stack: number): Promise<void> {
    const { images } = this;
    const { manifest, bytes } = imageOf((STACKS[stack] ?? []).map((place) => this.tars[place] ?? Buffer.alloc(0)));
    const content = this.life.content(this.content);
    const pin = await content.pin(bytes.keys());
    try {
      for (const [digest, blob] of bytes) if (!(await content.stat(digest))) await content.write(streamOf(blob), digest);
      await images.register(namespace, { manifest, names: [parseReference(name), parseReference(`${name}@${manifest}`)] });
    } finally {
      pin.release();
    }
  }

  private async ids(): Promise<Map<string, Digest[]>> {
    return new Map(await Promise.all(NAMESPACES.map(async (namespace) => [namespace, await this.idsOf(namespace)] as const)));
  }

  private async idsOf(namespace: string): Promise<Digest[]> {
    return (await this.images.list(namespace)).map(({ id }) => id);
  }

  private async needs(): Promise<{ readonly blobs: Set<Digest>; readonly chains: Set<Digest> }> {
    const records = (await Promise.all(NAMESPACES.map((namespace) => this.images.list(namespace)))).flat();
    const blobs = new Set(records.flatMap(({ id, manifest, layers }) => [id, manifest, ...layers.map(({ blob }) => blob)]));
    const chains = new Set(records.flatMap(({ chainId, layers }) => [chainId, ...layers.map((layer) => layer.chainId)]));
    for (const { layers } of records) for (const [place, layer] of layers.entries()) expect(layer.chainId).toBe(chainIdOf(layers[place - 1]?.chainId, layer.diffId));
    for (const { chainId } of this.held.values()) {
      for (let at: Digest | undefined = chainId; at !== undefined; at = this.snapshots.layers.get(at)?.parent) chains.add(at);
    }
    return { blobs, chains };
  }
}

describe('the images of a node', () => {
  let tars: Buffer[];
  beforeAll(async () => {
    tars = await Promise.all(['w', 'x', 'y', 'z'].map((name) => layerTar(name, name.repeat(2000))));
  });

  it('never lose what a name or a container needs, and never keep what nothing needs, whatever is done at once and whenever the process dies', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 1, maxLength: 8 }), async (steps) => {
        const root = await mkdtemp(join(tmpdir(), 'images-property-'));
        try {
          const world = new World(root, tars);
          await world.start();
          for (const each of steps) await world.run(each);
          await world.checkNothingLeft();
        } finally {
          await rm(root, { recursive: true, force: true });
        }
      }),
      { numRuns: 40, endOnFailure: true },
    );
  }, 120_000);
});
