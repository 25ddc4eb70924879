import { execFileSync } from 'node:child_process';
import { mkdtemp, readdir, rmdir, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '#kernel';
import { FsContentStore } from './index.js';

describe('FsContentStore on a full disk', () => {
  let root: string;
  let store: FsContentStore;
  const big = Buffer.alloc(3 * 1024 * 1024, 1);

  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'content-full-'));
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=2m', 'tmpfs', root]);
    store = await FsContentStore.open(root);
  });
  afterEach(async () => {
    execFileSync('umount', [root]);
    await rmdir(root);
  });

  async function partials(): Promise<Record<string, number>> {
    const names = await readdir(join(root, 'partial'));
    return Object.fromEntries(await Promise.all(names.map(async (name) => [`sha256:${name}`, (await stat(join(root, 'partial', name))).size] as const)));
  }

  it('gives back what a download took, and what nobody was coming for', async () => {
    const [abandoned, pinned] = await Promise.all([store.ingest(digestOf('abandoned')), store.ingest(digestOf('pinned'))]);
    for (const ingest of [abandoned, pinned]) {
      await ingest.write(big.subarray(0, 500_000));
      await ingest.close();
    }
    const pin = await store.pin([digestOf('pinned'), digestOf(big)]);
    const ingest = await store.ingest(digestOf(big), big.length);
    await expect(ingest.write(big)).rejects.toMatchObject({ code: 'resource_exhausted', message: 'no space left on device' });
    expect(ingest.offset).toBe(0);
    expect(await partials()).toEqual({ [digestOf('pinned')]: 500_000, [digestOf(big)]: 0 });
    await ingest.close();
    pin.release();
  });

  it('keeps nothing of a blob that did not fit', async () => {
    await expect(
      store.write(
        (async function* () {
          await Promise.resolve();
          yield big;
        })(),
      ),
    ).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect(await readdir(join(root, 'staging'))).toEqual([]);
    const small = await store.ingest(digestOf('small'));
    await small.write(Buffer.from('small'));
    await small.commit();
    expect((await store.read(digestOf('small'))).toString()).toBe('small');
  });
});
