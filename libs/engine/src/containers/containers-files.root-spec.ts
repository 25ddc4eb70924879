import { execFileSync } from 'node:child_process';
import { buffer } from 'node:stream/consumers';
import type { TenantId } from '#kernel';
import type { ContainerFiles, ContainerMount, CreateContainer, FileEvent } from './index.js';
import { openContainerHost, type ContainerHost } from './testing/container-host.js';
import { containerOf, describeLeftovers, logText, NEVER } from './testing/container-requests.js';

const MIB = 1024 * 1024;
const PLAIN = { keepDirectories: true, keepOwners: false } as const;
const volume = (destination: string, name: string, readOnly = false): ContainerMount => ({ kind: 'volume', destination, name, readOnly, noCopy: false });

async function* once(text: string | Buffer): AsyncGenerator<Buffer> {
  yield await Promise.resolve(Buffer.from(text));
}

/** Of what the script makes in an empty folder. */
function tarOf(script: string): Buffer {
  return execFileSync('/bin/sh', ['-ec', `d=$(mktemp -d); trap 'rm -rf "$d"' EXIT; cd "$d"; { ${script}; } >&2; tar --numeric-owner -c .`], { maxBuffer: 64 * MIB, stdio: ['ignore', 'pipe', 'inherit'] });
}

function listing(tar: Buffer): string[] {
  return execFileSync('tar', ['--numeric-owner', '-P', '-tvf', '-'], { input: tar, encoding: 'utf8' }).trim().split('\n').map((line) => line.replace(/ +\S+ +\d+ \S+ \S+ /, ' '));
}

