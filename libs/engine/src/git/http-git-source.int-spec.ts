import { randomBytes } from 'node:crypto';
import { chmod, mkdir, mkdtemp, readdir, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '#kernel';
import { UrlFetcher } from '../registry-client/index.js';
import { readTar } from '../tar/index.js';
import { HttpGitSource, type GitFetch } from './index.js';
import { GitServer } from './testing/git-server.contract.js';

const NEVER = new AbortController().signal;

describe('repositories over HTTP', () => {
  let server: GitServer;
  let root: string;
  let source: HttpGitSource;

  beforeAll(async () => {
    server = await GitServer.start();
    root = await mkdtemp(join(tmpdir(), 'git-source-'));
    source = open();
    await source.recover();
  });
  afterAll(async () => {
    await server.stop();
    await rm(root, { recursive: true });
  });
  afterEach(async () => {
    server.password = undefined;
    expect(await readdir(root)).toEqual([]);
  });

  const open = (limits = {}, insecure: readonly string[] = [server.host]): HttpGitSource => new HttpGitSource({ root, fetcher: new UrlFetcher({ insecure, mirrors: [], privateHosts: [] }), logger: silentLogger, limits });

  async function fetched(request: Omit<GitFetch, 'url'> & { readonly url?: string } = {}, from = source): Promise<{ readonly commit: string; readonly files: ReadonlyMap<string, string> }> {
    const { commit, tar } = await from.fetch({ url: server.url, ...request }, NEVER);
    const files = new Map<string, string>();
    for await (const { path, type, mode, linkname, content } of readTar(tar)) {
      const pieces: Buffer[] = [];
      for await (const piece of content) pieces.push(Buffer.from(piece));
      files.set(path, `${type} ${mode.toString(8)} ${linkname}${Buffer.concat(pieces).toString('latin1')}`);
    }
    return { commit, files };
  }

  it('come as their files, their modes and their links, at HEAD, a branch, a tag, a commit', async () => {
    await mkdir(join(server.work, 'sub/deep'), { recursive: true });
    await writeFile(join(server.work, 'file'), 'one\n');
    await writeFile(join(server.work, 'sub/deep/program'), '#!/bin/sh\n');
    await chmod(join(server.work, 'sub/deep/program'), 0o700);
    await symlink('../../etc/passwd', join(server.work, 'link'));
    const first = server.commit();
    server.run('tag', '-a', 'v1', '-m', 'first');
    server.run('branch', 'side');
    await writeFile(join(server.work, 'file'), 'two\n');
    const second = server.commit();
    const whole = await fetched();
    expect(whole.commit).toBe(second);
    expect(Object.fromEntries(whole.files)).toEqual({ file: 'file 644 two\n', link: 'symlink 777 ../../etc/passwd', 'sub/': 'directory 755 ', 'sub/deep/': 'directory 755 ', 'sub/deep/program': 'file 755 #!/bin/sh\n' });
    for (const ref of ['v1', 'side', 'refs/heads/side', first]) expect((await fetched({ ref })).files.get('file')).toBe('file 644 one\n');
    expect([...(await fetched({ url: `${server.url}#side:sub` })).files.keys()]).toEqual(['deep/', 'deep/program']);
  });

  it('come whole when their objects are large, many, and said by what others are', async () => {
    const large = randomBytes(9 * 1024 * 1024).toString('latin1');
    const text = Array.from({ length: 40_000 }, (_, line) => `line ${line} ${(line * 7919) % 1000}\n`).join('');
    await mkdir(join(server.work, 'many'));
    await writeFile(join(server.work, 'large'), large, 'latin1');
    await writeFile(join(server.work, 'larger'), `${large}${large.slice(0, 1000)}`, 'latin1');
    for (let number = 0; number < 300; number += 1) await writeFile(join(server.work, `many/${number}`), `${text.slice(0, 2000 + number)}changed ${number}\n${text.slice(2000 + number, 200_000)}`);
    server.commit();
    server.run('repack', '-q', '-a', '-d', '-f', '--depth=50', '--window=20');
    const { files } = await fetched();
    expect([files.get('large')?.length, files.get('large') === `file 644 ${large}`, files.get('larger') === `file 644 ${large}${large.slice(0, 1000)}`]).toEqual([large.length + 'file 644 '.length, true, true]);
    expect([0, 7, 299].map((number) => files.get(`many/${number}`) === `file 644 ${text.slice(0, 2000 + number)}changed ${number}\n${text.slice(2000 + number, 200_000)}`)).toEqual([true, true, true]);
  }, 60_000);

  it.each([
    [{ ref: 'nowhere' }, 'not_found', "couldn't find remote ref nowhere"],
    [{ ref: '0'.repeat(40) }, 'not_found', 'not our ref'],
    [{ ref: '--upload-pack=x' }, 'invalid_argument', 'invalid Git ref'],
    [{ subdir: 'none' }, 'not_found', 'has no folder "none"'],
    [{ subdir: 'file' }, 'not_found', 'has no folder'],
    [{ subdir: '../..' }, 'invalid_argument', 'leaves the repository'],
  ])('refuse %j', async (request, code, message) => {
    await expect(fetched(request)).rejects.toMatchObject({ code, message: expect.stringContaining(message) as string });
  });

  it.each(['file:///etc', 'ext::sh -c id', '/etc', 'ftp://x/y.git', 'git@example.org:a/b', 'ssh://example.org/a', 'git://example.org/a', ''])('are asked for by no other transport: %s', async (url) => {
    await expect(fetched({ url })).rejects.toMatchObject({ code: expect.stringMatching(/^(invalid_argument|unsupported)$/) as string });
  });

  it('are not asked for at private addresses', async () => {
    const asked = server.seen.length;
    for (const url of [server.url, `http://localhost:${server.host.split(':')[1]}/repo.git`, 'http://169.254.169.254/x.git']) await expect(fetched({ url }, open({}, []))).rejects.toMatchObject({ code: 'permission_denied' });
    expect(server.seen.length).toBe(asked);
  });

  it('are opened by the password of their address, which no message tells', async () => {
    server.password = 'anna:open sesame';
    expect((await fetched({ url: server.url.replace('://', '://anna:open%20sesame@') })).commit).toMatch(/^[0-9a-f]{40}$/);
    const failure = await fetched({ url: server.url.replace('://', '://anna:wrong@') }).catch((error: unknown) => error);
    expect(failure).toMatchObject({ code: 'unauthenticated' });
    expect(String(failure)).not.toContain('wrong');
  });

  it('end at their limits, and when they are left', async () => {
    await expect(fetched({}, open({ packBytes: 1000 }))).rejects.toMatchObject({ code: 'resource_exhausted' });
    await expect(fetched({}, open({ objects: 3 }))).rejects.toMatchObject({ code: 'resource_exhausted' });
    await expect(fetched({}, open({ bytes: 100_000 }))).rejects.toMatchObject({ code: 'resource_exhausted' });
    await expect(source.fetch({ url: server.url }, AbortSignal.abort())).rejects.toMatchObject({ code: 'cancelled' });
    const { tar } = await source.fetch({ url: server.url }, NEVER);
    await tar.next();
    await tar.return?.();
  });
});
