import { buffer } from 'node:stream/consumers';
import { execFileSync } from 'node:child_process';
import type { TenantId } from '#kernel';
import type { ContainerMount, CreateContainer } from './index.js';
import { openContainerHost, type ContainerHost } from './testing/container-host.js';
import { containerOf, describeLeftovers, logText, NEVER } from './testing/container-requests.js';

const MIB = 1024 * 1024;
const volume = (destination: string, name?: string, more: Partial<Extract<ContainerMount, { kind: 'volume' }>> = {}): ContainerMount => ({ kind: 'volume', destination, readOnly: false, noCopy: false, ...(name === undefined ? {} : { name }), ...more });
const bind = (hostPath: string, destination: string, readOnly = false): ContainerMount => ({ kind: 'bind', hostPath, destination, create: true, readOnly });

describe('what containers write', () => {
  let host: ContainerHost;
  let tenant: TenantId;
  let other: TenantId;

  beforeAll(async () => {
    host = await openContainerHost('storage');
    [tenant, other] = [await host.newTenant(96 * MIB), await host.newTenant()];
    const script = 'mkdir -p data/sub srv/empty; echo content > data/sub/file; chmod 750 data; chown 1000:50 data data/sub; echo keep > etc/keep; echo drop > etc/drop';
    for (const each of [tenant, other]) {
      await host.importImage(each, 'busybox', script, { Cmd: ['sh'] });
      await host.importImage(each, 'with-volumes', script, { Cmd: ['sh'], Volumes: { '/data': {}, '/srv/empty': {} } });
    }
  }, 120_000);
  afterEach(async () => {
    for (const each of [tenant, other]) {
      for (const { id } of await host.containers.list(each)) await host.containers.remove(each, id, { force: true, volumes: true });
      for (const { name } of await host.volumes.list(each)) await host.volumes.remove(each, name);
    }
  });
  afterAll(async () => {
    for (const each of [tenant, other]) await host.containers.drop(each);
    expect(await describeLeftovers(host, [tenant, other])).toEqual([]);
    await host.dispose();
  }, 60_000);

  async function sh(line: string, more: Partial<CreateContainer> = {}, of = tenant): Promise<{ id: string; text: string; exitCode: number }> {
    const { id } = await host.containers.create(of, containerOf(['sh', '-c', `exec 2>&1; ${line}`], more));
    await host.containers.start(of, id);
    const { exitCode } = await host.containers.wait(of, id, 'not-running', NEVER);
    return { id, exitCode, text: await logText(host, of, id) };
  }

  const volumeNames = async (): Promise<string[]> => (await host.volumes.list(tenant)).map(({ name }) => name);

  it('is forced to disk when a program asks, but for a step of a build, whose layer is of no use after a crash', async () => {
    expect((await sh('grep -c volatile /proc/self/mounts')).text).toBe('0\n');
    const { id, text } = await sh('grep -c volatile /proc/self/mounts', { transient: true });
    expect(text).toBe('1\n');
    await host.containers.remove(tenant, id, { force: true, volumes: true });
  });

  it('stays with each container, until it is removed', async () => {
    const { id } = await sh('echo mine > /note; rm /etc/drop');
    expect((await sh('cat /note')).exitCode).toBe(1);
    const again = host.containers.wait(tenant, id, 'next-exit', NEVER);
    await host.containers.start(tenant, id);
    await again;
    expect(await host.containers.changes(tenant, id)).toEqual([
      { path: '/etc', kind: 'modified' },
      { path: '/etc/drop', kind: 'deleted' },
      { path: '/note', kind: 'added' },
    ]);
    const { writableBytes, rootfsBytes } = await host.containers.usage(tenant, id);
    expect(writableBytes).toBeGreaterThan(0);
    expect(rootfsBytes).toBeGreaterThan(writableBytes + MIB);
  });

  it('goes into volumes, named ones and anonymous ones, which the image fills once', async () => {
    const { id } = await sh('ls -ln / | grep data; cat /data/sub/file; echo more > /data/more', { mounts: [volume('/data', 'shared')] });
    expect(await logText(host, tenant, id)).toMatch(/^drwxr-x--- +\d+ 1000 +50 .*data\ncontent\n$/);
    expect(await host.volumes.get(tenant, 'shared')).toMatchObject({ filled: true, anonymous: false });
    expect((await sh('cat /mnt/more; ls /mnt', { mounts: [volume('/mnt', 'shared')] })).text).toBe('more\nmore\nsub\n');
    expect((await sh('ls -A /data', { mounts: [volume('/data', 'bare', { noCopy: true })] })).text).toBe('');
    expect((await sh('ls -A /data', { mounts: [bind('/host', '/data')] })).text).toBe('');
    expect((await sh('ls /data', { mounts: [{ kind: 'tmpfs', destination: '/data', readOnly: false }] })).text).toBe('');
    await expect(host.volumes.remove(tenant, 'shared')).rejects.toMatchObject({ code: 'conflict' });
    await host.containers.remove(tenant, id, { force: false, volumes: true });
    expect(await volumeNames()).toContain('shared');
  });

  it('goes into the volumes of its image, unless something else is mounted there', async () => {
    const { id, text } = await sh('cat /data/sub/file', { image: 'with-volumes', mounts: [bind('/elsewhere', '/srv/empty')] });
    expect(text).toBe('content\n');
    const { mounts } = await host.containers.get(tenant, id);
    expect(mounts.map(({ kind, destination }) => [kind, destination])).toEqual([['volume', '/data'], ['bind', '/srv/empty']]);
    expect((await host.volumes.list(tenant)).map(({ anonymous }) => anonymous)).toEqual([true]);
    await host.containers.remove(tenant, id, { force: false, volumes: false });
    expect(await host.volumes.list(tenant)).toHaveLength(1);
    const second = await sh('true', { image: 'with-volumes' });
    await host.containers.remove(tenant, second.id, { force: false, volumes: true });
    expect(await host.volumes.list(tenant)).toHaveLength(1);
  });

  it('is shared by --volumes-from, also when the origin is gone, and read-only narrows', async () => {
    const origin = await sh('echo one > /v/f', { name: 'origin', mounts: [volume('/v'), volume('/named', 'named', { readOnly: true }), bind('/src', '/src')] });
    const middle = await sh('echo two >> /v/f; echo x > /named/x; echo y > /src/y', { name: 'middle', volumesFrom: ['origin'] });
    expect(middle.text).toContain("can't create /named/x: Read-only file system");
    await host.containers.remove(tenant, origin.id, { force: false, volumes: true });
    expect((await volumeNames()).length).toBe(2);
    const last = await sh('cat /v/f /src/y; echo z > /v/z', { volumesFrom: ['middle:ro'] });
    expect(last.text).toMatch(/^one\ntwo\ny\n.*can't create \/v\/z: Read-only file system/);
    await host.containers.remove(tenant, middle.id, { force: false, volumes: true });
    await host.containers.remove(tenant, last.id, { force: false, volumes: true });
    expect(await volumeNames()).toEqual(['named']);
  });

  it('is the tenant\'s alone', async () => {
    await sh('echo secret > /v/f; echo secret > /host/f', { mounts: [volume('/v', 'same'), bind('/host', '/host')] });
    expect((await sh('ls -A /v /host', { mounts: [volume('/v', 'same'), bind('/host', '/host')] }, other)).text).toBe('/host:\n\n/v:\n');
  });

  it('is refused on a read-only root, and allowed in what is mounted there', async () => {
    const { text } = await sh('echo x > /x; echo y > /v/y; cat /v/y; echo z > /t/z && cat /t/z', { readOnlyRootfs: true, mounts: [volume('/v', 'rw'), { kind: 'tmpfs', destination: '/t', sizeBytes: MIB, readOnly: false }] });
    expect(text).toBe("sh: can't create /x: Read-only file system\ny\nz\n");
  });

  it('undoes a create that fails', async () => {
    await host.volumes.create(tenant, { name: 'before' });
    const mounts = [volume('/a'), volume('/b', 'fresh'), volume('/c', 'before'), volume('/d', 'bad name!')];
    await expect(host.containers.create(tenant, containerOf(['true'], { name: 'never', mounts }))).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(await volumeNames()).toEqual(['before']);
    expect(host.volumes.holders(tenant, 'before')).toEqual([]);
    expect(await host.containers.list(tenant)).toEqual([]);
    expect(await describeLeftovers(host, [tenant])).toEqual([]);
    await host.containers.create(tenant, containerOf(['true'], { name: 'never' }));
  });

  it('ends with the disk, or with the size of its own', async () => {
    const fill = 'dd if=/dev/zero of=/big bs=64k count=4000; stat -c %s /big';
    const full = await sh(fill);
    expect(full.text).toMatch(/No space left on device/);
    expect(Number(full.text.trim().split('\n').at(-1))).toBeGreaterThan(40 * MIB);
    expect((await sh('dd if=/dev/zero of=/big bs=64k count=100', {}, other)).exitCode).toBe(0);
    await host.containers.remove(tenant, full.id, { force: false, volumes: false });
    const small = await sh(fill, { limits: { diskBytes: 16 * MIB } });
    expect(small.text).toMatch(/No space left on device/);
    expect(Number(small.text.trim().split('\n').at(-1))).toBeLessThan(17 * MIB);
    expect(Number(small.text.trim().split('\n').at(-1))).toBeGreaterThan(10 * MIB);
    await expect(host.containers.create(tenant, containerOf(['true'], { limits: { diskBytes: 200 * MIB } }))).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect(await host.containers.list(tenant)).toHaveLength(1);
  });

  it('becomes an image, which runs', async () => {
    const { id } = await sh('echo new > /etc/new; rm /etc/drop; mkdir /own; chown 1000 /own; echo in > /v/volume', { labels: { a: '1' }, mounts: [volume('/v', 'vol')] });
    const imageId = await host.containers.commit(tenant, id, { name: 'made:1', author: 'me', comment: 'why', changes: ['CMD ["cat", "/etc/new"]', 'ENV X=y', 'LABEL b=2'], pause: true });
    const image = await host.images.resolve(tenant, 'made:1');
    expect(image).toMatchObject({ id: imageId, parent: (await host.containers.get(tenant, id)).imageId });
    expect(image.config.config).toMatchObject({ Cmd: ['cat', '/etc/new'], Env: ['X=y'], Labels: { a: '1', b: '2' } });
    expect(image.rawConfig).toMatchObject({ author: 'me', container: id });
    const result = await host.containers.create(tenant, { ...containerOf([]), image: 'made:1' });
    await host.containers.start(tenant, result.id);
    await host.containers.wait(tenant, result.id, 'not-running', NEVER);
    expect(await logText(host, tenant, result.id)).toBe('new\n');
    const look = await sh('ls /etc; stat -c %u /own; ls -A /v; echo $X', { image: 'made:1' });
    expect(look.text).toBe('group\nhostname\nhosts\nkeep\nnew\npasswd\nresolv.conf\n1000\ny\n');
  });

  it('is exported whole, with what lies below', async () => {
    const { id } = await sh('echo new > /etc/new; rm /etc/drop; ln -s new /etc/link');
    const tar = await buffer(await host.containers.export(tenant, id));
    const names = execFileSync('tar', ['-t'], { input: tar, encoding: 'utf8', maxBuffer: 64 * MIB }).split('\n').map((name) => name.replace(/^\.?\//, ''));
    expect(names).toEqual(expect.arrayContaining(['etc/new', 'etc/link', 'etc/keep', 'data/sub/file', 'bin/busybox']));
    expect(names).not.toContain('etc/drop');
    expect(execFileSync('tar', ['-xO', '--wildcards', '*etc/new'], { input: tar, encoding: 'utf8' })).toBe('new\n');
  });

  it('is committed while it runs, held still or not', async () => {
    const { id } = await host.containers.create(tenant, containerOf(['sh', '-c', 'echo ready > /state; echo up; while :; do sleep 0.05; done']));
    await host.containers.start(tenant, id);
    while (!(await logText(host, tenant, id)).includes('up')) await new Promise((resolve) => setTimeout(resolve, 20));
    for (const pause of [true, false]) {
      await host.containers.commit(tenant, id, { name: 'running', changes: [], pause });
      expect((await host.containers.get(tenant, id)).state.status).toBe('running');
      expect((await sh('cat /state', { image: 'running' })).text).toBe('ready\n');
    }
    await host.containers.kill(tenant, id);
  });
});
