import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestHex } from '#kernel';
import { OverlaySnapshotter } from './index.js';
import { describeSnapshotter, streamOf, tarOf } from './snapshots.contract.js';

describeSnapshotter('OverlaySnapshotter', async () => {
  const root = await mkdtemp(join(tmpdir(), 'snapshots-'));
  return {
    snapshotter: await OverlaySnapshotter.open(root),
    countUnfinished: async () => (await readdir(join(root, 'staging'))).length,
    cleanup: () => rm(root, { recursive: true, force: true }),
  };
});

describe('OverlaySnapshotter after a crash', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'snapshots-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it('sweeps a layer that was never renamed and finds the others', async () => {
    const before = await OverlaySnapshotter.open(root);
    const kept = await before.unpack({ tar: streamOf(await tarOf({ a: '1' })) });
    const half = join(root, 'staging', `1-1-${'0'.repeat(16)}`, 'fs', 'etc');
    await mkdir(half, { recursive: true });
    await writeFile(join(half, 'passwd'), 'half');
    const after = await OverlaySnapshotter.open(root);
    expect(await readdir(join(root, 'staging'))).toEqual([]);
    expect(await after.list()).toEqual([kept]);
  });

  it('says so when a description does not belong to its layer', async () => {
    const snapshotter = await OverlaySnapshotter.open(root);
    const { chainId } = await snapshotter.unpack({ tar: streamOf(await tarOf({ a: '1' })) });
    await writeFile(join(root, digestHex(chainId), 'snapshot.json'), JSON.stringify({ diffId: `sha256:${'0'.repeat(64)}` }));
    await expect(snapshotter.layerDirs(chainId)).rejects.toMatchObject({ code: 'internal' });
  });
});
