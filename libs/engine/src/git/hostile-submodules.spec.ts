import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '#kernel';
import { readTar } from '../tar/index.js';
import { HttpGitSource } from './index.js';
import { commitOf, entry, hashOf, packOf, row, serving } from './testing/git-packs.contract.js';

const NEVER = new AbortController().signal;

/** What trees and `.gitmodules` say that is not meant well: CVE-2018-11235, CVE-2018-17456, CVE-2024-32002 and their like. */
describe('submodules that are made to harm', () => {
  let root: string;
  beforeAll(async () => {
    root = await mkdtemp(join(tmpdir(), 'git-submodules-'));
  });
  afterAll(() => rm(root, { recursive: true }));
  afterEach(async () => {
    expect(await readdir(root)).toEqual([]);
  });

  const blob = Buffer.from('content');
  const blobHash = hashOf('blob', blob);

  interface Made {
    readonly commit: string;
    readonly pack: Buffer;
  }

  /** A commit whose root has these rows, with a `.gitmodules`. */
  function repository(rows: readonly Buffer[], modules = '', trees: readonly Buffer[] = []): Made {
    const text = Buffer.from(modules);
    const tree = Buffer.concat([...(modules === '' ? [] : [row('100644', '.gitmodules', hashOf('blob', text))]), ...rows]);
    const commit = commitOf(hashOf('tree', tree));
    return { commit: hashOf('commit', commit), pack: packOf([entry('commit', commit), entry('tree', tree), entry('blob', text), entry('blob', blob), ...trees.map((each) => entry('tree', each))]) };
  }

  const module = (name: string, path = name): string => `[submodule "${name}"]\npath = ${path}\nurl = ./sub.git\n`;
  const sub = repository([row('100644', 'a', blobHash)]);

  async function paths(main: Made, others: readonly Made[] = [sub], limits = {}): Promise<{ readonly found: string[]; readonly asked: number }> {
    const made = new Map([main, ...others].map((each) => [each.commit, each]));
    let asked = 0;
    const fetcher = serving((wanted) => {
      if (wanted !== undefined) asked += 1;
      return made.get(wanted ?? main.commit) ?? main;
    });
    const { tar } = await new HttpGitSource({ root, fetcher, logger: silentLogger, limits }).fetch({ url: 'http://x/r.git' }, NEVER);
    const found: string[] = [];
    for await (const { path } of readTar(tar)) found.push(path);
    return { found, asked };
  }

  it('are read as what they are when they are none', async () => {
    expect((await paths(repository([row('160000', 'sub', sub.commit)], module('sub')))).found).toEqual(['.gitmodules', 'sub/', 'sub/a']);
  });

  it.each(['../../x', '/etc/x', '-u./payload', '..', '.git/modules/x', '\\\\x', '$(id)'])('have names that name nothing: %s', async (name) => {
    expect((await paths(repository([row('160000', 'sub', sub.commit)], module(name, 'sub')))).found).toEqual(['.gitmodules', 'sub/', 'sub/a']);
  });

  it.each(['../sub', '/sub', './sub', 'sub/', 'sub/../sub', 'x/../sub', '', '.git/modules/sub', 'link/sub'])('stand where the tree has them, not where a path leads: %s', async (path) => {
    const { found, asked } = await paths(repository([row('120000', 'link', blobHash), row('160000', 'sub', sub.commit)], module('x', path)));
    expect([found, asked]).toEqual([['.gitmodules', 'link', 'sub/'], 1]);
  });

  it('may begin with a dash', async () => {
    expect((await paths(repository([row('160000', '--upload-pack=id', sub.commit)], module('x', '--upload-pack=id')))).found).toEqual(['.gitmodules', '--upload-pack=id/', '--upload-pack=id/a']);
  });

  it.each(['.git', '.GIT', '.giT', '..', '.', 'a/b'])('may not be %j, nor lie in it', async (name) => {
    const inside = row('160000', 'sub', sub.commit);
    await expect(paths(repository([row('160000', name, sub.commit)], module(name)))).rejects.toMatchObject({ code: 'protocol_violation' });
    await expect(paths(repository([row('40000', name, hashOf('tree', inside))], module(`${name}/sub`), [inside]))).rejects.toMatchObject({ code: 'protocol_violation' });
    await expect(paths(repository([row('40000', name, hashOf('tree', inside))], '', [inside]))).rejects.toMatchObject({ code: 'protocol_violation' });
  });

  it('may stand beside a link of the same name, and are not written through it', async () => {
    const { found } = await paths(repository([row('120000', 'A', blobHash), row('160000', 'a', sub.commit)], module('a')));
    expect(found).toEqual(['.gitmodules', 'A', 'a/', 'a/a']);
  });

  it('are of one commit, whatever else is sent for it', async () => {
    const other = repository([row('100644', 'b', blobHash)]);
    await expect(paths(repository([row('160000', 'sub', sub.commit)], module('sub')), [{ commit: sub.commit, pack: other.pack }])).rejects.toMatchObject({ code: 'protocol_violation', message: `submodule "sub": the Git server has not sent the commit ${sub.commit}` });
  });

  it('end when they are more than a thousand, though each is named once', async () => {
    const names = Array.from({ length: 40 }, (_, number) => `s${number}`);
    const middle = repository(names.map((name) => row('160000', name, sub.commit)), names.map((name) => module(name)).join(''));
    const top = repository(names.map((name) => row('160000', name, middle.commit)), names.map((name) => module(name)).join(''));
    await expect(paths(top, [middle, sub])).rejects.toMatchObject({ code: 'resource_exhausted', message: expect.stringMatching(/^submodule "s24": submodule "s15": more than 1000 submodules$/) as string });
    const { found, asked } = await paths(middle);
    expect([found.length, asked]).toEqual([81, 2]);
  });

  it('end when they are small and many files large', async () => {
    const wide = repository(Array.from({ length: 400 }, (_, number) => row('100644', `f${number}`, blobHash)));
    const names = ['a', 'b', 'c'];
    const main = repository(names.map((name) => row('160000', name, wide.commit)), names.map((name) => module(name)).join(''));
    await expect(paths(main, [wide], { objects: 1000 })).rejects.toMatchObject({ code: 'resource_exhausted', message: expect.stringContaining('more than 1000 files and folders') as string });
  });

  it('end when folders upon folders are said to hold them', async () => {
    // One tree in each of its own places: 2^40 of them, and paths into a few.
    const trees: Buffer[] = [row('160000', 'x', sub.commit)];
    for (let level = 0; level < 40; level += 1) trees.push(Buffer.concat(['l', 'r'].map((name) => row('40000', name, hashOf('tree', trees.at(-1) ?? blob)))));
    const top = trees.pop() ?? blob;
    const turns = Array.from({ length: 60 }, (_, number) => number.toString(2).padStart(40, '0').replaceAll('0', 'l/').replaceAll('1', 'r/'));
    const modules = turns.map((path, number) => `[submodule "${number}"]\npath = ${path}x\nurl = ./sub.git\n`).join('');
    const rows = ['l', 'r'].map((name) => row('40000', name, hashOf('tree', trees.at(-1) ?? blob)));
    expect(Buffer.concat(rows).equals(top)).toBe(true);
    await expect(paths(repository(rows, modules, trees), [sub], { objects: 5000 })).rejects.toMatchObject({ code: 'resource_exhausted', message: expect.stringContaining('more than 5000 files and folders') as string });
  });

  it('take no memory for paths that are nowhere', async () => {
    const names = Array.from({ length: 40 }, (_, number) => `s${number}`);
    const endless = `[submodule "x"]\npath = ${'a/'.repeat(120_000)}x\nurl = ./sub.git\n`;
    const middle = repository(names.map((name) => row('160000', name, sub.commit)), names.map((name) => module(name)).join('') + endless);
    expect((await paths(middle, [repository([row('100644', 'a', blobHash)], endless), sub])).found).toHaveLength(81);
  });
});
