import { execFileSync } from 'node:child_process';
import { mkdir, mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestHex } from '#kernel';
import { realTrees } from '../tree/testing/trees.js';
import { OverlaySnapshotter } from './index.js';
import { describeSnapshotter, streamOf, tarOf } from './snapshots.contract.js';

const trees = realTrees();

describeSnapshotter('OverlaySnapshotter', async () => {
  const root = await mkdtemp(join(tmpdir(), 'snapshots-'));
  const snapshotter = await OverlaySnapshotter.open(root, { trees });
  return {
    snapshotter,
    writableLayer: async (chainId, change) => {
      const [upperDir, workDir, merged] = ['upper', 'work', 'merged'].map((name) => join(root, 'container', name)) as [string, string, string];
      for (const dir of [upperDir, workDir, merged]) await mkdir(dir, { recursive: true });
      const lower = (await snapshotter.layerDirs(chainId)).join(':');
      execFileSync('mount', ['-t', 'overlay', '-o', `lowerdir=${lower},upperdir=${upperDir},workdir=${workDir}`, 'overlay', merged]);
      try {
        await change(merged);
      } finally {
        execFileSync('umount', [merged]);
      }
      return { upperDir, workDir };
    },
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
    const before = await OverlaySnapshotter.open(root, { trees });
    const kept = await before.unpack({ tar: streamOf(await tarOf({ a: '1' })) });
    const half = join(root, 'staging', `1-1-${'0'.repeat(16)}`, 'fs', 'etc');
    await mkdir(half, { recursive: true });
    await writeFile(join(half, 'passwd'), 'half');
    const after = await OverlaySnapshotter.open(root, { trees });
    expect(await readdir(join(root, 'staging'))).toEqual([]);
    expect(await after.list()).toEqual([kept]);
  });

  it('says so when a description does not belong to its layer', async () => {
    const snapshotter = await OverlaySnapshotter.open(root, { trees });
    const { chainId } = await snapshotter.unpack({ tar: streamOf(await tarOf({ a: '1' })) });
    await writeFile(join(root, digestHex(chainId), 'snapshot.json'), JSON.stringify({ diffId: `sha256:${'0'.repeat(64)}` }));
    await expect(snapshotter.layerDirs(chainId)).rejects.toMatchObject({ code: 'internal' });
  });
});
