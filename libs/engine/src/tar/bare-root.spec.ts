import { withoutBareRoot, type TarEntryInput } from './index.js';

const root = (more: Partial<TarEntryInput> = {}): TarEntryInput => ({ path: './', type: 'directory', mode: 0o755, uid: 0, gid: 0, mtimeNs: 7n, ...more });
const file: TarEntryInput = { path: 'f', type: 'file', mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n };

async function kept(...entries: TarEntryInput[]): Promise<TarEntryInput[]> {
  const found: TarEntryInput[] = [];
  for await (const entry of withoutBareRoot(stream(entries))) found.push(entry);
  return found;
}

async function* stream(entries: TarEntryInput[]): AsyncGenerator<TarEntryInput> {
  await Promise.resolve();
  yield* entries;
}

describe('a layer without changes', () => {
  it('has no entries, not even its root', async () => {
    expect(await kept()).toEqual([]);
    expect(await kept(root())).toEqual([]);
    expect(await kept(root({ xattrs: new Map() }))).toEqual([]);
  });

  it('is none whose root says anything', async () => {
    for (const change of [{ mode: 0o711 }, { uid: 1 }, { gid: 1 }, { xattrs: new Map([['user.a', Buffer.from('b')]]) }, { path: 'd/' }, { type: 'symlink' as const }]) {
      expect(await kept(root(change))).toEqual([root(change)]);
    }
  });

  it('is none where anything stands beside the root, before or behind', async () => {
    expect(await kept(root(), file)).toEqual([root(), file]);
    expect(await kept(file, root())).toEqual([file, root()]);
    expect(await kept(root(), root())).toEqual([root(), root()]);
  });
});
