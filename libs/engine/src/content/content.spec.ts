import { spawnSync } from 'node:child_process';
import { mkdtemp, readFile, readdir, rm, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestHex, digestOf } from '#kernel';
import { describeContentStore } from './content.contract.js';
import { FsContentStore } from './index.js';

describeContentStore('FsContentStore', async () => {
  const root = await mkdtemp(join(tmpdir(), 'content-'));
  return {
    store: await FsContentStore.open(root),
    damage: (digest, bytes) => writeFile(join(root, 'blobs', 'sha256', digestHex(digest)), bytes),
    countUnfinished: async () => (await readdir(join(root, 'staging'))).length + (await readdir(join(root, 'partial'))).length,
    age: async () => {
      const dayAgo = Date.now() / 1000 - 86_400;
      for (const folder of ['partial', 'arrived']) for (const name of await readdir(join(root, folder))) await utimes(join(root, folder, name), dayAgo, dayAgo);
    },
    reopen: () => FsContentStore.open(root),
    cleanup: () => rm(root, { recursive: true, force: true }),
  };
});

describe('FsContentStore after a crash', () => {
  let root: string;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'content-'));
  });
  afterEach(() => rm(root, { recursive: true, force: true }));

  it('sweeps what a dead writer left, and spares a living one', async () => {
    await FsContentStore.open(root);
    const staging = join(root, 'staging');
    const dead = String(spawnSync('true').pid);
    const stat = await readFile(`/proc/${process.pid}/stat`, 'utf8');
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[19]!;
    const living = `${process.pid}-${start}-0123456789abcdef`;
    await writeFile(join(staging, `${dead}-1-0123456789abcdef`), 'half');
    await writeFile(join(staging, `${process.pid}-1-0123456789abcdef`), 'a reused pid');
    await writeFile(join(staging, 'stray'), 'unknown');
    await writeFile(join(staging, living), 'in the making');
    await FsContentStore.open(root);
    expect(await readdir(staging)).toEqual([living]);
  });

  it('shows no blob that was not renamed, and all that were', async () => {
    const before = await FsContentStore.open(root);
    const { digest } = await before.write(
      (async function* () {
        await Promise.resolve();
        yield Buffer.from('kept');
      })(),
    );
    await writeFile(join(root, 'staging', `1-1-${'0'.repeat(16)}`), 'lost');
    const after = await FsContentStore.open(root);
    expect((await after.read(digest)).toString()).toBe('kept');
    expect(await after.stat(digestOf('lost'))).toBeUndefined();
  });
});
