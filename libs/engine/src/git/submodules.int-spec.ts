import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { silentLogger } from '#kernel';
import { UrlFetcher } from '../registry-client/index.js';
import { readTar } from '../tar/index.js';
import { HttpGitSource } from './index.js';
import { GitServer, type GitRepository } from './testing/git-server.contract.js';

const NEVER = new AbortController().signal;

/** `repo.git` has `libs/one` (group/one.git, by a relative address) and `far` (on another server); `one` has `deep` (group/deep.git). */
describe('submodules', () => {
  let server: GitServer;
  let elsewhere: GitServer;
  let root: string;
  let one: GitRepository;
  let deep: GitRepository;
  let commits: { readonly one: string; readonly deep: string; readonly far: string; readonly main: string };

  beforeAll(async () => {
    [server, elsewhere] = await Promise.all([GitServer.start(), GitServer.start()]);
    root = await mkdtemp(join(tmpdir(), 'submodules-'));
    await open().recover();
    [one, deep] = await Promise.all([server.repository('group/one.git'), server.repository('group/deep.git')]);
    await writeFile(join(deep.work, 'in-deep'), 'deep');
    const deepCommit = deep.commit();
    await mkdir(join(one.work, 'src'));
    await writeFile(join(one.work, 'src/in-one'), 'one');
    for (const each of [one, elsewhere]) await writeFile(join(each.work, 'large'), randomBytes(20_000));
    const oneCommit = await one.commitLinks([{ path: 'deep', url: '../deep.git/', commit: deepCommit }]);
    await writeFile(join(elsewhere.work, 'in-far'), 'far');
    const farCommit = elsewhere.commit();
    // What is asked for is no longer what its branch is.
    await writeFile(join(deep.work, 'in-deep'), 'later');
    deep.commit();
    await writeFile(join(server.work, 'in-main'), 'main');
    await mkdir(join(server.work, 'docs'));
    await writeFile(join(server.work, 'docs/text'), 'text');
    commits = { one: oneCommit, deep: deepCommit, far: farCommit, main: await server.commitLinks([{ path: 'libs/one', url: './../group/one.git', commit: oneCommit }, { path: 'far', url: elsewhere.url, commit: farCommit }]) };
  }, 60_000);
  afterAll(async () => {
    await Promise.all([server.stop(), elsewhere.stop()]);
    await rm(root, { recursive: true });
  });
  beforeEach(() => {
    server.seen.length = 0;
    elsewhere.seen.length = 0;
  });
  afterEach(async () => {
    server.password = undefined;
    server.run('checkout', '-q', '-f', commits.main);
    server.run('clean', '-ffdqx');
    expect(await readdir(root)).toEqual([]);
  });

  const open = (limits = {}, insecure = [server.host, elsewhere.host]): HttpGitSource => new HttpGitSource({ root, fetcher: new UrlFetcher({ insecure, mirrors: [], privateHosts: [] }), logger: silentLogger, limits });

  async function filesAt(url: string, from = open()): Promise<Record<string, string>> {
    const files: Record<string, string> = {};
    for await (const { path, type, content } of readTar((await from.fetch({ url }, NEVER)).tar)) {
      const pieces: Buffer[] = [];
      for await (const piece of content) pieces.push(Buffer.from(piece));
      if (type === 'file') files[path] = Buffer.concat(pieces).toString('latin1');
      else files[path] = type;
    }
    return files;
  }

  const at = (commit: string): string => `${server.url}#${commit}`;
  /** Of packs. */
  const fetches = (git: GitServer): string[] => git.seen.filter(({ path }) => path.endsWith('/git-upload-pack')).map(({ path }) => path.slice(1, -'/git-upload-pack'.length));

  it('come with what they are made of, as by Git', async () => {
    const files = await filesAt(at(commits.main));
    expect(files).toMatchObject({ 'in-main': 'main', 'libs/one/src/in-one': 'one', 'libs/one/deep/in-deep': 'deep', 'far/in-far': 'far' });
    const clone = await mkdtemp(join(tmpdir(), 'submodules-clone-'));
    const git = (...args: string[]) => promisify(execFile)('git', args, { cwd: clone, env: { ...process.env, HOME: clone, GIT_CONFIG_NOSYSTEM: '1' } });
    await git('init', '-q', '.');
    await git('remote', 'add', 'origin', server.url);
    await git('fetch', '-q', '--depth=1', 'origin', commits.main);
    await git('checkout', '-q', commits.main);
    await git('submodule', 'update', '-q', '--init', '--recursive', '--depth', '1');
    const theirs = (await readdir(clone, { recursive: true, withFileTypes: true })).filter((each) => each.isFile() && !`${each.parentPath}/${each.name}`.includes('/.git/') && each.name !== '.git').map(({ parentPath, name }) => join(parentPath, name));
    expect(Object.fromEntries(await Promise.all(theirs.map(async (path) => [path.slice(clone.length + 1), await readFile(path, 'latin1')])))).toEqual(Object.fromEntries(Object.entries(files).filter(([path]) => !path.endsWith('/'))));
    await rm(clone, { recursive: true });
  }, 60_000);

  it.each([
    ['docs', ['text'], [], []],
    ['libs', ['one/', 'one/.gitmodules', 'one/deep/', 'one/deep/in-deep', 'one/large', 'one/src/', 'one/src/in-one'], ['group/one.git', 'group/deep.git'], []],
    ['libs/one/src', ['in-one'], ['group/one.git'], []],
    ['libs/one/deep', ['in-deep'], ['group/one.git', 'group/deep.git'], []],
    ['far', ['in-far', 'large'], [], ['repo.git']],
  ])('are asked for within a folder alone, and a folder may lie in one: %s', async (folder, paths, here, there) => {
    expect(Object.keys(await filesAt(`${at(commits.main)}:${folder}`))).toEqual(paths);
    expect([fetches(server), fetches(elsewhere)]).toEqual([['repo.git', ...here], there]);
  });

  it('are fetched once, wherever they stand', async () => {
    const links = ['a', 'b/c', 'b/d'].map((path) => ({ path, url: one.url, commit: commits.one }));
    const files = await filesAt(at(await server.commitLinks(links)));
    expect(Object.keys(files).filter((path) => path.endsWith('in-deep'))).toEqual(['a/deep/in-deep', 'b/c/deep/in-deep', 'b/d/deep/in-deep']);
    expect(fetches(server)).toEqual(['repo.git', 'group/one.git', 'group/deep.git']);
  });

  it('stay empty when nothing says where they are, or it says that they shall', async () => {
    const links = ['a', 'b', 'c', 'd/e'].map((path) => ({ path, url: '', commit: commits.one }));
    const modules = `[submodule "b"]\npath=b\nurl=${one.url}\nupdate=none\n[submodule "c"]\npath=./c\nurl=${one.url}\n[submodule "gone"]\npath=docs\nurl=/nowhere\n[submodule "gone/too"]\npath=docs/text/x\nurl=/nowhere\n`;
    const files = await filesAt(at(await server.commitLinks(links, modules)));
    expect(Object.keys(files).filter((path) => /^[a-d]\//.test(path))).toEqual(['a/', 'b/', 'c/', 'd/', 'd/e/']);
    expect(fetches(server)).toEqual(['repo.git']);
    await expect(filesAt(`${at(server.run('rev-parse', 'HEAD'))}:a/b`)).rejects.toMatchObject({ code: 'not_found', message: 'the repository has no folder "a/b"' });
  });

  it.each([
    ['../group/none.git', 'not_found', 'received unexpected HTTP status: 404'],
    ['../../one.git', 'invalid_argument', 'leaves 127.0.0.1'],
    ['group/one.git', 'invalid_argument', 'invalid Git address'],
    ['//example.org/one.git', 'invalid_argument', 'invalid Git address'],
    ['file:///etc', 'invalid_argument', 'invalid Git address'],
    ['/etc', 'invalid_argument', 'invalid Git address'],
    ['ext::sh -c id', 'invalid_argument', 'invalid Git address'],
    ['-u./payload', 'invalid_argument', 'invalid Git address'],
    ['git@example.org:one', 'unsupported', 'Git over SSH is not supported'],
    ['ssh://-oProxyCommand=id/x', 'unsupported', 'Git over SSH is not supported'],
    ['git://example.org/one', 'unsupported', 'git:// protocol is not supported'],
    ['http://169.254.169.254/one.git', 'permission_denied', 'the address is not a public one'],
    ['http://localhost/one.git', 'permission_denied', 'the address is not a public one'],
  ])('are named when they are not to be had: %s', async (url, code, message) => {
    const commit = await server.commitLinks([{ path: 'libs/it', url, commit: commits.one }]);
    const failure = await filesAt(at(commit)).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code, message: expect.stringMatching(/^submodule "libs\/it": /) as string });
    expect(String(failure)).toContain(message);
  });

  it('are named with all that they lie in, when their commit is gone', async () => {
    const middle = await one.commitLinks([{ path: 'x', url: '../deep.git', commit: '1'.repeat(40) }]);
    await expect(filesAt(at(await server.commitLinks([{ path: 'a', url: one.url, commit: middle }])))).rejects.toMatchObject({ code: 'not_found', message: expect.stringMatching(/^submodule "a": submodule "x": .*\/group\/deep\.git: .*not our ref 1{40}/) as string });
  });

  it.each([
    ['[submodule "a"]\npath = a\nurl = "x\n', 'invalid_argument', '.gitmodules: bad config line 3'],
    ['[submodule "a"]\npath = a\nurl\n', 'invalid_argument', '.gitmodules: submodule "a" has no value for url'],
    ['[submodule "a"]\npath = a\n', 'invalid_argument', 'submodule "a": no url in .gitmodules'],
    ['#'.repeat(300 * 1024), 'resource_exhausted', '.gitmodules is larger than 262144 bytes'],
    [Array.from({ length: 1001 }, (_, number) => `[submodule "${number}"]\npath=${number}\n`).join(''), 'resource_exhausted', '.gitmodules: more than 1000 submodules'],
  ])('end with what is wrong with the file that names them (%#)', async (modules, code, message) => {
    await expect(filesAt(at(await server.commitLinks([{ path: 'a', url: '', commit: commits.one }], modules)))).rejects.toMatchObject({ code, message });
  });

  it('are not looked for behind a link', async () => {
    await rm(join(server.work, '.gitmodules'));
    await symlink('docs/text', join(server.work, '.gitmodules'));
    await expect(filesAt(at(server.commit()))).rejects.toMatchObject({ code: 'invalid_argument', message: '.gitmodules is no file' });
  });

  it('are opened by the password of what they lie in on the same origin alone', async () => {
    const back = await elsewhere.commitLinks([{ path: 'back', url: one.url, commit: commits.one }]);
    const main = await server.commitLinks([{ path: 'a', url: '../group/one.git', commit: commits.one }, { path: 'far', url: elsewhere.url, commit: back }]);
    server.password = 'anna:open sesame';
    const opened = at(main).replace('://', '://anna:open%20sesame@');
    // What another server says of ours is not asked for with our password.
    await expect(filesAt(opened)).rejects.toMatchObject({ code: 'unauthenticated', message: expect.stringMatching(/^submodule "far": submodule "back": /) as string });
    const sent = (git: GitServer, name: string) => [...new Set(git.seen.filter(({ path }) => path.startsWith(`/${name}/`)).map(({ authorization }) => authorization))];
    const ours = `Basic ${Buffer.from(server.password).toString('base64')}`;
    expect(sent(elsewhere, 'repo.git')).toEqual([undefined]);
    expect([sent(server, 'repo.git'), sent(server, 'group/deep.git'), sent(server, 'group/one.git')]).toEqual([[ours], [ours], [ours, undefined]]);
  });

  it('have the password of their own address', async () => {
    server.password = 'anna:open sesame';
    const far = await elsewhere.commitLinks([{ path: 'ours', url: one.url.replace('://', '://anna:open%20sesame@'), commit: commits.one }]);
    expect(await filesAt(`${elsewhere.url}#${far}`)).toMatchObject({ 'ours/deep/in-deep': 'deep' });
    const main = await server.commitLinks([{ path: 'a', url: one.url.replace('://', '://anna:wrong@'), commit: commits.one }]);
    const failure = await filesAt(at(main).replace('://', '://anna:open%20sesame@')).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'unauthenticated', message: expect.stringMatching(/^submodule "a": /) as string });
    expect(String(failure)).not.toContain('wrong');
  });

  it('stay together within the limits of one', async () => {
    const whole = at(commits.main);
    for (const limits of [{ objects: 14 }, { bytes: 30_000 }, { packBytes: 30_000 }]) {
      await expect(filesAt(whole, open(limits))).rejects.toMatchObject({ code: 'resource_exhausted', message: expect.stringMatching(/^submodule "libs\/one": /) as string });
      for (const folder of ['far', 'libs/one/src', 'docs']) await filesAt(`${whole}:${folder}`, open(limits));
    }
    await expect(filesAt(whole, open({ timeMs: 1 }))).rejects.toMatchObject({ code: 'deadline_exceeded' });
  });

  it('end where a repository goes round in its own history', async () => {
    const chain = await server.repository('chain.git');
    let commit = chain.commit();
    for (let depth = 1; depth <= 11; depth += 1) {
      if (depth === 11) expect((await filesAt(`${chain.url}#${commit}`))['below/'.repeat(10)]).toBe('directory');
      commit = await chain.commitLinks([{ path: 'below', url: '../chain.git', commit }]);
    }
    const failure = await filesAt(`${chain.url}#${commit}`).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'resource_exhausted', message: expect.stringMatching(/^(?:submodule "below": ){11}submodules are nested more than 10 deep$/) as string });
  }, 60_000);

  it('are left when what waits for them is', async () => {
    const leaving = new AbortController();
    elsewhere.password = 'x';
    const fetching = open().fetch({ url: at(commits.main) }, leaving.signal);
    leaving.abort();
    await expect(fetching).rejects.toMatchObject({ code: 'cancelled' });
    elsewhere.password = undefined;
  });
});
