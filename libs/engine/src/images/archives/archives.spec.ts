import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { digestOf, parseReference } from '#kernel';
import { FsContentStore } from '../../content/index.js';
import { readTar, writeTar, type TarEntryInput } from '../../tar/index.js';
import { FsTenantImages, TarImageArchives } from '../index.js';
import { MemorySnapshotter } from '../memory-snapshotter.contract.js';

const OWN = { mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n } as const;
const file = (path: string, body: string | Buffer): TarEntryInput => ({ ...OWN, path, type: 'file', size: Buffer.byteLength(body), content: [Buffer.from(body)] });

async function bytesOf(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of source) chunks.push(chunk);
  return Buffer.concat(chunks);
}

async function* stream(bytes: Uint8Array, step = 10_000): AsyncGenerator<Uint8Array, void, void> {
  for (let at = 0; at < bytes.length; at += step) yield await Promise.resolve(bytes.subarray(at, at + step));
}

const tarOf = (...entries: TarEntryInput[]): Promise<Buffer> => bytesOf(writeTar(entries));

describe('TarImageArchives', () => {
  let root: string;
  let content: FsContentStore;
  let images: FsTenantImages;
  let archives: TarImageArchives;

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'archives-'));
    content = await FsContentStore.open(join(root, 'content'));
    images = await FsTenantImages.open({ root: join(root, 'images'), content, snapshots: new MemorySnapshotter() });
    archives = new TarImageArchives({ content, images, quotaBytesOf: () => 10_000_000 });
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  /** An image of two layers in name space `a`. */
  async function made(name = 'team/app:v1'): Promise<string> {
    const base = await images.importTar('a', { tar: stream(await tarOf(file('etc/one', 'one'.repeat(10_000)))), changes: ['CMD ["sh"]'] });
    const layer = stream(await tarOf(file('etc/two', 'two')));
    return (await images.append('a', { base: base.id, layer, name: parseReference(name), config: base.config.config, createdBy: 'test' })).id;
  }

  const blobs = async (): Promise<number> => {
    let count = 0;
    for await (const blob of content.list()) count += blob.size > 0 ? 1 : 0;
    return count;
  };

  it('saves the same bytes for the same images, and loads them elsewhere under the same ID', async () => {
    const id = await made();
    const saved = await bytesOf(archives.save('a', ['team/app:v1']));
    expect((await bytesOf(archives.save('a', ['team/app']))).equals(saved)).toBe(true);
    expect(await archives.load('b', stream(saved))).toEqual([{ id, tags: ['docker.io/team/app:v1'] }]);
    expect((await images.resolve('b', 'team/app:v1')).id).toBe(id);
    expect((await bytesOf(archives.save('b', ['team/app:v1']))).equals(saved)).toBe(true);
    // By ID: no tag goes along.
    expect(await archives.load('c', stream(gzipSync(await bytesOf(archives.save('a', [id])))))).toEqual([{ id, tags: [] }]);
    expect(await archives.load('d', stream(zstdCompressSync(saved)))).toHaveLength(1);
    await expect(bytesOf(archives.save('a', ['absent']))).rejects.toMatchObject({ code: 'not_found' });
  });

  it('keeps a layer that another name space has made once, by whichever layout it comes and however its bytes arrive', async () => {
    const words = Buffer.from(randomBytes(400_000).toString('hex'));
    const id = (await images.importTar('a', { tar: stream(await tarOf(file('words', words), file('noise', randomBytes(700_001)))), name: parseReference('base'), changes: [] })).id;
    const before = await blobs();
    const saved = await bytesOf(archives.save('a', ['base']));
    const layout: TarEntryInput[] = [];
    for await (const entry of readTar(stream(saved))) {
      if (entry.path !== 'manifest.json' && entry.path !== 'repositories' && entry.type === 'file') layout.push(file(entry.path, await bytesOf(entry.content)));
    }
    for (const [namespace, archive, step] of [['b', saved, 777], ['c', saved, 3_000_000], ['d', await tarOf(...layout), 65_536]] as const) {
      expect(await archives.load(namespace, stream(archive, step))).toEqual([{ id, tags: ['docker.io/library/base:latest'] }]);
      expect(await blobs()).toBe(before);
    }
    // Nobody needs the first one's any more: the others still do.
    await images.drop('a');
    expect((await bytesOf(archives.save('d', ['base']))).equals(saved)).toBe(true);
  });

  it('takes a name for a name, whatever it is to JavaScript', async () => {
    const keys = (value: object): string[] => Reflect.ownKeys(value).map(String);
    const before = keys(Object);
    const constructors = { ...Object.getOwnPropertyDescriptors(Object) };
    try {
      await made('constructor:owned');
      await images.tag('a', (await images.resolve('a', 'constructor:owned')).id, parseReference('constructor:__proto__'));
      const saved = await bytesOf(archives.save('a', ['constructor']));
      expect(keys(Object)).toEqual(before);
      const texts = new Map<string, string>();
      for await (const entry of readTar(stream(saved))) texts.set(entry.path, (await bytesOf(entry.content)).toString('latin1'));
      expect(texts.get('repositories')).toMatch(/^\{"constructor":\{"(__proto__|owned)":"[0-9a-f]{64}","(__proto__|owned)":"[0-9a-f]{64}"\}\}$/);
    } finally {
      for (const name of keys(Object)) if (!(name in constructors)) Reflect.deleteProperty(Object, name);
    }
  });

  it('says how far it is', async () => {
    await made();
    const seen: number[] = [];
    await archives.load('b', stream(await bytesOf(archives.save('a', ['team/app']))), ({ current, total }) => seen.push(current / (total ?? 1)));
    expect(seen.length).toBeGreaterThanOrEqual(2);
    expect(seen.every((share) => share > 0 && share <= 1)).toBe(true);
  });

  const config = (layers: Buffer[]): string => JSON.stringify({ architecture: 'amd64', os: 'linux', config: {}, rootfs: { type: 'layers', diff_ids: layers.map((layer) => digestOf(layer)) } });
  const manifest = (layers: string[], extra: object = {}): string => JSON.stringify([{ Config: 'config.json', RepoTags: ['old/app:1'], Layers: layers, ...extra }]);

  it("reads Docker's older archives: layers in folders, repeated ones as links, compressed or not", async () => {
    const layer = await tarOf(file('x', 'x'));
    const second = await tarOf(file('y', 'y'));
    const archive = await tarOf(
      { ...OWN, path: 'aaa/', type: 'directory' },
      file('aaa/layer.tar', layer),
      file('aaa/VERSION', '1.0'),
      file('bbb/layer.tar', gzipSync(second)),
      { ...OWN, path: 'ccc/layer.tar', type: 'symlink', linkname: '../aaa/layer.tar' },
      file('config.json', config([layer, second, layer])),
      file('manifest.json', manifest(['aaa/layer.tar', 'bbb/layer.tar', 'ccc/layer.tar'])),
    );
    expect(await archives.load('a', stream(archive))).toEqual([{ id: digestOf(config([layer, second, layer])), tags: ['docker.io/old/app:1'] }]);
  });

  it('leaves nothing of an archive that is hostile, damaged or cut', async () => {
    const layer = await tarOf(file('x', 'x'));
    const other = await tarOf(file('y', 'y'));
    await made();
    const before = await blobs();
    const saved = await bytesOf(archives.save('a', ['team/app']));
    const flipped = Buffer.from(saved);
    flipped.fill('Z', saved.indexOf('oneoneone'), saved.indexOf('oneoneone') + 3);
    const loop = { ...OWN, type: 'symlink' } as const;
    const cases: [string, Buffer, string][] = [
      ['is cut', saved.subarray(0, saved.length - 3_000), 'invalid_argument'],
      ['is no tar', Buffer.from('nonsense'.repeat(200)), 'invalid_argument'],
      ['is empty', await tarOf(), 'invalid_argument'],
      ['holds a blob that is not what its name says', flipped, 'digest_mismatch'],
      ['names a layer that it does not hold', await tarOf(file('config.json', config([layer])), file('manifest.json', manifest(['absent.tar']))), 'invalid_argument'],
      ['has layers that are not those of its config', await tarOf(file('l.tar', other), file('config.json', config([layer])), file('manifest.json', manifest(['l.tar']))), 'digest_mismatch'],
      ['has more layers than its config', await tarOf(file('l.tar', layer), file('config.json', config([layer])), file('manifest.json', manifest(['l.tar', 'l.tar']))), 'invalid_argument'],
      ['loops', await tarOf({ ...loop, path: 'p', linkname: 'q' }, { ...loop, path: 'q', linkname: 'p' }, file('config.json', config([layer])), file('manifest.json', manifest(['p']))), 'invalid_argument'],
      ['leaves its root', await tarOf(file('../x', 'x')), 'invalid_argument'],
      ['has a malformed manifest', await tarOf(file('manifest.json', '{"not":"a list"}')), 'invalid_argument'],
      ['is not JSON', await tarOf(file('manifest.json', '[{')), 'invalid_argument'],
      ['has a bad name', await tarOf(file('l.tar', layer), file('config.json', config([layer])), file('manifest.json', manifest(['l.tar'], { RepoTags: ['UPPER:x'] }))), 'invalid_argument'],
      ['has a good image before a bad one', await tarOf(file('l.tar', layer), file('config.json', config([layer])), file('bad.json', '{}'), file('manifest.json', JSON.stringify([...(JSON.parse(manifest(['l.tar'])) as object[]), { Config: 'bad.json', Layers: [] }]))), 'invalid_argument'],
      ['is larger than the tenant may have', await tarOf(file('blob', Buffer.alloc(11_000_000))), 'quota_exceeded'],
    ];
    for (const [what, archive, code] of cases) {
      await expect(archives.load('b', stream(archive)).catch((error: unknown) => Promise.reject(Object.assign(error as Error, { what })))).rejects.toMatchObject({ what, code });
      expect({ what, images: await images.list('b'), blobs: await blobs() }).toEqual({ what, images: [], blobs: before });
    }
  });

  it('reads OCI layouts by their index, for this platform', async () => {
    const id = await made();
    const saved = await bytesOf(archives.save('a', ['team/app:v1']));
    const entries: TarEntryInput[] = [];
    for await (const entry of readTar(stream(saved))) {
      if (entry.path === 'manifest.json' || entry.path === 'repositories' || entry.type !== 'file') continue;
      entries.push(file(entry.path, await bytesOf(entry.content)));
    }
    expect(await archives.load('b', stream(await tarOf(...entries)))).toEqual([{ id, tags: ['docker.io/team/app:v1'] }]);
  });
});
