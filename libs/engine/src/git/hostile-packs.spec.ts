import { createHash } from 'node:crypto';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import { isCodedError, silentLogger } from '#kernel';
import { readTar } from '../tar/index.js';
import { GitObjects } from './drivers/git-objects.js';
import { NO_PLACES, treeEntries } from './drivers/tree-entries.js';
import { Trees } from './drivers/trees.js';
import { HttpGitSource } from './index.js';
import { commitOf, entry, hashOf, packOf, row, serving } from './testing/git-packs.contract.js';

const NEVER = new AbortController().signal;

/** What a server sends that is not Git's. */
describe('packs that are made to harm', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'git-packs-'));
  });
  afterAll(() => rm(root, { recursive: true }));
  afterEach(async () => {
    expect(await readdir(root)).toEqual([]);
  });

  async function paths(commit: string, pack: Buffer, limits = {}): Promise<string[]> {
    const { tar } = await new HttpGitSource({ root, fetcher: serving(() => ({ commit, pack })), logger: silentLogger, limits }).fetch({ url: 'http://x/r.git' }, NEVER);
    const found: string[] = [];
    for await (const { path } of readTar(tar)) found.push(path);
    return found;
  }

  /** A commit of one tree with what it needs. */
  function repository(tree: Buffer, ...more: Buffer[]): [string, Buffer] {
    const commit = commitOf(hashOf('tree', tree));
    return [hashOf('commit', commit), packOf([entry('commit', commit), entry('tree', tree), ...more])];
  }

  const blob = Buffer.from('content');
  const blobHash = hashOf('blob', blob);

  it('read as what they are when they are none', async () => {
    expect(await paths(...repository(row('100644', 'a', blobHash), entry('blob', blob)))).toEqual(['a']);
  });

  it.each(['..', '.', 'a/b', '../../etc/passwd', ''])('may not name a file %j', async (name) => {
    await expect(paths(...repository(row('100644', name, blobHash), entry('blob', blob)))).rejects.toMatchObject({ code: 'protocol_violation' });
  });

  it('end when a tree holds itself a million times over', async () => {
    const trees: Buffer[] = [row('100644', 'a', blobHash)];
    for (let level = 0; level < 12; level += 1) {
      const below = hashOf('tree', trees.at(-1) ?? blob);
      trees.push(Buffer.concat(Array.from({ length: 10 }, (_, name) => row('40000', `d${name}`, below))));
    }
    const top = trees.pop() ?? blob;
    await expect(paths(...repository(top, entry('blob', blob), ...trees.map((tree) => entry('tree', tree))), { objects: 5000 })).rejects.toMatchObject({ code: 'resource_exhausted' });
  }, 60_000);

  it('are not held in memory beyond what they may be, tree below tree', async () => {
    const trees = [row('100644', 'a', blobHash)];
    for (let level = 0; level < 30; level += 1) trees.push(Buffer.concat(Array.from({ length: 300 }, (_, name) => row('40000', `d${name}`, hashOf('tree', trees.at(-1) ?? blob)))));
    const objects = await GitObjects.create(join(root, 'objects'), 1024 ** 3);
    for (const tree of trees) await objects.add('tree', tree.length, [tree]);
    const entries = treeEntries(new Trees(objects, 1000), { tree: hashOf('tree', trees.at(-1) ?? blob), mtimeNs: 0n, places: NO_PLACES });
    const found: string[] = [];
    await expect((async () => {
      for await (const { path } of entries) found.push(path);
    })()).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect(found).toEqual(['d0/', 'd0/d0/', 'd0/d0/d0/']);
    await objects.remove();
  });

  it('end when a few bytes inflate without end', async () => {
    const [commit, pack] = repository(row('100644', 'a', blobHash), entry('blob', Buffer.alloc(64 * 1024 * 1024)));
    await expect(paths(commit, pack, { bytes: 1024 * 1024 })).rejects.toMatchObject({ code: 'resource_exhausted' });
    // It says that it is small.
    await expect(paths(...repository(row('100644', 'a', blobHash), entry('blob', Buffer.alloc(64 * 1024 * 1024), { size: 10 })))).rejects.toMatchObject({ code: 'protocol_violation' });
    await expect(paths(...repository(row('100644', 'a', blobHash), entry('blob', Buffer.alloc(64 * 1024 * 1024), { size: 5 * 1024 * 1024 })))).rejects.toMatchObject({ code: 'protocol_violation' });
  });

  it('are read once for each delta, whatever the order of their bases', async () => {
    const delta = (base: Buffer, added: string): Buffer => Buffer.concat([Buffer.from([base.length % 128 | 0x80, base.length >> 7, (base.length + added.length) % 128 | 0x80, (base.length + added.length) >> 7, 0xb0, base.length & 255, base.length >> 8, added.length]), Buffer.from(added)]);
    let content = Buffer.from('base of all');
    const deltas: Buffer[] = [];
    for (let number = 0; number < 2000; number += 1) {
      const base = content;
      content = Buffer.concat([base, Buffer.from('x')]);
      deltas.unshift(entry('named', delta(base, 'x'), { base: hashOf('blob', base) }));
    }
    const [commit, pack] = repository(row('100644', 'a', hashOf('blob', content)), ...deltas, entry('blob', Buffer.from('base of all')));
    expect(await paths(commit, pack)).toEqual(['a']);
    await expect(paths(...repository(row('100644', 'a', blobHash), ...deltas))).rejects.toMatchObject({ code: 'protocol_violation', message: expect.stringContaining('without its base') as string });
  }, 60_000);

  it('fail in one of the known ways, wherever they are damaged', async () => {
    const [commit, pack] = repository(Buffer.concat([row('100644', 'a', blobHash), row('40000', 'd', hashOf('tree', Buffer.alloc(0)))]), entry('blob', blob), entry('tree', Buffer.alloc(0)));
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(pack.length - 21), fc.nat(255)), { minLength: 1, maxLength: 4 }), fc.nat(pack.length - 32), async (changes, cut) => {
        const damaged = Buffer.from(pack.subarray(0, pack.length - 20));
        for (const [at, value] of changes) damaged[at] = value;
        const body = cut % 3 === 0 ? damaged.subarray(0, 12 + cut) : damaged;
        try {
          await paths(commit, Buffer.concat([body, createHash('sha1').update(body).digest()]));
        } catch (error) {
          expect(isCodedError(error) && ['protocol_violation', 'resource_exhausted'].includes(error.code)).toBe(true);
        }
      }),
      { numRuns: 200 },
    );
  }, 60_000);
});