describe.each(['running', 'stopped'])('the files of a %s container', (condition) => {
  let host: ContainerHost;
  let files: ContainerFiles;
  let tenant: TenantId;
  let other: TenantId;

  beforeAll(async () => {
    host = await openContainerHost(`files-${condition}`);
    files = host.containers.files;
    [tenant, other] = [await host.newTenant(96 * MIB), await host.newTenant()];
    const script = [
      'mkdir -p data/sub empty; echo content > data/file; echo deep > data/sub/deep; ln -s file data/link; ln -s /nowhere data/broken; ln -s /data alias',
      'chown -R 1000:50 data; chmod 750 data/sub; chmod 4711 data/file; mkfifo pipe; ln data/sub/deep data/sub/twin',
    ].join('; ');
    for (const each of [tenant, other]) await host.importImage(each, 'busybox', script, { Cmd: ['sh'] });
  }, 120_000);
  afterEach(async () => {
    for (const { id } of await host.containers.list(tenant)) await host.containers.remove(tenant, id, { force: true, volumes: true });
    for (const { name } of await host.volumes.list(tenant)) await host.volumes.remove(tenant, name);
  });
  afterAll(async () => {
    for (const each of [tenant, other]) await host.containers.drop(each);
    expect(await describeLeftovers(host, [tenant, other])).toEqual([]);
    await host.dispose();
  }, 60_000);

  async function container(more: Partial<CreateContainer> = {}): Promise<string> {
    const { id } = await host.containers.create(tenant, containerOf(['sleep', '1000'], more));
    if (condition === 'running') await host.containers.start(tenant, id);
    return id;
  }

  async function textOf(id: string, path: string, range?: { offset: number; length?: number }): Promise<string> {
    return (await buffer((await files.read(tenant, id, path, range)).bytes)).toString();
  }

  async function packed(id: string, path: string, contents = false): Promise<string[]> {
    return listing(await buffer((await files.pack(tenant, id, path, { contents })).tar));
  }

  const namesIn = async (id: string, path: string): Promise<string[]> => (await files.list(tenant, id, path)).map(({ name }) => name);

  it('are told one by one, links unfollowed but for where they lead', async () => {
    const id = await container();
    expect(await files.stat(tenant, id, '/data/file')).toMatchObject({ name: 'file', path: '/data/file', kind: 'file', sizeBytes: 8, mode: 0o4711, uid: 1000, gid: 50, linkTarget: '', resolvedTarget: '' });
    expect(await files.stat(tenant, id, 'alias/sub/')).toMatchObject({ name: 'sub', kind: 'directory', mode: 0o750 });
    expect(await files.stat(tenant, id, '/alias')).toMatchObject({ kind: 'symlink', linkTarget: '/data', resolvedTarget: '/data' });
    expect(await files.stat(tenant, id, '/alias/link')).toMatchObject({ kind: 'symlink', linkTarget: 'file', resolvedTarget: '/data/file' });
    expect(await files.stat(tenant, id, '/data/broken')).toMatchObject({ kind: 'symlink', resolvedTarget: '/nowhere' });
    expect(await files.stat(tenant, id, '/pipe')).toMatchObject({ kind: 'fifo' });
    expect(await files.stat(tenant, id, '/')).toMatchObject({ name: '/', kind: 'directory' });
    await expect(files.stat(tenant, id, '/data/none')).rejects.toMatchObject({ code: 'not_found', message: `Could not find the file /data/none in container ${id}` });
    await expect(files.stat(other, id, '/data')).rejects.toMatchObject({ code: 'not_found', message: `No such container: ${id}` });
  });

  it('are listed', async () => {
    const id = await container();
    expect((await files.list(tenant, id, '/alias')).map(({ path, kind }) => [path, kind])).toEqual([['/alias/broken', 'symlink'], ['/alias/file', 'file'], ['/alias/link', 'symlink'], ['/alias/sub', 'directory']]);
    await expect(files.list(tenant, id, '/data/file')).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('are packed below their own name, or without it', async () => {
    const id = await container();
    expect(await packed(id, '/data')).toEqual(['drwxr-xr-x data/', 'lrwxrwxrwx data/broken -> /nowhere', '-rws--x--x data/file', 'lrwxrwxrwx data/link -> file', 'drwxr-x--- data/sub/', '-rw-r--r-- data/sub/deep', 'hrw-r--r-- data/sub/twin link to data/sub/deep']);
    expect(await packed(id, '/data/sub/.', true)).toEqual(['drwxr-x--- ./', '-rw-r--r-- ./deep', 'hrw-r--r-- ./twin link to ./deep']);
    expect(await packed(id, '/alias/file')).toEqual(['-rws--x--x file']);
    expect(await packed(id, '/alias')).toEqual(['lrwxrwxrwx alias -> /data']);
    expect(await packed(id, '/alias/')).toContain('drwxr-x--- alias/sub/');
  });

  it('are packed from the root on, without what the kernel makes up', async () => {
    const id = await container();
    const all = await packed(id, '/');
    expect(all).toEqual(expect.arrayContaining(['drwxr-xr-x /', '-rws--x--x /data/file', 'prw-r--r-- /pipe', 'drwxr-xr-x /dev/']));
    expect(all.filter((line) => / \/(proc|sys|dev)\/./.test(line))).toEqual([]);
  });

  it('are extracted as root’s, or as the archive says', async () => {
    const id = await container();
    const tar = tarOf('mkdir -m 700 in; echo new > in/one; chmod 600 in/one; chown -R 1234:77 .; touch -d @1000000000 in/one');
    await files.extract(tenant, id, '/alias', once(tar), PLAIN);
    expect(await files.stat(tenant, id, '/data/in/one')).toMatchObject({ mode: 0o600, uid: 0, gid: 0, modifiedAt: 1_000_000_000_000 });
    await files.extract(tenant, id, '/data', once(tar), { keepDirectories: true, keepOwners: true });
    expect(await files.stat(tenant, id, '/data/in/one')).toMatchObject({ uid: 1234, gid: 77 });
    // Of the directory itself an archive says nothing.
    expect(await files.stat(tenant, id, '/data')).toMatchObject({ uid: 1000, gid: 50, mode: 0o755 });
    expect(await textOf(id, '/data/in/one')).toBe('new\n');
  });

  it('are extracted into directories alone, which make way for nothing else', async () => {
    const id = await container();
    const extract = (path: string, script: string, keepDirectories = true) => files.extract(tenant, id, path, once(tarOf(script)), { keepDirectories, keepOwners: false });
    await expect(extract('/none', 'touch x')).rejects.toMatchObject({ code: 'not_found', message: `Could not find the file /none in container ${id}` });
    await expect(extract('/data/file', 'touch x')).rejects.toMatchObject({ code: 'invalid_argument', message: 'extraction point is not a directory' });
    await expect(extract('/data', 'touch sub')).rejects.toMatchObject({ code: 'conflict', message: 'cannot overwrite directory "/data/sub" with non-directory' });
    await expect(extract('/data', 'mkdir file')).rejects.toMatchObject({ code: 'conflict' });
    await extract('/data', 'touch sub', false);
    expect(await files.stat(tenant, id, '/data/sub')).toMatchObject({ kind: 'file' });
  });

  it('are read whole, in part and from the end', async () => {
    const id = await container();
    await expect(Promise.all([textOf(id, '/data/link'), textOf(id, '/data/file', { offset: 2, length: 3 }), textOf(id, '/data/file', { offset: -3 }), textOf(id, '/data/file', { offset: 100 })])).resolves.toEqual(['content\n', 'nte', 'nt\n', '']);
    await expect(files.read(tenant, id, '/pipe')).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(files.read(tenant, id, '/data')).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(files.read(tenant, id, '/proc/cpuinfo')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('are written whole or not at all, links followed, what is not said kept', async () => {
    const id = await container();
    expect(await files.write(tenant, id, '/data/link', once('other'), { overwrite: true })).toMatchObject({ path: '/data/link', kind: 'file', sizeBytes: 5, mode: 0o4711, uid: 1000, gid: 50 });
    expect(await textOf(id, '/data/file')).toBe('other');
    expect(await files.write(tenant, id, '/new/deep/er', once(''), { overwrite: false, mode: 0o640, uid: 7, gid: 8 })).toMatchObject({ sizeBytes: 0, mode: 0o640, uid: 7, gid: 8 });
    await expect(files.write(tenant, id, '/new/deep/er', once('x'), { overwrite: false })).rejects.toMatchObject({ code: 'already_exists' });
    await expect(files.write(tenant, id, '/data/sub', once('x'), { overwrite: true })).rejects.toMatchObject({ code: 'conflict' });
    const broken = async function* () {
      yield await Promise.resolve(Buffer.from('half'));
      throw new Error('cut');
    };
    await expect(files.write(tenant, id, '/data/file', broken(), { overwrite: true })).rejects.toThrow('cut');
    expect(await textOf(id, '/data/file')).toBe('other');
    expect(await namesIn(id, '/data')).toEqual(['broken', 'file', 'link', 'sub']);
  });

  it('are made, moved and removed', async () => {
    const id = await container();
    await files.makeDirectory(tenant, id, '/a/b', { parents: true, mode: 0o711, uid: 3, gid: 4 });
    expect(await files.stat(tenant, id, '/a/b')).toMatchObject({ mode: 0o711, uid: 3, gid: 4 });
    await files.makeDirectory(tenant, id, '/a/b/', { parents: true });
    await expect(files.makeDirectory(tenant, id, '/a/b', { parents: false })).rejects.toMatchObject({ code: 'already_exists' });
    await expect(files.makeDirectory(tenant, id, '/none/b', { parents: false })).rejects.toMatchObject({ code: 'not_found' });
    // Of the image's layer: the kernel does not rename it.
    await files.move(tenant, id, '/data/sub', '/a/moved', { overwrite: false });
    expect(await namesIn(id, '/a/moved')).toEqual(['deep', 'twin']);
    expect(await namesIn(id, '/data')).toEqual(['broken', 'file', 'link']);
    await expect(files.move(tenant, id, '/data/file', '/a/moved/deep', { overwrite: false })).rejects.toMatchObject({ code: 'already_exists' });
    await files.move(tenant, id, '/data/file', '/a/moved/deep', { overwrite: true });
    expect(await textOf(id, '/a/moved/deep')).toBe('content\n');
    await expect(files.remove(tenant, id, '/a', { recursive: false })).rejects.toMatchObject({ code: 'conflict' });
    await files.remove(tenant, id, '/a', { recursive: true });
    await files.remove(tenant, id, '/a', { recursive: true });
    await expect(files.remove(tenant, id, '/a', { recursive: false })).rejects.toMatchObject({ code: 'not_found' });
    await expect(files.remove(tenant, id, '/', { recursive: true })).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('of volumes are among them', async () => {
    const id = await container({ mounts: [volume('/vol', 'shared')] });
    await files.extract(tenant, id, '/vol', once(tarOf('echo there > kept')), PLAIN);
    await host.containers.remove(tenant, id, { force: true, volumes: false });
    const next = await container({ mounts: [volume('/mnt', 'shared')] });
    expect(await textOf(next, '/mnt/kept')).toBe('there\n');
    expect(await packed(next, '/mnt')).toEqual(['drwxr-xr-x mnt/', '-rw-r--r-- mnt/kept']);
    await files.move(tenant, next, '/mnt/kept', '/taken', { overwrite: false });
    expect(await textOf(next, '/taken')).toBe('there\n');
    await expect(files.remove(tenant, next, '/mnt', { recursive: true })).rejects.toMatchObject({ code: 'conflict' });
  });

  it('of read-only roots and volumes stay as they are', async () => {
    const id = await container({ readOnlyRootfs: true, mounts: [volume('/vol', 'free'), volume('/fixed', 'fixed', true)] });
    await expect(files.extract(tenant, id, '/data', once(tarOf('touch x')), PLAIN)).rejects.toMatchObject({ code: 'permission_denied', message: 'container rootfs is marked read-only' });
    await expect(files.extract(tenant, id, '/fixed', once(tarOf('touch x')), PLAIN)).rejects.toMatchObject({ code: 'permission_denied', message: 'mounted volume is marked read-only' });
    await expect(files.write(tenant, id, '/data/new', once('x'), { overwrite: true })).rejects.toMatchObject({ code: 'permission_denied', message: 'container rootfs is marked read-only' });
    await files.extract(tenant, id, '/vol', once(tarOf('touch x')), PLAIN);
    expect(await namesIn(id, '/vol')).toEqual(['x']);
  });

  it('fill the tenant’s disk and no more', async () => {
    const id = await container();
    async function* much(): AsyncGenerator<Buffer> {
      const piece = Buffer.alloc(MIB, 1);
      for (let at = 0; at < 200; at += 1) yield await Promise.resolve(piece);
    }
    await expect(files.write(tenant, id, '/big', much(), { overwrite: true })).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect(await namesIn(id, '/')).not.toContain('big');
    expect((await namesIn(id, '/')).filter((name) => name.startsWith('.sandbar'))).toEqual([]);
  });

  it('are named by paths that are checked', async () => {
    const id = await container();
    for (const path of ['', 'a\0b', `/${'x'.repeat(5000)}`]) await expect(files.stat(tenant, id, path)).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(files.stat(tenant, id, `/${'x'.repeat(300)}`)).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(await files.stat(tenant, id, '/../../data')).toMatchObject({ kind: 'directory' });
  });

  it('are left as they were by a stream that nobody reads', async () => {
    const id = await container();
    const { tar } = await files.pack(tenant, id, '/', { contents: true });
    await tar[Symbol.asyncIterator]().return?.();
    await host.containers.stop(tenant, id, { timeoutSeconds: 0 });
    await host.containers.start(tenant, id);
    expect((await host.containers.get(tenant, id)).state.status).toBe('running');
    expect(await logText(host, tenant, id)).toBe('');
  });

  it('of a container that is started are what was copied while it was not', async () => {
    const { id } = await host.containers.create(tenant, containerOf(['cat', '/note']));
    await files.extract(tenant, id, '/', once(tarOf('echo noted > note')), PLAIN);
    await host.containers.start(tenant, id);
    await host.containers.wait(tenant, id, 'not-running', NEVER);
    expect(await logText(host, tenant, id)).toBe('noted\n');
  });
});

describe('the files of a container in the course of its life', () => {
  let host: ContainerHost;
  let files: ContainerFiles;
  let tenant: TenantId;

  beforeAll(async () => {
    host = await openContainerHost('files-life');
    files = host.containers.files;
    tenant = await host.newTenant(96 * MIB);
    await host.importImage(tenant, 'busybox', 'mkdir -p work/sub other', { Cmd: ['sh'] });
  }, 120_000);
  afterEach(async () => {
    for (const { id } of await host.containers.list(tenant)) await host.containers.remove(tenant, id, { force: true, volumes: true });
  });
  afterAll(async () => {
    await host.containers.drop(tenant);
    expect(await describeLeftovers(host, [tenant])).toEqual([]);
    await host.dispose();
  }, 60_000);

  async function started(script: string, more: Partial<CreateContainer> = {}): Promise<string> {
    const { id } = await host.containers.create(tenant, containerOf(['sh', '-c', script], more));
    await host.containers.start(tenant, id);
    return id;
  }

  /** The program waits for the file, so that everything is watched before it begins. */
  async function watched(script: string, recursive: boolean): Promise<string[]> {
    const id = await started(`until test -e /other/go; do usleep 5000; done; ${script}; touch /work/end; exec sleep 1000`);
    const leave = new AbortController();
    const seen: string[] = [];
    for await (const event of files.watch(tenant, id, '/work', { recursive }, leave.signal)) {
      if (event.kind === 'ready') await files.write(tenant, id, '/other/go', once(''), { overwrite: true });
      if (event.path === '/work/end') leave.abort();
      else seen.push(told(event));
    }
    return seen.filter((line, at) => line !== seen[at - 1]);
  }

  const told = ({ kind, path, to, directory }: FileEvent): string => [kind, path + (directory ? '/' : ''), ...(to === undefined ? [] : [to])].join(' ');

  it('are watched one directory deep', async () => {
    expect(await watched('cd /work; echo x > new; mv new old; rm old; mv sub ../gone; touch /gone/unseen; mv /gone back; mkdir back/in', false)).toEqual([
      'ready /work/',
      'created /work/new',
      'modified /work/new',
      'moved /work/new /work/old',
      'deleted /work/old',
      'deleted /work/sub/',
      'created /work/back/',
    ]);
  });

  it('are watched with all that is below, as it comes and goes', async () => {
    const seen = await watched('cd /work; echo x > sub/one; mkdir -p a/b; sleep 0.2; echo y > a/b/two; mv a c; echo z > c/b/three; mv c ../other; sleep 0.2; touch /other/c/b/four; rm -r sub', true);
    expect(seen).toEqual(expect.arrayContaining(['created /work/sub/one', 'created /work/a/', 'created /work/a/b/', 'created /work/a/b/two', 'moved /work/a/ /work/c', 'created /work/c/b/three', 'deleted /work/c/', 'deleted /work/sub/one', 'deleted /work/sub/']));
    expect(seen.filter((line) => line.includes('four'))).toEqual([]);
  });

  it('are watched as long as the container runs, and not before', async () => {
    const id = await started('exec sleep 1000');
    const events = files.watch(tenant, id, '/work', { recursive: true }, NEVER)[Symbol.asyncIterator]();
    await events.next();
    const next = events.next();
    await Promise.all([expect(next).rejects.toMatchObject({ code: 'unavailable' }), host.containers.kill(tenant, id)]);
    await expect(files.watch(tenant, id, '/work', { recursive: true }, NEVER)[Symbol.asyncIterator]().next()).rejects.toMatchObject({ code: 'conflict' });
  });

  it('are let go of when the container ends, and it starts again', async () => {
    const id = await started('exec sleep 1000');
    await files.write(tenant, id, '/work/big', once(Buffer.alloc(8 * MIB, 1)), { overwrite: true });
    const { bytes } = await files.read(tenant, id, '/work/big');
    const reading = bytes[Symbol.asyncIterator]();
    await reading.next();
    await host.containers.kill(tenant, id);
    await host.containers.start(tenant, id);
    await expect((async () => {
      while ((await reading.next()).done !== true);
    })()).rejects.toMatchObject({ code: 'unavailable' });
    expect((await files.stat(tenant, id, '/work/big')).sizeBytes).toBe(8 * MIB);
  });

  it('keep a container from starting while they are worked on, and no longer', async () => {
    const { id } = await host.containers.create(tenant, containerOf(['cat', '/note']));
    const gate = Promise.withResolvers<undefined>();
    async function* slow(): AsyncGenerator<Buffer> {
      yield Buffer.from('slowly ');
      await gate.promise;
      yield Buffer.from('written\n');
    }
    const writing = files.write(tenant, id, '/note', slow(), { overwrite: true });
    const starting = host.containers.start(tenant, id);
    gate.resolve(undefined);
    await Promise.all([writing, starting]);
    await host.containers.wait(tenant, id, 'not-running', NEVER);
    expect(await logText(host, tenant, id)).toBe('slowly written\n');
  });

  it('are mounted no more after a crash of the worker, and the container starts', async () => {
    const { id } = await host.containers.create(tenant, containerOf(['cat', '/note']));
    await files.write(tenant, id, '/note', once('kept\n'), { overwrite: true });
    const { tar } = await files.pack(tenant, id, '/', { contents: true });
    await tar[Symbol.asyncIterator]().next();
    await host.restart();
    ({ files } = host.containers);
    expect(await host.runtime.list()).toEqual([]);
    await host.containers.start(tenant, id);
    await host.containers.wait(tenant, id, 'not-running', NEVER);
    expect(await logText(host, tenant, id)).toBe('kept\n');
  });

  it('are mounted no more when the node goes down, whoever reads them', async () => {
    const { id } = await host.containers.create(tenant, containerOf(['true']));
    await files.write(tenant, id, '/big', once(Buffer.alloc(8 * MIB, 1)), { overwrite: true });
    const { bytes } = await files.read(tenant, id, '/big');
    const reading = bytes[Symbol.asyncIterator]();
    await reading.next();
    await host.containers.close();
    expect(await host.runtime.list()).toEqual([]);
    await expect((async () => {
      while ((await reading.next()).done !== true);
    })()).rejects.toMatchObject({ code: 'unavailable' });
    await host.restart();
    ({ files } = host.containers);
  });

  it('of a paused container are worked on while it is, but for its tmpfs', async () => {
    const id = await started('exec sleep 1000', { mounts: [{ kind: 'tmpfs', destination: '/quick', readOnly: false }] });
    await host.containers.pause(tenant, id);
    await files.write(tenant, id, '/work/new', once('x'), { overwrite: true });
    expect((await files.list(tenant, id, '/work')).map(({ name }) => name)).toEqual(['new', 'sub']);
    await expect(files.write(tenant, id, '/quick/new', once('x'), { overwrite: true })).rejects.toMatchObject({ code: 'conflict' });
    await expect(files.extract(tenant, id, '/quick', once(tarOf('touch x')), PLAIN)).rejects.toMatchObject({ code: 'conflict' });
    await host.containers.unpause(tenant, id);
    await files.write(tenant, id, '/quick/new', once('x'), { overwrite: true });
  });

  it('on a tmpfs count as the container’s memory', async () => {
    const id = await started('exec sleep 1000', { limits: { memoryBytes: 32 * MIB }, mounts: [{ kind: 'tmpfs', destination: '/quick', sizeBytes: 1024 * MIB, readOnly: false }] });
    async function* much(): AsyncGenerator<Buffer> {
      for (let at = 0; at < 128; at += 1) yield await Promise.resolve(Buffer.alloc(MIB, 1));
    }
    await expect(files.write(tenant, id, '/quick/big', much(), { overwrite: true })).rejects.toMatchObject({ code: expect.stringMatching(/^(unavailable|resource_exhausted)$/) as string });
  });

  it('are worked on by so many at once and no more', async () => {
    const id = await started('exec sleep 1000');
    await files.write(tenant, id, '/work/file', once('x'), { overwrite: true });
    const open = await Promise.all(Array.from({ length: 32 }, () => files.read(tenant, id, '/work/file')));
    await expect(files.stat(tenant, id, '/work')).rejects.toMatchObject({ code: 'resource_exhausted' });
    for (const { bytes } of open) await bytes[Symbol.asyncIterator]().return?.();
    expect(await files.stat(tenant, id, '/work')).toMatchObject({ kind: 'directory' });
  });
});
