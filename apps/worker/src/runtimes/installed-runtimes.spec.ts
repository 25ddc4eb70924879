import { mkdtemp, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { digestOf } from '#kernel';
import { withInstallLock } from './install-lock.js';
import { readInstalledRuntimes, writeInstalledRuntimes } from './installed-runtimes.js';

describe('the record of installed runtimes', () => {
  let folder: string;
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'installed-'));
  });
  afterEach(() => rm(folder, { recursive: true }));

  it('is empty at first, and gives back what was written', async () => {
    expect(await readInstalledRuntimes(folder)).toEqual([]);
    const runtime = { name: 'python', definition: digestOf('d'), base: digestOf('b'), image: digestOf('i'), chainId: digestOf('c'), layers: [digestOf('l'), digestOf('c')], version: 'Python 3' };
    await writeInstalledRuntimes(folder, [runtime]);
    expect(await readInstalledRuntimes(folder)).toEqual([runtime]);
    expect(await readdir(folder)).toEqual(['runtimes.json']);
  });

  it('is empty when an older version has written it: its root file systems were made in another way', async () => {
    await writeFile(join(folder, 'runtimes.json'), '{"version":1,"runtimes":[{"name":"bash"}]}');
    expect(await readInstalledRuntimes(folder)).toEqual([]);
  });

  it.each(['', '{"version":3,"runtimes":[]}', '{"version":2,"runtimes":[{"name":"x"}]}'])('says that %j is damaged', async (text) => {
    await writeFile(join(folder, 'runtimes.json'), text);
    await expect(readInstalledRuntimes(folder)).rejects.toMatchObject({ code: 'failed_precondition' });
    expect(await readFile(join(folder, 'runtimes.json'), 'utf8')).toBe(text);
  });

  it('is made by one installer at a time', async () => {
    const signal = new AbortController().signal;
    const order: string[] = [];
    let waited = 0;
    const install = (name: string) =>
      withInstallLock(folder, signal, () => (waited += 1), async () => {
        order.push(`${name} begins`);
        await new Promise((resolve) => setTimeout(resolve, 50));
        order.push(`${name} ends`);
      });
    await Promise.all([install('one'), install('two')]);
    expect(waited).toBe(1);
    expect(order.filter((_entry, index) => index % 2 === 0)).toEqual([expect.stringMatching('begins'), expect.stringMatching('begins')]);
    const impatient = () => withInstallLock(join(folder, '.'), AbortSignal.abort(), () => undefined, () => Promise.resolve());
    await expect(withInstallLock(folder, signal, () => undefined, impatient)).rejects.toMatchObject({ code: 'cancelled' });
  });
});
