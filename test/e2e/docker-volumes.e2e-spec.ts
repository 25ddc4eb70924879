import { startPlatform, type DockerCli, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

const MiB = 1024 * 1024;

/** Rows of the surface about volumes, by Docker's own client, for two tenants of one platform. */
describe('docker: volumes', () => {
  let platform: Platform;
  let anna: DockerCli;
  let bert: DockerCli;

  beforeAll(async () => {
    platform = await startPlatform();
    anna = await platform.docker((await platform.newTenant('anna', { storageBytes: 128 * MiB })).apiKey);
    bert = await platform.docker((await platform.newTenant('bert')).apiKey);
    await Promise.all([anna, bert].map((docker) => docker.ok('pull', '-q', 'busybox')));
  }, 90_000);
  afterAll(async () => {
    await Promise.all([anna.close(), bert.close()]);
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  /** The exit code and the output of a container that is removed afterwards. */
  async function ran(docker: DockerCli, ...args: string[]): Promise<{ exitCode: string; output: string }> {
    const id = await docker.ok('create', ...args);
    await docker.ok('start', id);
    const exitCode = await docker.ok('wait', id);
    const { stdout, stderr } = await docker.run(['logs', id]);
    await docker.ok('rm', '-v', id);
    return { exitCode, output: `${stdout}${stderr}`.trim() };
  }

  it('makes, lists, inspects and removes named volumes, each tenant for itself', async () => {
    expect(await anna.ok('volume', 'create', '-d', 'local', '--label', 'a=b', 'data')).toBe('data');
    expect(await anna.ok('volume', 'ls', '-q')).toBe('data');
    expect(await bert.ok('volume', 'ls', '-q')).toBe('');
    expect(await bert.fails('volume', 'inspect', 'data')).toMatch(/no such volume/);
    expect(await anna.json('volume', 'inspect', 'data')).toMatchObject([{ Name: 'data', Driver: 'local', Labels: { a: 'b' }, Scope: 'local' }]);
    expect(await anna.ok('volume', 'ls', '-q', '--filter', 'label=x')).toBe('');
    expect(await anna.fails('volume', 'create', '-d', 'nfs-magic', 'x')).toMatch(/./);
    expect(await anna.fails('volume', 'create', '../x')).toMatch(/includes invalid characters/);
    await bert.ok('volume', 'create', 'data');
    await bert.ok('volume', 'rm', 'data');
    expect(await bert.fails('volume', 'rm', 'data')).toMatch(/no such volume/);
  });

  it('keeps what containers write, and refuses to remove a volume in use', async () => {
    expect(await ran(anna, '-v', 'data:/data', 'busybox', 'sh', '-c', 'echo kept > /data/file')).toMatchObject({ exitCode: '0' });
    expect(await ran(anna, '-v', 'data:/elsewhere:ro', 'busybox', 'cat', '/elsewhere/file')).toEqual({ exitCode: '0', output: 'kept' });
    const { exitCode, output } = await ran(anna, '-v', 'data:/data:ro', 'busybox', 'touch', '/data/new');
    expect({ exitCode, output }).toEqual({ exitCode: '1', output: expect.stringMatching(/Read-only file system/) as string });
    const holder = await anna.ok('create', '-v', 'data:/data', 'busybox');
    expect(await anna.fails('volume', 'rm', 'data')).toMatch(new RegExp(`remove data: volume is in use - \\[${holder}\\]`));
    expect(await anna.fails('volume', 'rm', '-f', 'data')).toMatch(/volume is in use/);
    await anna.ok('rm', holder);
  });

  it('fills an empty volume with what the image has there, once', async () => {
    expect((await ran(anna, '-v', 'etc:/etc', 'busybox', 'sh', '-c', 'test -s /etc/passwd && rm /etc/passwd')).exitCode).toBe('0');
    expect((await ran(anna, '-v', 'etc:/etc', 'busybox', 'test', '-e', '/etc/passwd')).exitCode).toBe('1');
    expect((await ran(anna, '--mount', 'type=volume,src=bare,dst=/etc,volume-nocopy', 'busybox', 'test', '-e', '/etc/passwd')).exitCode).toBe('1');
  });

  it('gives anonymous volumes a life with their container', async () => {
    const id = await anna.ok('create', '-v', '/scratch', 'busybox', 'true');
    const [name] = (await anna.ok('volume', 'ls', '-q', '--filter', 'dangling=false')).split('\n');
    expect(name).toMatch(/^[0-9a-f]{64}$/);
    await anna.ok('rm', '-v', id);
    expect((await anna.ok('volume', 'ls', '-q')).split('\n')).not.toContain(name);
    await anna.ok('rm', await anna.ok('create', '-v', '/scratch', 'busybox', 'true'));
    expect(await anna.ok('volume', 'prune', '-f')).toMatch(/Deleted Volumes:\n[0-9a-f]{64}/);
    expect((await anna.ok('volume', 'ls', '-q')).split('\n').sort()).toEqual(['bare', 'data', 'etc']);
  });

  it('gives each container of an image with a volume one of its own, filled with what the image has there', async () => {
    const maker = await anna.ok('create', 'busybox', 'sh', '-c', 'mkdir /store && echo from the image > /store/f');
    await anna.ok('start', maker);
    await anna.ok('wait', maker);
    await anna.ok('commit', '-c', 'VOLUME /store', '-c', 'CMD ["sh", "-c", "cat /store/f; echo written >> /store/f"]', maker, 'with-volume');
    await anna.ok('rm', maker);
    const [first, second] = [await anna.ok('create', 'with-volume'), await anna.ok('create', 'with-volume')];
    for (const id of [first, first, second]) {
      await anna.ok('start', id);
      expect(await anna.ok('wait', id)).toBe('0');
    }
    expect(await anna.ok('logs', first)).toBe('from the image\nfrom the image\nwritten');
    expect(await anna.ok('logs', second)).toBe('from the image');
    const mounts = await Promise.all([first, second].map((id) => anna.json<[{ Mounts: { Type: string; Name: string; Destination: string }[] }]>('inspect', id)));
    expect(new Set(mounts.map(([{ Mounts }]) => Mounts[0]?.Name)).size).toBe(2);
    for (const [{ Mounts }] of mounts) expect(Mounts).toMatchObject([{ Type: 'volume', Destination: '/store' }]);
    // What another container mounts there comes in its place.
    expect(await ran(anna, '-v', 'data:/store', 'with-volume', 'sh', '-c', 'cat /store/file')).toEqual({ exitCode: '0', output: 'kept' });
    await anna.ok('rm', '-v', first, second);
    expect(await anna.ok('volume', 'ls', '-q', '--filter', 'dangling=false')).toBe('');
    await anna.ok('rmi', 'with-volume');
  });

  it("binds folders of the tenant's own host tree", async () => {
    expect((await ran(anna, '-v', '/srv/shared:/shared', 'busybox', 'sh', '-c', 'echo one > /shared/f')).exitCode).toBe('0');
    expect(await ran(anna, '-v', '/srv:/all:ro', 'busybox', 'cat', '/all/shared/f')).toEqual({ exitCode: '0', output: 'one' });
    expect((await ran(bert, '-v', '/srv:/all', 'busybox', 'test', '-e', '/all/shared')).exitCode).toBe('1');
    // What the tenant's host has at /etc is the tenant's, whatever the links in its tree say.
    expect((await ran(anna, '-v', '/:/host', 'busybox', 'sh', '-c', 'ln -s /etc /host/link')).exitCode).toBe('0');
    expect((await ran(anna, '-v', '/link:/look', 'busybox', 'test', '-e', '/look/hostname')).exitCode).toBe('1');
    expect(await anna.fails('create', '--mount', 'type=bind,src=/absent,dst=/x', 'busybox')).toMatch(/bind source path does not exist/);
    // Seen at once on both sides, also by a container that was there before.
    const reader = await anna.ok('create', '-v', '/srv/shared:/s', 'busybox', 'sh', '-c', 'while ! test -e /s/late; do sleep 0.1; done; cat /s/late');
    await anna.ok('start', reader);
    await ran(anna, '-v', '/srv/shared:/s', 'busybox', 'sh', '-c', 'echo seen > /s/late.new && mv /s/late.new /s/late');
    await anna.ok('wait', reader);
    expect(await anna.ok('logs', reader)).toBe('seen');
    await anna.ok('rm', reader);
  });

  it('mounts tmpfs', async () => {
    const { output } = await ran(anna, '--tmpfs', '/fast:size=1m', '--mount', 'type=tmpfs,dst=/other,tmpfs-size=2m', 'busybox', 'sh', '-c', 'df -k /fast /other | tail -n +2 | awk \'{print $2}\'');
    expect(output.split('\n')).toEqual(['1024', '2048']);
  });

  it('inherits volumes from containers, until nobody uses them', async () => {
    await anna.ok('create', '--name', 'dc01', '-v', '/dv', 'busybox', 'sh', '-c', 'echo from dc01 > /dv/f');
    await anna.ok('start', 'dc01');
    await anna.ok('wait', 'dc01');
    await anna.ok('create', '--name', 'dc02', '--volumes-from', 'dc01', 'busybox', 'sh', '-c', 'echo from dc02 >> /dv/f');
    await anna.ok('create', '--name', 'dc03', '--volumes-from', 'dc02:ro', 'busybox', 'sh', '-c', 'cat /dv/f; touch /dv/no');
    await anna.ok('rm', 'dc01');
    await anna.ok('start', 'dc02');
    await anna.ok('wait', 'dc02');
    await anna.ok('start', 'dc03');
    expect(await anna.ok('wait', 'dc03')).toBe('1');
    expect((await anna.run(['logs', 'dc03'])).stdout).toBe('from dc01\nfrom dc02\n');
    await anna.ok('rm', '-v', 'dc02');
    expect(await anna.ok('volume', 'ls', '-q', '--filter', 'dangling=false')).toHaveLength(64);
    await anna.ok('rm', '-v', 'dc03');
    expect(await anna.ok('volume', 'ls', '-q', '--filter', 'dangling=false')).toBe('');
  });

  it('backs up and restores through containers', async () => {
    await anna.ok('create', '--name', 'dbdata', '-v', '/dbdata', 'busybox', 'sh', '-c', 'echo precious > /dbdata/db');
    await anna.ok('start', 'dbdata');
    await anna.ok('wait', 'dbdata');
    expect((await ran(anna, '--volumes-from', 'dbdata', '-v', '/home/anna:/backup', 'busybox', 'tar', 'cvf', '/backup/backup.tar', '/dbdata')).exitCode).toBe('0');
    await anna.ok('rm', '-v', 'dbdata');
    await anna.ok('create', '--name', 'dbdata2', '-v', '/dbdata', 'busybox', 'true');
    expect((await ran(anna, '--volumes-from', 'dbdata2', '-v', '/home/anna:/backup', 'busybox', 'tar', 'xvf', '/backup/backup.tar', '-C', '/')).exitCode).toBe('0');
    expect(await ran(anna, '--volumes-from', 'dbdata2', 'busybox', 'cat', '/dbdata/db')).toEqual({ exitCode: '0', output: 'precious' });
    await anna.ok('rm', '-v', 'dbdata2');
  });

  it("ends at the tenant's limit, in a container and in a volume, while another tenant writes on", async () => {
    const available = Number((await ran(anna, 'busybox', 'sh', '-c', "df -k / | tail -n 1 | awk '{print $4}'")).output) * 1024;
    // What the suite has left on the disk until here is small.
    expect(available).toBeLessThanOrEqual(128 * MiB);
    expect(available).toBeGreaterThan(126 * MiB);
    const fill = 'dd if=/dev/zero of=$0 bs=64k 2>&1; sync; stat -c %s $0; rm $0';
    for (const [target, ...args] of [['/full'], ['/data/full', '-v', 'data:/data']] as const) {
      const [{ output }] = await Promise.all([ran(anna, ...args, 'busybox', 'sh', '-c', fill, target), ran(bert, 'busybox', 'dd', 'if=/dev/zero', 'of=/x', 'bs=1M', 'count=200')]);
      expect(output).toMatch(/No space left on device/);
      expect(Math.abs(Number(output.split('\n').at(-1)) - available)).toBeLessThan(MiB);
    }
  }, 60_000);

  it('gives a container a hard end of its own', async () => {
    const { output } = await ran(anna, '--storage-opt', 'size=32M', 'busybox', 'sh', '-c', 'dd if=/dev/zero of=/full bs=64k 2>&1; stat -c %s /full');
    expect(output).toMatch(/No space left on device/);
    const written = Number(output.split('\n').at(-1));
    expect(written).toBeLessThanOrEqual(32 * MiB);
    expect(written).toBeGreaterThan(30 * MiB);
  });
});
