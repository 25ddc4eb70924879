import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { silentLogger } from '#kernel';
import { HttpGitSource } from '../git/index.js';
import { GitServer } from '../git/testing/git-server.contract.js';
import { UrlFetcher } from '../registry-client/index.js';
import { HostileRegistry, end } from '../registry-client/testing/hostile-registry.contract.js';
import { writeTar } from '../tar/index.js';
import { BuildHost, collected, file } from './testing/build-host.contract.js';

describe('where files of builds come from', () => {
  let host: BuildHost;
  let git: GitServer;
  let web: HostileRegistry;
  let commit: string;
  let folder: string;

  beforeAll(async () => {
    host = await BuildHost.open('build-sources');
    folder = await mkdtemp(join(tmpdir(), 'build-sources-'));
    git = await GitServer.start();
    web = await HostileRegistry.start();
    const fetcher = new UrlFetcher({ insecure: [git.host, web.host], mirrors: [], privateHosts: [] });
    const source = new HttpGitSource({ root: join(folder, 'git'), fetcher, logger: silentLogger });
    await source.recover();
    host.world.git = (request, signal) => source.fetch(request, signal);
    host.world.fetchUrl = (url, signal) => fetcher.open(url, signal);
    await mkdir(join(git.work, 'app/src'), { recursive: true });
    await writeFile(join(git.work, 'app/Dockerfile'), 'FROM busybox\nCOPY src /src\n');
    await writeFile(join(git.work, 'app/.dockerignore'), 'src/ignored\n');
    await writeFile(join(git.work, 'app/src/main'), 'from git');
    await writeFile(join(git.work, 'app/src/ignored'), 'x');
    commit = git.commit();
  }, 60_000);
  afterAll(async () => {
    await git.stop();
    await web.stop();
    await host.close();
    await rm(folder, { recursive: true });
  }, 60_000);
  afterEach(() => host.expectNothingLeft());

  const tarOf = async (path: string, text: string): Promise<Buffer> => Buffer.concat(await collected(writeTar([file(path, text)])));
  const bytes = (path: string, content: Buffer) => file(path, '', { size: content.length, content: [content] });

  it('adds a repository, at a ref, of a folder, at the commit that is asked for, and knows it again', async () => {
    const add = (line: string) => host.build(`FROM busybox\n${line}\n`);
    const { imageId } = await add(`ADD --chown=3:4 ${git.url}#main:app /code`);
    const files = await host.filesOf(imageId);
    expect(['code/src/main', 'code/src', 'code/Dockerfile', 'code/.git'].map((path) => files.get(path)?.slice(0, 22))).toEqual(['file 644 3:4 from git', 'directory 755 3:4 ', 'file 644 3:4 FROM busy', undefined]);
    expect((await add(`ADD --chown=3:4 ${git.url}#main:app /code`)).cached).toEqual([2]);
    await add(`ADD --checksum=${commit} ${git.url} /code`);
    await expect(add(`ADD --checksum=${'0'.repeat(40)} ${git.url} /code`)).rejects.toThrow('digest mismatch for the repository');
    await expect(add('ADD git@example.org:a/b.git /code')).rejects.toMatchObject({ code: 'unsupported' });
    await expect(add(`ADD --keep-git-dir ${git.url} /code`)).rejects.toMatchObject({ code: 'unsupported' });
    await writeFile(join(git.work, 'app/src/main'), 'changed');
    git.commit();
    expect((await add(`ADD --chown=3:4 ${git.url}#main:app /code`)).cached).toEqual([]);
    git.run('reset', '-q', '--hard', commit);
  });

  it('adds what submodules of a repository have, knows it again, and tells another commit of them apart', async () => {
    const library = await git.repository('library.git');
    await writeFile(join(library.work, 'source'), 'one');
    const one = library.commit();
    await writeFile(join(library.work, 'source'), 'two');
    const two = library.commit();
    const link = (linked: string): Promise<string> => git.commitLinks([{ path: 'app/src/library', url: '../library.git', commit: linked }]);
    const first = await link(one);
    const second = await link(two);
    const add = (at: string, ...more: string[]) => host.build(`FROM busybox\nADD ${[...more, `${git.url}#${at}:app`].join(' ')} /code\n`);
    const sourceOf = async ({ imageId }: Awaited<ReturnType<typeof add>>): Promise<string | undefined> => (await host.filesOf(imageId)).get('code/src/library/source');
    expect(await sourceOf(await add(first))).toBe('file 644 0:0 one');
    expect((await add(first, `--checksum=${first}`)).cached).toEqual([2]);
    const other = await add(second);
    expect([other.cached, await sourceOf(other)]).toEqual([[], 'file 644 0:0 two']);
    const context = await host.build('', { remote: `${git.url}#${first}:app` });
    expect((await host.filesOf(context.imageId)).get('src/library/source')).toBe('file 644 0:0 one');
    await expect(add(await link('1'.repeat(40)))).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('submodule "app/src/library": ') as string });
    git.run('reset', '-q', '--hard', commit);
  });

  it('takes a context from a repository, an archive or a Dockerfile alone', async () => {
    const { imageId } = await host.build('FROM nowhere\n', { remote: `${git.url}#:app` });
    const files = await host.filesOf(imageId);
    expect([files.get('src/main'), files.has('src/ignored')]).toEqual(['file 644 0:0 from git', false]);
    const archive = Buffer.concat(await collected(writeTar([file('Dockerfile', 'FROM busybox\nCOPY a /a\n'), file('a', 'in the archive')])));
    web.trick = (request, response) => {
      response.writeHead(200).end(request.url === '/context.tar.xz' ? execFileSync('xz', ['-c'], { input: archive }) : 'FROM busybox\nRUN echo alone > /alone\n');
      return true;
    };
    expect((await host.filesOf((await host.build('FROM nowhere\n', { remote: `http://${web.host}/context.tar.xz` })).imageId)).get('a')).toBe('file 644 0:0 in the archive');
    expect((await host.filesOf((await host.build('FROM nowhere\n', { remote: `http://${web.host}/Dockerfile` })).imageId)).get('alone')).toMatch(/alone\n$/);
    await expect(host.build('', { remote: '/etc' })).rejects.toThrow('is neither a repository nor a URL');
    await expect(host.build('', { remote: 'http://169.254.169.254/latest' })).rejects.toMatchObject({ code: 'permission_denied' });
  });

  it('adds what is behind a URL when it is what was asked for', async () => {
    const checksum = `sha256:${createHash('sha256').update('data').digest('hex')}`;
    web.trick = (request, response) => {
      if (request.url === '/moved') end(response, 302, '', { location: `http://${web.host}/data` });
      else if (request.url === '/away') end(response, 302, '', { location: 'http://169.254.169.254/data' });
      else if (request.url === '/data') end(response, 200, 'data', { 'last-modified': 'Wed, 01 Jan 2020 00:00:00 GMT' });
      else end(response, 404, '');
      return true;
    };
    const add = (line: string) => host.build(`FROM busybox\nADD ${line}\n`);
    expect((await host.filesOf((await add(`--checksum=${checksum} http://${web.host}/moved /x`)).imageId)).get('x')).toBe('file 600 0:0 data');
    await expect(add(`--checksum=sha256:${'0'.repeat(64)} http://${web.host}/data /x`)).rejects.toThrow(`got ${checksum}`);
    await expect(add(`http://${web.host}/away /x`)).rejects.toMatchObject({ code: 'permission_denied' });
    await expect(add(`http://${web.host}/none /x`)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('unpacks archives of every compression that Docker does, and no bomb', async () => {
    const tar = await tarOf('in/it', 'it');
    const packed = [['xz', execFileSync('xz', ['-c'], { input: tar })], ['bz2', execFileSync('bzip2', ['-c'], { input: tar })], ['gz', execFileSync('gzip', ['-c'], { input: tar })], ['tar', tar], ['half', execFileSync('xz', ['-c'], { input: tar }).subarray(0, 80)]] as const;
    const { imageId } = await host.build(`FROM busybox\n${packed.map(([name]) => `ADD ${name} /${name}/\n`).join('')}`, { files: packed.map(([name, content]) => bytes(name, content)) });
    const files = await host.filesOf(imageId);
    expect(packed.map(([name]) => files.get(`${name}/in/it`))).toEqual([...Array.from({ length: 4 }, () => 'file 644 1234:1234 it'), undefined]);
    expect(files.get('half/half')).toMatch(/^file 644 0:0 /);
    // A tar of one file of eight gigabytes, all zeros.
    const head = Buffer.from(await tarOf('zeros', ''));
    head.write('100000000000', 124, 'latin1');
    head.fill(' ', 148, 156);
    head.write(`${head.subarray(0, 512).reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
    const bomb = execFileSync('bash', ['-c', '(cat; head -c 64M /dev/zero) | xz -c -0'], { input: head.subarray(0, 512) });
    await expect(host.build('FROM busybox\nADD bomb /\n', { files: [bytes('bomb', bomb)] })).rejects.toMatchObject({ code: 'resource_exhausted' });
    // A dictionary beyond what the program may have.
    const wide = execFileSync('xz', ['-c', '--lzma2=dict=1536MiB'], { input: tar });
    expect((await host.filesOf((await host.build('FROM busybox\nADD wide /w/\n', { files: [bytes('wide', wide)] })).imageId)).has('w/wide')).toBe(true);
  }, 60_000);
});
