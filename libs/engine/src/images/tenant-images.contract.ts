import { gzipSync, zstdCompressSync, zstdDecompressSync } from 'node:zlib';
import { CodedError, digestHex, digestOf, newId, parseReference, type Digest, type TenantId } from '#kernel';
import type { ContentStore } from '../content/index.js';
import type { HostEvent, HostEvents } from '../events/index.js';
import type { Snapshotter } from '../snapshots/index.js';
import { streamOf } from '../snapshots/snapshots.contract.js';
import { writeTar } from '../tar/index.js';
import { MEDIA_TYPES, type ImageRecord, type TenantImages } from './index.js';

export interface TenantImagesUnderTest {
  readonly images: TenantImages;
  readonly content: ContentStore;
  readonly snapshots: Snapshotter;
  /** How many layers were unpacked so far; undefined: not counted. */
  unpackedLayers?(): number;
  /** The same state after a restart. */
  reopen(): Promise<TenantImages>;
  cleanup(): Promise<void>;
}

export interface TenantImagesEnvironment {
  readonly events: HostEvents;
  readonly quotaBytesOf: (namespace: string) => number | undefined;
}

/** An uncompressed layer with one file. */
export async function layerTar(name: string, content: string | Buffer = name): Promise<Buffer> {
  const bytes = Buffer.from(content);
  const chunks: Buffer[] = [];
  for await (const chunk of writeTar([{ path: name, type: 'file', mode: 0o644, uid: 0, gid: 0, size: bytes.length, mtimeNs: 0n, content: [bytes] }])) chunks.push(chunk);
  return Buffer.concat(chunks);
}

interface Layer {
  readonly tar: Buffer;
  readonly blob?: Buffer;
  readonly mediaType?: string;
}

/** Puts an image's blobs there as a pull or a load does. The caller pins. */
export async function storeImage(content: ContentStore, layers: readonly Layer[], config: object = {}, alter: (manifest: object) => object = (manifest) => manifest): Promise<Digest> {
  const put = async (bytes: Buffer) => content.write(streamOf(bytes, 65_536));
  const blobs = await Promise.all(layers.map(({ tar, blob }) => put(blob ?? gzipSync(tar))));
  const configBytes = Buffer.from(JSON.stringify({ architecture: 'amd64', os: 'linux', rootfs: { type: 'layers', diff_ids: layers.map(({ tar }) => digestOf(tar)) }, ...config }));
  const stored = await put(configBytes);
  const manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.manifest,
    config: { mediaType: MEDIA_TYPES.config, ...stored },
    layers: blobs.map((blob, place) => ({ mediaType: layers[place]?.mediaType ?? MEDIA_TYPES.layerGzip, ...blob })),
  };
  return (await put(Buffer.from(JSON.stringify(alter(manifest))))).digest;
}

