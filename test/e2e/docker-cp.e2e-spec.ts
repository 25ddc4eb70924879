import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, chownSync, lstatSync, mkdirSync, mkdtempSync, readFileSync, readlinkSync, rmSync, symlinkSync, utimesSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { WebSocket } from 'ws';
import { startPlatform, type DockerCli, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

const MiB = 1024 * 1024;

/** `docker cp` in all its forms, by Docker's own client, for two tenants of one platform. */
describe('docker cp', () => {
  let platform: Platform;
  let anna: DockerCli;
  let bert: DockerCli;
  let here: string;
  let apiKey: string;

  beforeAll(async () => {
    here = mkdtempSync(join(tmpdir(), 'docker-cp-'));
    platform = await startPlatform();
    ({ apiKey } = await platform.newTenant('anna', { storageBytes: 128 * MiB }));
    anna = await platform.docker(apiKey);
    bert = await platform.docker((await platform.newTenant('bert')).apiKey);
    await Promise.all([anna, bert].map((docker) => docker.ok('pull', '-q', 'busybox')));
    await anna.ok('run', '-d', '--name', 'live', '-v', 'data:/data', '--tmpfs', '/scratch', 'busybox', 'sleep', '1000');
    await anna.ok('create', '--name', 'idle', '-v', 'other:/data', 'busybox', 'true');
  }, 90_000);
  afterAll(async () => {
    rmSync(here, { recursive: true, force: true });
    await Promise.all([anna.close(), bert.close()]);
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  /** What is at a path of a container, by the tar that `docker cp` writes. */
  async function listed(container: string, path: string): Promise<string[]> {
    const { stdout } = await anna.run(['cp', `${container}:${path}`, '-']);
    return execFileSync('tar', ['--numeric-owner', '-tvf', '-'], { input: Buffer.from(stdout, 'utf8'), encoding: 'utf8' }).trim().split('\n').map((line) => line.replace(/ +\d+ \S+ \S+ /, ' '));
  }

  describe.each(['live', 'idle'])('a container that is %s', (name) => {
    it('takes a file, under its own name or another, and gives it back', async () => {
      writeFileSync(join(here, 'one'), 'first\n');
      chmodSync(join(here, 'one'), 0o640);
      utimesSync(join(here, 'one'), 1_000_000_000, 1_000_000_000);
      await anna.ok('cp', join(here, 'one'), `${name}:/tmp`);
      await anna.ok('cp', join(here, 'one'), `${name}:/tmp/two`);
      for (const path of ['/tmp/one', '/tmp/two']) {
        await anna.ok('cp', `${name}:${path}`, join(here, 'back'));
        expect(readFileSync(join(here, 'back'), 'utf8')).toBe('first\n');
        expect(lstatSync(join(here, 'back'))).toMatchObject({ mode: 0o100640, mtimeMs: 1_000_000_000_000 });
      }
    });

    it('takes a directory, or what is in it', async () => {
      const tree = join(here, `tree-${name}`);
      mkdirSync(join(tree, 'sub'), { recursive: true });
      writeFileSync(join(tree, 'sub', 'leaf'), 'leaf');
      symlinkSync('sub/leaf', join(tree, 'link'));
      await anna.ok('cp', tree, `${name}:/new`);
      await anna.ok('cp', tree, `${name}:/tmp`);
      await anna.ok('cp', `${tree}/.`, `${name}:/new/inner`);
      expect(await listed(name, '/new')).toEqual(['drwxr-xr-x 0/0 new/', 'drwxr-xr-x 0/0 new/inner/', 'lrwxrwxrwx 0/0 new/inner/link -> sub/leaf', 'drwxr-xr-x 0/0 new/inner/sub/', '-rw-r--r-- 0/0 new/inner/sub/leaf', 'lrwxrwxrwx 0/0 new/link -> sub/leaf', 'drwxr-xr-x 0/0 new/sub/', '-rw-r--r-- 0/0 new/sub/leaf']);
      await anna.ok('cp', `${name}:/new/.`, join(here, `back-${name}`));
      expect(readlinkSync(join(here, `back-${name}`, 'inner', 'link'))).toBe('sub/leaf');
      expect(await listed(name, `/tmp/tree-${name}/sub/.`)).toEqual(['drwxr-xr-x 0/0 ./', '-rw-r--r-- 0/0 ./leaf']);
    });

    it('keeps owners with -a alone', async () => {
      const file = join(here, `owned-${name}`);
      writeFileSync(file, 'mine');
      chownSync(file, 1234, 77);
      await anna.ok('cp', '-a', file, `${name}:/tmp/kept`);
      await anna.ok('cp', file, `${name}:/tmp/roots`);
      expect(await listed(name, '/tmp/kept')).toEqual(['-rw-r--r-- 1234/77 kept']);
      expect(await listed(name, '/tmp/roots')).toEqual(['-rw-r--r-- 0/0 roots']);
    });

    it('follows a link with -L alone, in both directions', async () => {
      const link = join(here, `link-${name}`);
      writeFileSync(join(here, 'target'), 'behind');
      symlinkSync('target', link);
      await anna.ok('cp', link, `${name}:/tmp/as-link`);
      await anna.ok('cp', '-L', link, `${name}:/tmp/as-file`);
      expect(await listed(name, '/tmp/as-link')).toEqual(['lrwxrwxrwx 0/0 as-link -> target']);
      expect(await listed(name, '/tmp/as-file')).toEqual(['-rw-r--r-- 0/0 as-file']);
      symlinkSync('/tmp/as-file', join(here, `far-${name}`));
      await anna.ok('cp', join(here, `far-${name}`), `${name}:/far`);
      await anna.ok('cp', '-L', `${name}:/far`, join(here, 'followed'));
      expect(readFileSync(join(here, 'followed'), 'utf8')).toBe('behind');
      await anna.ok('cp', `${name}:/far`, join(here, `unfollowed-${name}`));
      expect(readlinkSync(join(here, `unfollowed-${name}`))).toBe('/tmp/as-file');
    });

    it('takes an archive from stdin, compressed too', async () => {
      const tar = execFileSync('tar', ['-C', here, '-c', 'one']);
      expect(await anna.run(['cp', '-', `${name}:/data`], { stdin: tar })).toMatchObject({ exitCode: 0 });
      expect(await listed(name, '/data')).toEqual(['drwxr-xr-x 0/0 data/', '-rw-r----- 0/0 data/one']);
      for (const program of ['gzip', 'zstd']) {
        const packed = execFileSync(program, ['-c'], { input: tar });
        expect(await anna.run(['cp', '-', `${name}:/tmp`], { stdin: packed })).toMatchObject({ exitCode: 0 });
      }
      expect((await anna.run(['cp', '-', `${name}:/data`], { stdin: 'rubbish'.repeat(200) })).exitCode).toBe(1);
      expect((await anna.run(['cp', '-', `${name}:/etc/passwd`], { stdin: tar })).stderr).toContain('destination "' + name + ':/etc/passwd" must be a directory');
    });

    it('refuses what is not there and what does not fit', async () => {
      expect(await anna.fails('cp', `${name}:/none/x`, here)).toContain(`Could not find the file /none/x in container ${name}`);
      expect(await anna.fails('cp', join(here, 'one'), `${name}:/none/x`)).toContain(`Could not find the file /none in container ${name}`);
      expect(await anna.fails('cp', here, `${name}:/etc/passwd`)).toContain('cannot copy directory');
      expect(await anna.fails('cp', join(here, 'one'), `${name}:/tmp/one/`)).toMatch(/no such directory/);
      expect(await bert.fails('cp', `${name}:/etc/passwd`, here)).toContain(`No such container: ${name}`);
      expect(await bert.fails('cp', join(here, 'one'), `${name}:/tmp`)).toContain(`No such container: ${name}`);
    });
  });

  it('takes a whole container', async () => {
    await anna.ok('cp', 'idle:/', join(here, 'whole'));
    expect(readFileSync(join(here, 'whole', 'tmp', 'one'), 'utf8')).toBe('first\n');
    expect(lstatSync(join(here, 'whole', 'bin', 'busybox')).isFile()).toBe(true);
  });

  it('is what a program sees, at once and later', async () => {
    await anna.ok('cp', join(here, 'one'), 'idle:/tmp/seen');
    await anna.ok('create', '--name', 'reader', '-v', 'other:/data', 'busybox', 'cat', '/note', '/data/note');
    for (const place of ['/note', '/data/note']) await anna.ok('cp', join(here, 'one'), `reader:${place}`);
    await anna.ok('start', 'reader');
    expect(await anna.ok('wait', 'reader')).toBe('0');
    expect(await anna.ok('logs', 'reader')).toBe('first\nfirst');
    await anna.ok('cp', join(here, 'one'), 'live:/scratch/one');
    expect(await listed('live', '/scratch/one')).toEqual(['-rw-r----- 0/0 one']);
  });

  it('and REST mean the same files', async () => {
    const rest = (method: string, path: string, body?: string, headers: Record<string, string> = {}): Promise<Response> => fetch(`${platform.url}/v1/sandboxes/live/files${path}`, { method, headers: { authorization: `Bearer ${apiKey}`, ...headers }, ...(body === undefined ? {} : { body }) });
    const events: { kind: string; path: string }[] = [];
    expect((await rest('POST', '/directories', JSON.stringify({ path: '/srv/shared', parents: true }), { 'content-type': 'application/json' })).status).toBe(204);
    const heard = new WebSocket(`${platform.url.replace('http', 'ws')}/v1/sandboxes/live/files/watch?path=/srv/shared`, { headers: { authorization: `Bearer ${apiKey}` } });
    heard.on('message', (data: Buffer) => events.push(JSON.parse(data.toString()) as { kind: string; path: string }));
    await once(heard, 'message');
    expect((await rest('PUT', '/content?path=/srv/shared/note&mode=600', 'by rest')).status).toBe(200);
    await anna.ok('cp', 'live:/srv/shared/note', join(here, 'note'));
    expect(readFileSync(join(here, 'note'), 'utf8')).toBe('by rest');
    await anna.ok('cp', join(here, 'one'), 'live:/srv/shared/two');
    const read = await rest('GET', '/content?path=/srv/shared/two', undefined, { range: 'bytes=2-3' });
    expect({ status: read.status, text: await read.text() }).toEqual({ status: 206, text: 'rs' });
    expect(await (await rest('GET', '?path=/srv/shared')).json()).toMatchObject({ kind: 'directory', entries: [{ name: 'note', mode: 0o600 }, { name: 'two' }] });
    while (!events.some(({ path }) => path === '/srv/shared/two')) await once(heard, 'message');
    heard.close();
    expect(events[0]).toMatchObject({ kind: 'ready', path: '/srv/shared' });
    expect((await rest('GET', '/content?path=/none')).status).toBe(404);
  });

  it('leaves read-only roots and volumes alone', async () => {
    await anna.ok('run', '-d', '--name', 'fixed', '--read-only', '-v', 'data:/ro:ro', '-v', 'more:/rw', 'busybox', 'sleep', '1000');
    expect(await anna.fails('cp', join(here, 'one'), 'fixed:/tmp')).toContain('container rootfs is marked read-only');
    expect(await anna.fails('cp', join(here, 'one'), 'fixed:/ro')).toContain('mounted volume is marked read-only');
    await anna.ok('cp', join(here, 'one'), 'fixed:/rw');
    expect(await listed('fixed', '/rw/one')).toEqual(['-rw-r----- 0/0 one']);
  });

  it('works on a paused container, whose programs see it when they go on', async () => {
    await anna.ok('pause', 'live');
    await anna.ok('cp', join(here, 'one'), 'live:/tmp/while-paused');
    expect(await listed('live', '/tmp/while-paused')).toEqual(['-rw-r----- 0/0 while-paused']);
    expect(await anna.fails('cp', join(here, 'one'), 'live:/scratch/more')).toContain('while the container is paused');
    await anna.ok('unpause', 'live');
  });

  it('ends where the tenant’s disk ends', async () => {
    const big = join(here, 'big');
    execFileSync('dd', ['if=/dev/zero', `of=${big}`, 'bs=1M', 'count=200', 'status=none']);
    expect(await anna.fails('cp', big, 'idle:/big')).toContain('no space left on device');
    await anna.ok('rm', 'idle');
  });
});