export function describeTenantImages(name: string, factory: (environment: TenantImagesEnvironment) => Promise<TenantImagesUnderTest>): void {
  describe(`${name} as TenantImages`, () => {
    let under: TenantImagesUnderTest;
    let images: TenantImages;
    let ours: TenantId;
    let theirs: TenantId;
    let events: { tenantId: string; event: Omit<HostEvent, 'timeNs'> }[];
    let quota: number | undefined;
    let low: Layer;
    let high: Layer;

    beforeEach(async () => {
      [ours, theirs] = [newId('tenant'), newId('tenant')];
      events = [];
      quota = undefined;
      const sink: HostEvents = {
        publish: (tenantId, event) => events.push({ tenantId, event }),
        follow: () => {
          throw new CodedError('unsupported', 'nobody follows here');
        },
        position: () => 0n,
        covers: () => true,
        forget: () => undefined,
      };
      under = await factory({ events: sink, quotaBytesOf: () => quota });
      images = under.images;
      low = { tar: await layerTar('low', 'l'.repeat(100)) };
      high = { tar: await layerTar('high', 'h'.repeat(50)) };
    });
    afterEach(() => under.cleanup());

    const ref = parseReference;
    const same = (manifest: object) => manifest;
    const registerIn = async (namespace: string, layers: readonly Layer[], names: readonly string[], config: object = {}, parent?: Digest): Promise<ImageRecord> => {
      const manifest = await storeImage(under.content, layers, config);
      return images.register(namespace, { manifest, names: names.map(ref), ...(parent === undefined ? {} : { parent }) });
    };
    const blobs = async (): Promise<Digest[]> => {
      const found: Digest[] = [];
      for await (const { digest } of under.content.list()) found.push(digest);
      return found;
    };
    const chains = async (): Promise<Digest[]> => (await under.snapshots.list()).map(({ chainId }) => chainId);
    const nothingKept = async () => {
      await images.collectGarbage();
      expect(await blobs()).toEqual([]);
      expect(await chains()).toEqual([]);
    };
    const short = (id: Digest) => digestHex(id).slice(0, 12);
    const actions = () => events.map(({ event }) => `${event.action} ${event.attributes.name ?? ''}`);
    const rmi = (text: string, force = false) => images.remove(ours, text, { force, keepParents: false });

    describe('register', () => {
      it('makes an image of stored blobs, its config as received', async () => {
        const config = { created: '2020-01-01T00:00:00Z', config: { Labels: { a: 'b' }, Unknown: 1 }, custom: { x: [null] }, history: null };
        const manifest = await storeImage(under.content, [low, high], config);
        const image = await images.register(ours, { manifest, names: [ref('app:1'), ref(`app@${manifest}`)] });
        expect(image).toMatchObject({ manifest, tags: ['docker.io/library/app:1'], digests: [`docker.io/library/app@${manifest}`], parent: undefined, sizeBytes: 150, containers: [] });
        expect(image.rawConfig).toMatchObject(config);
        expect(image.config.config).toEqual({ Labels: { a: 'b' } });
        expect(image.chainId).toBe(digestOf(`${digestOf(low.tar)} ${digestOf(high.tar)}`));
        expect(image.layers.map(({ diffId, sizeBytes }) => [diffId, sizeBytes])).toEqual([[digestOf(low.tar), 100], [digestOf(high.tar), 50]]);
        expect(JSON.parse((await under.content.read(image.id)).toString())).toEqual(image.rawConfig);
        expect(await under.snapshots.has(image.chainId)).toBe(true);
        expect(events).toEqual([]);
      });

      it('takes layers by their first bytes: gzip, zstd, plain', async () => {
        const third = { tar: await layerTar('third') };
        const image = await registerIn(ours, [{ ...low, blob: low.tar }, { ...high, blob: zstdCompressSync(high.tar), mediaType: MEDIA_TYPES.layerZstd }, { ...third, blob: gzipSync(third.tar), mediaType: MEDIA_TYPES.layer }], ['x']);
        expect(image.layers).toHaveLength(3);
      });

      it('unpacks a layer once, however many tenants bring it at a time', async () => {
        const before = under.unpackedLayers?.();
        const all = await Promise.all(Array.from({ length: 6 }, (_, place) => registerIn(place % 2 === 0 ? ours : theirs, [low, high], [`x:${place}`])));
        expect(new Set(all.map(({ id }) => id)).size).toBe(1);
        if (before !== undefined) expect((under.unpackedLayers?.() ?? 0) - before).toBe(2);
        expect(await chains()).toHaveLength(2);
      });

      it('is idempotent, and moves tags', async () => {
        const one = await registerIn(ours, [low], ['app']);
        const again = await registerIn(ours, [low], ['app', 'app:2']);
        expect(again.tags).toEqual(['docker.io/library/app:2', 'docker.io/library/app:latest']);
        expect(again.addedAt).toBe(one.addedAt);
        const other = await registerIn(ours, [high], ['app']);
        expect((await images.resolve(ours, one.id)).tags).toEqual(['docker.io/library/app:2']);
        expect((await images.resolve(ours, 'app')).id).toBe(other.id);
      });

      it('takes an image without layers, and images of other architectures', async () => {
        const image = await registerIn(ours, [], ['empty'], { architecture: 's390x' });
        expect(image).toMatchObject({ sizeBytes: 0, layers: [] });
        expect(await under.snapshots.has(image.chainId)).toBe(true);
        await rmi('empty');
        await nothingKept();
      });

      it.each<[string, string, (layer: Layer) => readonly Layer[], object, (manifest: object) => object]>([
        ['a blob that holds another layer', 'digest_mismatch', (layer) => [{ ...layer, blob: gzipSync(Buffer.concat([layer.tar, Buffer.alloc(512)])) }], {}, same],
        ['a cut blob', 'invalid_argument', (layer) => [{ ...layer, blob: gzipSync(layer.tar).subarray(0, 60) }], {}, same],
        ['noise', 'invalid_argument', (layer) => [{ ...layer, blob: Buffer.alloc(5000, 7) }], {}, same],
        ['another compression', 'unsupported', (layer) => [{ ...layer, blob: Buffer.from('BZh91AY&SY') }], {}, same],
        ['another number of layers in its config', 'invalid_argument', (layer) => [layer], { rootfs: { type: 'layers', diff_ids: [] } }, same],
        ['another operating system', 'invalid_argument', (layer) => [layer], { os: 'windows' }, same],
        ['a config that is none', 'invalid_argument', (layer) => [layer], { rootfs: 7 }, same],
        ['a layer that is not there', 'not_found', () => [], {}, (manifest) => ({ ...manifest, layers: [{ mediaType: MEDIA_TYPES.layer, digest: digestOf('absent'), size: 6 }] })],
        ['a config of another size', 'invalid_argument', () => [], {}, (manifest) => ({ ...manifest, config: { ...(manifest as { config: object }).config, size: 1 } })],
      ])('refuses %s, and keeps nothing', async (_what, code, layersOf, config, alter) => {
        const manifest = await storeImage(under.content, layersOf(low), config, alter);
        await expect(images.register(ours, { manifest, names: [ref('bad')] })).rejects.toMatchObject({ code });
        expect(await images.list(ours)).toEqual([]);
        await nothingKept();
      });

      it('does not hand out a layer to who only knows its digest', async () => {
        await registerIn(theirs, [low], ['secret']);
        await expect(registerIn(ours, [{ ...low, blob: gzipSync(high.tar) }], ['stolen'])).rejects.toMatchObject({ code: 'digest_mismatch' });
        expect(await images.list(ours)).toEqual([]);
      });

      it('unpacks no further layer of an image that is over the quota already', async () => {
        quota = 160;
        const before = under.unpackedLayers?.() ?? 0;
        const fat = await Promise.all([1, 2, 3, 4].map(async (n) => ({ tar: await layerTar(`fat-${n}`, 'f'.repeat(100)) })));
        await expect(registerIn(ours, fat, ['fat'])).rejects.toMatchObject({ code: 'quota_exceeded' });
        if (under.unpackedLayers) expect(under.unpackedLayers() - before).toBe(2);
        expect(await images.list(ours)).toEqual([]);
      });

      it('counts distinct layers against the quota', async () => {
        quota = 160;
        await registerIn(ours, [low], ['one']);
        await registerIn(ours, [low, high], ['two']);
        const fat = { tar: await layerTar('fat', 'f'.repeat(11)) };
        await expect(registerIn(ours, [low, fat], ['three'])).rejects.toMatchObject({ code: 'quota_exceeded' });
        expect((await images.list(ours)).flatMap(({ tags }) => tags)).toHaveLength(2);
        await registerIn(theirs, [low, fat], ['three']);
        await rmi('two');
        await registerIn(ours, [low, fat], ['three']);
      });
    });

    describe('names', () => {
      it('lead to images: by name, ID, and unique prefix of the ID', async () => {
        const image = await registerIn(ours, [low], ['app:1', `other/app@${digestOf('m')}`, '127.0.0.1:5000/a/b:c']);
        for (const text of ['app:1', 'docker.io/library/app:1', `other/app@${digestOf('m')}`, `other/app:tag@${digestOf('m')}`, '127.0.0.1:5000/a/b:c', image.id, digestHex(image.id), short(image.id), image.id.slice(0, 20), digestHex(image.id).slice(0, 1)]) {
          expect((await images.resolve(ours, text)).id).toBe(image.id);
        }
      });

      it.each([
        ['app', 'No such image: app:latest'],
        ['x/app:1', 'No such image: x/app:1'],
        ['0123456789ab', 'No such image: 0123456789ab:latest'],
        [`sha256:${'0'.repeat(64)}`, `No such image: sha256:${'0'.repeat(64)}`],
        ['0'.repeat(64), `No such image: ${'0'.repeat(64)}`],
      ])('that lead nowhere (%s) are told in Docker’s words', async (text, message) => {
        await registerIn(theirs, [low], ['app']);
        await expect(images.resolve(ours, text)).rejects.toMatchObject({ code: 'not_found', message });
      });

      it.each(['', 'UPPER', 'a//b', 'a:b:c', '../x'])('outside the grammar (%j) are refused', async (text) => {
        await expect(images.resolve(ours, text)).rejects.toMatchObject({ code: 'invalid_argument' });
      });

      it('say so when a prefix is ambiguous, and win over prefixes', async () => {
        const seen = new Map<string, ImageRecord>();
        let pair: [ImageRecord, ImageRecord] | undefined;
        for (let round = 0; !pair; round += 1) {
          const image = await registerIn(ours, [], [], { round });
          const other = seen.get(image.id.charAt(7));
          if (other) pair = [other, image];
          seen.set(image.id.charAt(7), image);
        }
        const [one, other] = pair;
        const prefix = one.id.charAt(7);
        await expect(images.resolve(ours, `sha256:${prefix}`)).rejects.toMatchObject({ code: 'invalid_argument', message: `multiple IDs found with provided prefix: sha256:${prefix}` });
        await images.tag(ours, other.id, ref(short(one.id)));
        expect((await images.resolve(ours, short(one.id))).id).toBe(other.id);
      });

      it('can be added, but not as digests', async () => {
        const image = await registerIn(ours, [low], []);
        await images.tag(ours, image.id, ref('new'));
        expect((await images.resolve(ours, 'new')).taggedAt).toBeGreaterThan(0);
        await expect(images.tag(ours, digestOf('x'), ref('new'))).rejects.toMatchObject({ code: 'not_found' });
        await expect(images.tag(ours, image.id, ref(`a@${digestOf('x')}`))).rejects.toMatchObject({ code: 'invalid_argument', message: 'refusing to create a tag with a digest reference' });
        expect(events).toEqual([{ tenantId: ours, event: { type: 'image', action: 'tag', id: image.id, attributes: { name: 'new:latest' } } }]);
      });

      it('outlive a restart', async () => {
        const image = await registerIn(ours, [low, high], ['app', `app@${digestOf('m')}`]);
        const child = await images.append(ours, { base: image.id, config: {}, createdBy: 'x' });
        await registerIn(theirs, [low], ['mine']);
        images = await under.reopen();
        expect(await images.resolve(ours, 'app')).toEqual(await under.images.resolve(ours, 'app'));
        expect(await images.resolve(ours, child.id)).toEqual(await under.images.resolve(ours, child.id));
        expect((await images.list(theirs)).map(({ tags }) => tags)).toEqual([['docker.io/library/mine:latest']]);
      });
    });

    describe('remove', () => {
      it('takes a name among several, then the image', async () => {
        const image = await registerIn(ours, [low, high], ['app', 'app:2']);
        expect(await rmi('app')).toEqual([{ kind: 'untagged', name: 'app:latest' }]);
        expect(await rmi('app:2')).toEqual([{ kind: 'untagged', name: 'app:2' }, { kind: 'deleted', id: image.id }, ...image.layers.map(({ chainId }) => ({ kind: 'deleted', id: chainId })).reverse()]);
        expect(await images.list(ours)).toEqual([]);
        expect(await blobs()).toEqual([]);
        expect(await chains()).toEqual([]);
        expect(actions()).toEqual([`untag ${image.id}`, `untag ${image.id}`, `delete ${image.id}`]);
        await expect(rmi('app')).rejects.toMatchObject({ code: 'not_found', message: 'No such image: app:latest' });
      });

      it('takes the digests of a repository with its last tag', async () => {
        const digest = digestOf('m');
        const image = await registerIn(ours, [low], ['app', `app@${digest}`, `other@${digest}`]);
        expect(await rmi('app')).toEqual([{ kind: 'untagged', name: 'app:latest' }, { kind: 'untagged', name: `app@${digest}` }]);
        expect((await images.resolve(ours, image.id)).digests).toEqual([`docker.io/library/other@${digest}`]);
      });

      it('by ID takes all names of one repository, and refuses several without force', async () => {
        const image = await registerIn(ours, [low], ['app', `app@${digestOf('m')}`]);
        await images.tag(ours, image.id, ref('other'));
        await expect(rmi(short(image.id))).rejects.toMatchObject({ code: 'conflict', message: `conflict: unable to delete ${short(image.id)} (must be forced) - image is referenced in multiple repositories` });
        await rmi('other');
        expect((await rmi(short(image.id))).map((removal) => removal.kind)).toEqual(['untagged', 'untagged', 'deleted', 'deleted']);
        const again = await registerIn(ours, [low], ['app', 'other']);
        expect((await rmi(again.id, true)).map((removal) => removal.kind)).toEqual(['untagged', 'untagged', 'deleted', 'deleted']);
      });

      it('is refused while containers use the image', async () => {
        const image = await registerIn(ours, [low], ['app']);
        const container = 'c'.repeat(64);
        images.hold(ours, image.id, image.chainId, { id: container, running: false });
        expect((await images.resolve(ours, 'app')).containers).toEqual([container]);
        await expect(rmi('app')).rejects.toMatchObject({ code: 'conflict', message: `conflict: unable to remove repository reference "app" (must force) - container ${container.slice(0, 12)} is using its referenced image ${short(image.id)}` });
        await expect(rmi(image.id)).rejects.toMatchObject({ message: `conflict: unable to delete ${short(image.id)} (must be forced) - image is being used by stopped container cccccccccccc` });
        images.hold(ours, image.id, image.chainId, { id: container, running: true });
        await expect(rmi(image.id, true)).rejects.toMatchObject({ message: `conflict: unable to delete ${short(image.id)} (cannot be forced) - image is being used by running container cccccccccccc` });
        expect(await rmi('app', true)).toEqual([{ kind: 'untagged', name: 'app:latest' }]);
        images.hold(ours, image.id, image.chainId, { id: container, running: false });
        expect(await rmi(image.id, true)).toEqual([{ kind: 'deleted', id: image.id }]);
        await images.collectGarbage();
        expect(await chains()).toEqual([image.chainId]);
        images.release(ours, container);
        await nothingKept();
      });

      it('keeps what has children, and takes parents that nothing names', async () => {
        const base = await registerIn(ours, [low], ['base']);
        const middle = await images.append(ours, { base: base.id, layer: streamOf(high.tar), config: {}, createdBy: 'm' });
        const top = await images.append(ours, { base: middle.id, config: { Cmd: ['x'] }, createdBy: 't', name: ref('top') });
        expect(top.parent).toBe(middle.id);
        await expect(rmi(middle.id, true)).rejects.toMatchObject({ message: `conflict: unable to delete ${short(middle.id)} (cannot be forced) - image has dependent child images` });
        expect(await images.remove(ours, 'top', { force: false, keepParents: true })).toEqual([{ kind: 'untagged', name: 'top:latest' }, { kind: 'deleted', id: top.id }]);
        const again = await images.append(ours, { base: middle.id, config: { Cmd: ['y'] }, createdBy: 't', name: ref('top') });
        expect(await rmi('top')).toEqual([{ kind: 'untagged', name: 'top:latest' }, { kind: 'deleted', id: again.id }, { kind: 'deleted', id: middle.id }, { kind: 'deleted', id: middle.chainId }]);
        expect((await images.list(ours)).map(({ id }) => id)).toEqual([base.id]);
      });

      it('says nothing of other tenants, and takes nothing of theirs', async () => {
        const image = await registerIn(ours, [low, high], ['app']);
        await registerIn(theirs, [low, high], ['app']);
        expect(await rmi('app')).toHaveLength(4);
        expect((await images.resolve(theirs, 'app')).id).toBe(image.id);
        for (const digest of await blobs()) await under.content.read(digest);
        expect(await chains()).toHaveLength(2);
      });

      it('lets go of the layers only when no holder stands on them', async () => {
        const image = await registerIn(ours, [low, high], ['app']);
        images.hold(theirs, image.id, image.chainId, { id: 'other', running: true });
        await rmi('app');
        expect(await chains()).toHaveLength(2);
        images.release(theirs, 'other');
        await nothingKept();
      });
    });

    describe('prune', () => {
      it('takes what has no tag and no container', async () => {
        const [named, loose, used] = [await registerIn(ours, [low], ['app']), await registerIn(ours, [low, high], []), await registerIn(ours, [], [], { used: true })];
        const digestOnly = await registerIn(ours, [low], [`app@${digestOf('m')}`], { digestOnly: true });
        images.hold(ours, used.id, used.chainId, { id: 'c', running: false });
        const { removals, reclaimedBytes } = await images.prune(ours, { all: false });
        expect(removals.flatMap((removal) => (removal.kind === 'deleted' ? removal.id : removal.name)).sort()).toEqual([loose.id, loose.chainId, digestOnly.id, `app@${digestOf('m')}`].sort());
        expect(reclaimedBytes).toBe(50);
        expect((await images.list(ours)).map(({ id }) => id).sort()).toEqual([named.id, used.id].sort());
      });

      it('with all takes what no container uses, as the filter lets it', async () => {
        const [keep, used] = [await registerIn(ours, [low], ['keep:1', 'keep:2'], { config: { Labels: { keep: 'yes' } } }), await registerIn(ours, [low], ['used:1', 'used:2'], { used: true })];
        const base = await registerIn(ours, [high], []);
        await images.append(ours, { base: base.id, config: {}, createdBy: 'x', name: ref('child') });
        images.hold(ours, used.id, used.chainId, { id: 'c', running: false });
        await images.prune(ours, { all: true, accepts: ({ config }) => config.config.Labels?.keep === undefined });
        expect((await images.list(ours)).flatMap(({ tags }) => tags).sort()).toEqual([...keep.tags, ...used.tags].sort());
        expect(await images.prune(ours, { all: true })).toMatchObject({ reclaimedBytes: 0 });
        expect((await images.list(ours)).map(({ id }) => id)).toEqual([used.id]);
      });
    });

    it('tells each tenant its own usage', async () => {
      const [one, two] = [await registerIn(ours, [low], ['one']), await registerIn(ours, [low, high], ['two'])];
      await registerIn(theirs, [low], ['one']);
      images.hold(ours, one.id, one.chainId, { id: 'c', running: true });
      const usage = await images.usage(ours);
      expect(usage.layersBytes).toBe(150);
      expect(new Set(usage.images)).toEqual(new Set([{ id: one.id, sizeBytes: 100, sharedBytes: 100, containers: 1 }, { id: two.id, sizeBytes: 150, sharedBytes: 100, containers: 0 }]));
      expect((await images.usage(theirs)).layersBytes).toBe(100);
    });

    describe('history', () => {
      it('zips rows and layers, topmost first', async () => {
        const history = [{ created: '2020-01-01T00:00:00Z', created_by: 'ADD low' }, { created_by: 'ENV x', empty_layer: true, comment: 'c' }, { created_by: 'ADD high' }];
        const image = await registerIn(ours, [low, high], ['app'], { history });
        const child = await images.append(ours, { base: image.id, config: {}, createdBy: 'CMD', comment: 'made' });
        expect(await images.history(ours, child.id)).toEqual([
          { id: child.id, createdAt: child.config.created, createdBy: 'CMD', comment: 'made', sizeBytes: 0, tags: [] },
          { id: image.id, createdAt: undefined, createdBy: 'ADD high', comment: '', sizeBytes: 50, tags: ['docker.io/library/app:latest'] },
          { id: undefined, createdAt: undefined, createdBy: 'ENV x', comment: 'c', sizeBytes: 0, tags: [] },
          { id: undefined, createdAt: '2020-01-01T00:00:00Z', createdBy: 'ADD low', comment: '', sizeBytes: 100, tags: [] },
        ]);
      });

      it('has a row for each layer that its config does not tell of', async () => {
        await registerIn(ours, [low, high], ['app']);
        expect((await images.history(ours, 'app')).map(({ sizeBytes }) => sizeBytes)).toEqual([50, 100]);
        await registerIn(ours, [low], ['odd'], { history: [{}, {}] });
        await expect(images.history(ours, 'odd')).rejects.toMatchObject({ message: 'too many non-empty layers in History section' });
      });
    });

    describe('import', () => {
      it.each<[string, (tar: Buffer) => Buffer]>([['plain', (tar) => tar], ['gzip', gzipSync], ['zstd', zstdCompressSync]])('takes a root file system, %s', async (_how, compress) => {
        const image = await images.importTar(ours, { tar: streamOf(compress(low.tar)), name: ref('root:1'), changes: ['CMD ["sh"]', 'ENV A=b'] });
        expect(image).toMatchObject({ tags: ['docker.io/library/root:1'], sizeBytes: 100, chainId: digestOf(low.tar), config: { os: 'linux', config: { Cmd: ['sh'], Env: ['A=b'] } } });
        expect(await images.history(ours, 'root:1')).toEqual([{ id: image.id, createdAt: image.config.created, createdBy: '', comment: 'Imported from -', sizeBytes: 100, tags: ['docker.io/library/root:1'] }]);
        expect(await blobs()).toHaveLength(3);
        expect(zstdDecompressSync(await under.content.read(image.layers[0]!.blob)).equals(low.tar)).toBe(true);
        expect(actions()).toEqual(['tag root:1', `import ${image.id}`]);
      });

      it.each<[string, Buffer, string]>([['xz', Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0, 1]), 'unsupported'], ['bzip2', Buffer.from('BZh9'), 'unsupported'], ['noise', Buffer.alloc(4000, 9), 'invalid_argument'], ['a cut gzip', gzipSync(Buffer.alloc(9999)).subarray(0, 25), 'invalid_argument']])('refuses %s and keeps nothing', async (_what, bytes, code) => {
        await expect(images.importTar(ours, { tar: streamOf(bytes), changes: [] })).rejects.toMatchObject({ code });
        expect(await blobs()).toEqual([]);
        expect(await chains()).toEqual([]);
      });

      it('refuses changes before it reads', async () => {
        let isRead = false;
        const tar = async function* () {
          isRead = true;
          yield* streamOf(low.tar);
        };
        await expect(images.importTar(ours, { tar: tar(), changes: ['RUN x'] })).rejects.toMatchObject({ code: 'invalid_argument', message: 'RUN is not a valid change command' });
        expect(isRead).toBe(false);
      });
    });

    describe('append', () => {
      it('puts a layer on a base and keeps what is below as it is', async () => {
        const base = await registerIn(ours, [low], ['base'], { architecture: 'arm', variant: 'v7', history: [{ created_by: 'low' }] });
        const image = await images.append(ours, { base: base.id, layer: streamOf(high.tar), name: ref('made'), config: { Cmd: ['x'], Env: ['A=1'] }, author: 'me', comment: 'why', createdBy: 'sh', extra: { container: 'abc', os: 'plan9' } });
        expect(image.rawConfig).toEqual({
          created: image.config.created,
          author: 'me',
          architecture: 'arm',
          variant: 'v7',
          os: 'linux',
          container: 'abc',
          config: { Cmd: ['x'], Env: ['A=1'] },
          rootfs: { type: 'layers', diff_ids: [digestOf(low.tar), digestOf(high.tar)] },
          history: [{ created_by: 'low' }, { created: image.config.created, created_by: 'sh', author: 'me', comment: 'why' }],
        });
        const manifest = JSON.parse((await under.content.read(image.manifest)).toString()) as { layers: { mediaType: string; digest: string }[] };
        expect(manifest.layers).toMatchObject([{ mediaType: MEDIA_TYPES.layerGzip, digest: base.layers[0]!.blob }, { mediaType: MEDIA_TYPES.layerZstd, digest: image.layers[1]!.blob }]);
        expect(image).toMatchObject({ parent: base.id, sizeBytes: 150, tags: ['docker.io/library/made:latest'] });
        expect((await images.history(ours, 'made')).map(({ sizeBytes, id }) => [sizeBytes, id])).toEqual([[50, image.id], [100, base.id]]);
      });

      it('takes a layer of another image as it is there, and comes to the same image again, which learns what it stands on', async () => {
        for (const namespace of [ours, theirs]) await registerIn(namespace, [low], ['base']);
        const base = await images.resolve(ours, 'base');
        const step = { base: base.id, config: { Cmd: ['x'] }, createdBy: 'sh', created: '2020-01-02T03:04:05.678Z' };
        const { id, manifest } = await images.append(theirs, { ...step, layer: streamOf(high.tar) });
        await expect(images.append(ours, { ...step, layerOf: { image: id, index: 1 } })).rejects.toMatchObject({ code: 'not_found' });
        const { layers, parent } = await images.register(ours, { manifest, names: [ref('whole')] });
        expect(parent).toBeUndefined();
        const again = await images.append(ours, { ...step, layerOf: { image: id, index: 1 } });
        expect(again).toMatchObject({ id, parent: base.id, layers, tags: ['docker.io/library/whole:latest'] });
        const other = await images.append(ours, { ...step, createdBy: 'other', layerOf: { image: id, index: 1 } });
        expect(other.layers).toEqual(layers);
        expect(JSON.parse((await under.content.read(other.manifest)).toString())).toMatchObject({ layers: [{ mediaType: MEDIA_TYPES.layerGzip }, { mediaType: MEDIA_TYPES.layerZstd, digest: layers[1]!.blob }] });
        await expect(images.append(ours, { ...step, layerOf: { image: id, index: 2 } })).rejects.toMatchObject({ code: 'invalid_argument' });
        images = await under.reopen();
        expect((await images.resolve(ours, 'whole')).parent).toBe(base.id);
      });

      it('stands on nothing, and takes an empty layer for none', async () => {
        const image = await images.append(ours, { base: undefined, layer: streamOf(Buffer.alloc(1024)), config: {}, createdBy: '' });
        expect(image.rawConfig).toMatchObject({ rootfs: { diff_ids: [] }, history: [{ empty_layer: true }] });
        await expect(images.append(ours, { base: digestOf('absent'), config: {}, createdBy: '' })).rejects.toMatchObject({ code: 'not_found', message: `No such image: ${digestOf('absent')}` });
        await rmi(image.id);
        await nothingKept();
      });

      it('lets a row meet its layer over a base without history', async () => {
        const base = await registerIn(ours, [low], []);
        const image = await images.append(ours, { base: base.id, layer: streamOf(high.tar), config: {}, createdBy: 'sh' });
        expect((await images.history(ours, image.id)).map(({ createdBy, sizeBytes }) => [createdBy, sizeBytes])).toEqual([['sh', 50], ['', 100]]);
      });

      it('refuses what is deeper than a stack may be', async () => {
        const layers = await Promise.all(Array.from({ length: 127 }, async (_, place) => ({ tar: await layerTar(`f${place}`) })));
        const base = await registerIn(ours, layers, ['deep']);
        await expect(images.append(ours, { base: base.id, layer: streamOf(high.tar), config: {}, createdBy: '' })).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringContaining('max depth exceeded') });
      });
    });

    it('forgets a name space with all that is in it', async () => {
      await registerIn(ours, [low, high], ['app']);
      const kept = await registerIn(theirs, [low], ['app']);
      images.hold(ours, kept.id, kept.chainId, { id: 'c', running: true });
      await images.drop(ours);
      await images.drop(ours);
      expect(await images.list(ours)).toEqual([]);
      expect((await images.resolve(theirs, 'app')).id).toBe(kept.id);
      images = await under.reopen();
      expect(await images.list(ours)).toEqual([]);
      await images.drop(theirs);
      await nothingKept();
    });

    it.each(['', '.', '..', 'a/b', 'a\0'])('refuses %j as a name space', async (bad) => {
      await expect(images.list(bad)).rejects.toMatchObject({ code: 'invalid_argument' });
      await expect(images.importTar(bad, { tar: streamOf(low.tar), changes: [] })).rejects.toMatchObject({ code: 'invalid_argument' });
    });
  });
}
