import { execFileSync, spawn } from 'node:child_process';
import { chmod, chown, copyFile, lstat, mkdir, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { readMounts } from '../linux/index.js';
import type { WritableLayer } from '../snapshots/index.js';
import { CONTAINER_CAPABILITIES } from './capabilities.js';
import { findLeaks } from './leaks.js';
import type { OciRuntime } from './oci-runtime.js';
import type { Sandbox, SandboxMount, SandboxPrivileges, SandboxSpec } from './runtime.js';
import { DiskFolder, newLayer } from './testing/test-disk.js';
import { DEEP_CHAIN_ID, makeWorld, type World } from './testing/world.js';

const MIB = 1024 * 1024;
const PRIVILEGES: SandboxPrivileges = {
  noNewPrivileges: false,
  capabilities: CONTAINER_CAPABILITIES,
  readOnlyRootfs: false,
  shmBytes: MIB,
};

/** Sandboxes as containers have them: a writable layer on a disk, bind mounts, set-id programs. */
export function describeContainerSandbox(name: string, ociRuntime: () => OciRuntime): void {
  describe(`${name} for containers`, () => {
    let disks: DiskFolder;
    let disk: string;
    let world: World;
    let layer: WritableLayer;
    let mountsBefore: readonly string[];
    let count = 0;

    beforeAll(async () => {
      disks = await DiskFolder.open(name);
      disk = await disks.ext4('disk', 24 * MIB);
      world = await makeWorld(ociRuntime(), `box-${name}`);
      world.spawner.start();
      mountsBefore = await ownMounts();
    }, 60_000);
    afterAll(async () => {
      await world.dispose();
      expect(await findLeaks(world)).toEqual([]);
      await disks.close();
    });
    beforeEach(async () => {
      layer = await newLayer(disk, `c${(count += 1)}`);
    });
    afterEach(async () => {
      for (const sandbox of await world.runtime.list()) await sandbox.destroy();
      expect(await ownMounts()).toEqual(mountsBefore);
    });

    /** In the host's name space. */
    async function ownMounts(): Promise<string[]> {
      return (await readMounts()).filter(({ mountPoint, source }) => [world.root, disks.path].some((root) => mountPoint.startsWith(root)) || source.startsWith('sandbar')).map(({ mountPoint }) => mountPoint);
    }

    function boxed(more: Partial<SandboxSpec> = {}): Promise<Sandbox> {
      return world.runtime.create({ ...world.spec(), writableLayer: layer, privileges: PRIVILEGES, ...more });
    }

    async function run(sandbox: Sandbox, line: string): Promise<string> {
      return (await world.sh(sandbox, line)).output;
    }

    function bind(path: string, options: Partial<Extract<SandboxMount, { kind: 'bind' }>['source']> = {}, destination = '/data'): SandboxMount {
      return { kind: 'bind', destination, source: { base: join(disk, 'volume'), path, ensureDirectory: false, readOnly: false, ...options } };
    }

    describe('writable layer', () => {
      it('outlives its sandbox with the guest\u2019s own ids, and the next one, of other host ids, goes on with it', async () => {
        const first = await boxed();
        expect(await run(first, 'mkdir /opt && echo one > /opt/file && chown 1000:100 /opt/file && chmod 640 /opt/file && rm /bin/probe && mv /bin/identity /bin/moved && mv /etc /elsewhere && mkdir /etc && echo x >> /etc/made && touch /root/mine && id -u')).toBe('0\n');
        // Keeps the range of ids.
        const other = await world.runtime.create(world.spec());
        await first.destroy();
        const { upperDir } = layer;
        expect(await lstat(join(upperDir, 'opt/file'))).toMatchObject({ uid: 1000, gid: 100, mode: 0o100640 });
        expect(await lstat(join(upperDir, 'root/mine'))).toMatchObject({ uid: 0, gid: 0 });
        const whiteout = await lstat(join(upperDir, 'bin/probe'));
        expect([whiteout.isCharacterDevice(), whiteout.rdev]).toEqual([true, 0]);
        const [next, third] = [await world.runtime.create(world.spec()), await boxed()];
        expect(await run(third, 'stat -c "%u:%g %a" /opt/file; cat /opt/file; ls /bin/probe 2>/dev/null; cp /bin/busybox /opt; /opt/busybox echo runs; echo two >> /opt/file; echo old > /bin/probe; cat /opt/file')).toBe('1000:100 640\none\nruns\none\ntwo\n');
        await Promise.all([other, next, third].map((sandbox) => sandbox.destroy()));
        expect((await lstat(join(upperDir, 'bin/probe'))).isFile()).toBe(true);
        expect(await readFile(join(upperDir, 'opt/file'), 'utf8')).toBe('one\ntwo\n');
        // A plain difference: nothing that only overlayfs understands but where a copy came from.
        const attributes = execFileSync(join(world.root, '../identity'), ['attributes', join(upperDir, 'bin/moved'), join(upperDir, 'etc'), join(upperDir, 'etc/made')], { encoding: 'utf8' });
        expect(attributes.trim().split('\n').filter((attribute) => !/^trusted\.overlay\.(origin|impure|opaque)$/.test(attribute))).toEqual([]);
      });

      it('is taken up again at once, however often', async () => {
        for (let start = 1; start <= 12; start += 1) {
          const sandbox = await boxed();
          expect(await run(sandbox, 'echo line >> /root/log; wc -l < /root/log')).toBe(`${start}\n`);
          await sandbox.destroy();
        }
      });

      it('tells the guest when its disk is full, and others go on', async () => {
        const small = await disks.ext4(`small-${name}`, 4 * MIB);
        mountsBefore = await ownMounts();
        const sandbox = await boxed({ writableLayer: await newLayer(small, 'c') });
        expect(await run(sandbox, 'dd if=/dev/zero of=/root/big bs=64k count=200')).toContain('No space left');
        expect(await run(sandbox, 'rm /root/big && echo room')).toBe('room\n');
      });

      it('makes of no image an empty root file system', async () => {
        await mkdir(join(disk, 'volume', 'static'), { recursive: true });
        await copyFile('/bin/busybox', join(disk, 'volume/static/sh'));
        for (const writableLayer of [layer, undefined]) {
          const sandbox = await world.runtime.create({ ...world.spec(), chainId: undefined, mounts: [bind('static', {}, '/bin')], ...(writableLayer === undefined ? {} : { writableLayer }) });
          expect(await run(sandbox, 'for e in /*; do echo $e; done; : > /made && echo writable')).toBe('/bin\n/dev\n/proc\n/sys\nwritable\n');
        }
        expect((await lstat(join(layer.upperDir, 'made'))).uid).toBe(0);
      });

      it('lies on 127 layers', async () => {
        const sandbox = await boxed({ chainId: DEEP_CHAIN_ID });
        expect(await run(sandbox, 'echo made > /etc/x; cat /etc/x')).toBe('made\n');
      });

      it('refuses folders that do not lie side by side', async () => {
        await expect(boxed({ writableLayer: { ...layer, workDir: join(disk, 'elsewhere') } })).rejects.toMatchObject({ code: 'invalid_argument' });
        await expect(boxed({ writableLayer: { upperDir: join(disk, 'a,b'), workDir: join(disk, 'work') } })).rejects.toMatchObject({ code: 'invalid_argument' });
        await expect(boxed({ writableLayer: { upperDir: join(disk, 'absent/upper'), workDir: join(disk, 'absent/work') } })).rejects.toMatchObject({ code: 'not_found' });
      });
    });

    describe('privileges', () => {
      const CAP_KILL = 5;

      it('lets set-id programs and file capabilities work, those of an earlier sandbox too, and neither in a run', async () => {
        const first = await boxed();
        expect(await run(first, `cd /root/.. && for n in setid capable; do cp /bin/identity /bin/$n; done; chmod 4755 /bin/setid; identity grant /bin/capable ${CAP_KILL} && identity as 1000 setid && identity as 1000 capable`)).toMatch(/^0 [0-9a-f]{16} 0\n1000 0000000000000020 0\n$/);
        const keeper = await world.runtime.create(world.spec());
        await first.destroy();
        const [next, second] = [await world.runtime.create(world.spec()), await boxed()];
        expect(await run(second, 'identity as 1000 setid; identity as 1000 capable; identity as 1000 identity')).toMatch(/^0 [0-9a-f]{16} 0\n1000 0000000000000020 0\n1000 0{16} 0\n$/);
        await second.destroy();
        const unprivileged = await world.runtime.create({ ...world.spec(), writableLayer: layer });
        expect(await run(unprivileged, 'identity as 1000 setid; identity as 1000 capable')).toBe('1000 0000000000000000 1\n1000 0000000000000000 1\n');
        await Promise.all([keeper, next].map((sandbox) => sandbox.destroy()));
      });

      it('can keep the root file system from being written, with its binds and tmpfs mounts open', async () => {
        await mkdir(join(disk, 'volume', 'open'), { recursive: true });
        const sandbox = await boxed({
          privileges: { ...PRIVILEGES, readOnlyRootfs: true },
          mounts: [bind('open'), { kind: 'tmpfs', destination: '/scratch/', sizeBytes: 65_536, mode: 0o1770 }, { kind: 'tmpfs', destination: '/fixed', sizeBytes: 65_536, mode: 0o755, readOnly: true }],
        });
        expect(await run(sandbox, 'touch /x 2>&1; touch /data/x && touch /scratch/x && stat -c %a /scratch; touch /fixed/x 2>&1; dd if=/dev/zero of=/scratch/big bs=128k count=1 2>&1 | grep -o "No space left"; df -k /dev/shm | tail -1 | tr -s " " | cut -d" " -f2')).toBe(
          'touch: /x: Read-only file system\n1770\ntouch: /fixed/x: Read-only file system\nNo space left\n1024\n',
        );
      });

      it('refuses a capability that is none', async () => {
        await expect(boxed({ privileges: { ...PRIVILEGES, capabilities: ['CAP_EVERYTHING'] } })).rejects.toMatchObject({ code: 'invalid_argument' });
      });
    });

    describe('binds', () => {
      beforeEach(async () => {
        await rm(join(disk, 'volume'), { recursive: true, force: true });
        await mkdir(join(disk, 'volume', 'folder'), { recursive: true, mode: 0o755 });
        await writeFile(join(disk, 'volume/folder/file'), 'content\n');
        await chown(join(disk, 'volume/folder/file'), 1000, 1000);
      });

      it('shows folders and files, to be written or not, with the guest\u2019s ids and programs that run', async () => {
        const sandbox = await boxed({ mounts: [bind('', {}, '/all'), bind('folder', { readOnly: true }, '/ro'), bind('folder/file', {}, '/etc/one'), bind('folder/file', { readOnly: true }, '/etc/two')] });
        const lines = ['stat -c %u:%g /ro/file', 'cat /etc/one /etc/two', 'touch /ro/x 2>&1', '(echo y > /etc/two) 2>&1', 'echo more >> /etc/one', 'cp /bin/busybox /all', '/all/busybox tail -n1 /all/folder/file', 'mknod /all/sda b 8 0 2>&1'];
        expect(await run(sandbox, lines.join('; '))).toBe(
          '1000:1000\ncontent\ncontent\ntouch: /ro/x: Read-only file system\nsh: can\u2019t create /etc/two: Read-only file system\nmore\nmknod: /all/sda: Operation not permitted\n'.replace('\u2019', "'"),
        );
        await sandbox.destroy();
        expect(await lstat(join(disk, 'volume/busybox'))).toMatchObject({ uid: 0, gid: 0 });
        expect(await readFile(join(disk, 'volume/folder/file'), 'utf8')).toBe('content\nmore\n');
      });

      it('counts set-id programs of a bind in containers alone', async () => {
        const sandbox = await boxed({ mounts: [bind('')] });
        expect(await run(sandbox, 'cp /bin/identity /data/setid && chmod 4755 /data/setid && identity as 1000 /data/setid')).toMatch(/^0 /);
        await sandbox.destroy();
        expect(await run(await world.runtime.create({ ...world.spec(), mounts: [bind('')] }), 'identity as 1000 /data/setid; grep " /data " /proc/self/mountinfo | cut -d" " -f6')).toMatch(/^1000 0{16} 1\nrw,nosuid,nodev/);
      });

      it('makes missing folders when asked, as the guest\u2019s root, and names the bind otherwise', async () => {
        const sandbox = await boxed({ mounts: [bind('/folder//new/deep/', { ensureDirectory: true })] });
        expect(await run(sandbox, 'stat -c "%u:%g %a" /data; touch /data/x')).toBe('0:0 755\n');
        expect(await lstat(join(disk, 'volume/folder/new'))).toMatchObject({ uid: 0, gid: 0, mode: 0o40755 });
        await expect(boxed({ mounts: [bind('folder'), bind('absent', {}, '/b')] })).rejects.toMatchObject({ code: 'not_found', message: expect.stringContaining('bind 1: ENOENT') as string, details: { step: 'bind 1', errno: 'ENOENT' } });
        await expect(boxed({ mounts: [bind('folder/file/below', { ensureDirectory: true })] })).rejects.toMatchObject({ code: 'invalid_argument', details: { errno: 'ENOTDIR' } });
      });

      it('ends every link inside the base', async () => {
        const volume = join(disk, 'volume');
        await mkdir(join(disk, 'secret'), { recursive: true });
        await symlink('/etc', join(volume, 'absolute'));
        await symlink('../../../../../../etc', join(volume, 'upward'));
        await symlink('/proc/self/root/etc', join(volume, 'magic'));
        await symlink('loop', join(volume, 'loop'));
        await symlink('/missing', join(volume, 'dangling'));
        for (const path of ['absolute', 'upward', '../../../etc', '..', 'absolute/../../../etc']) {
          const made = boxed({ mounts: [bind(path, { ensureDirectory: true })] });
          const outcome = await made.then((sandbox) => run(sandbox, 'cat /data/passwd /data/secret 2>/dev/null; echo end'), (error: unknown) => (error as { details: { errno: string } }).details.errno);
          expect([path, outcome]).toEqual([path, ['absolute', 'upward'].includes(path) ? 'ENOENT' : 'end\n']);
          for (const sandbox of await world.runtime.list()) await sandbox.destroy();
        }
        for (const [path, errno] of [['magic', 'ENOENT'], ['loop', 'ELOOP'], ['dangling', 'ENOENT']] as const) {
          await expect(boxed({ mounts: [bind(path, { ensureDirectory: true })] })).rejects.toMatchObject({ details: { errno } });
        }
        // The base itself may not be a link.
        await symlink('/etc', join(disk, `link-${name}`));
        await expect(boxed({ mounts: [bind('', { base: join(disk, `link-${name}`) })] })).rejects.toMatchObject({ code: 'invalid_argument' });
      });

      it('enters no mount below the base, and shows none', async () => {
        const inner = join(disk, 'volume/folder');
        execFileSync('mount', ['-t', 'tmpfs', 'walls', inner]);
        try {
          await expect(boxed({ mounts: [bind('folder', { ensureDirectory: true })] })).rejects.toMatchObject({ details: { errno: 'EXDEV' } });
          const sandbox = await boxed({ mounts: [bind('')] });
          expect(await run(sandbox, 'cat /data/folder/file')).toBe('content\n');
          await sandbox.destroy();
        } finally {
          execFileSync('umount', [inner]);
        }
      });

      it('follows no link that is put in a folder\u2019s place during launches', async () => {
        const volume = join(disk, 'volume');
        const canary = join(disk, `canary-${name}`);
        await mkdir(join(canary, 'b'), { recursive: true });
        await chmod(canary, 0o777);
        await writeFile(join(canary, 'b/flag'), 'reached\n');
        await mkdir(join(volume, 'a/b'), { recursive: true });
        await symlink(canary, join(volume, 'link'));
        await symlink(`../../disk/canary-${name}`, join(volume, 'link2'));
        // As a guest that has the volume would, but with a processor of its own.
        const swapper = spawn(join(world.root, '../identity'), ['exchange', 'a', 'link', 'link2'], { cwd: volume, stdio: ['pipe', 'pipe', 'inherit'] });
        const outcomes = new Set<string>();
        try {
          for (let round = 0; round < 60; round += 1) {
            const mounts = [bind('a/b', { ensureDirectory: round % 2 === 0 }), bind('a/b/made', { ensureDirectory: true }, '/made')];
            const made = await world.runtime.create({ ...world.spec(), mounts }).catch((error: unknown) => (error as { details: { errno?: string } }).details.errno ?? String(error));
            if (typeof made === 'string') {
              outcomes.add(made);
              continue;
            }
            outcomes.add('made');
            expect(await run(made, 'cat /data/flag 2>/dev/null; ls -A /made')).toBe('');
            await made.destroy();
          }
          const rounds = text(swapper.stdout);
          swapper.stdin.end();
          expect(Number(await rounds)).toBeGreaterThan(40);
        } finally {
          swapper.kill('SIGKILL');
        }
        // Both were met: the folder and the link.
        expect([...outcomes].sort()).toEqual(['ENOENT', 'made']);
        expect([await readdir(canary), await readdir(join(canary, 'b'))]).toEqual([['b'], ['flag']]);
      }, 300_000);

      it('sees a disk that was mounted after the spawner had started', async () => {
        await boxed();
        const later = await disks.ext4(`later-${name}`, 4 * MIB);
        mountsBefore = await ownMounts();
        await writeFile(join(later, 'file'), 'later\n');
        const sandbox = await world.runtime.create({ ...world.spec(), mounts: [bind('', { base: later })] });
        expect(await run(sandbox, 'cat /data/file')).toBe('later\n');
      });

      it.each(['/', '/proc', '/proc/sys', '/sys/x', '/dev', '/dev/null', '/a/../proc/x', 'relative', ''])('refuses to mount at "%s"', async (destination) => {
        await expect(boxed({ mounts: [bind('', {}, destination)] })).rejects.toMatchObject({ code: 'invalid_argument' });
        await expect(boxed({ mounts: [{ kind: 'tmpfs', destination, sizeBytes: 4096, mode: 0o755 }] })).rejects.toMatchObject({ code: 'invalid_argument' });
      });

      // CVE-2025-52881: what the kernel says there would be the guest's own files.
      it.each([
        ['/proc', '/link', ''],
        ['/proc', '/link/sys', ''],
        ['/proc', '/link/sys/kernel', ''],
        ['/proc', '/link/1', ''],
        ['/proc/self', '/link/attr', ''],
        ['/sys', '/link/kernel', ''],
        ['../../../../../..', '/link/sandbar-test', '/sandbar-test\n'],
      ])('keeps a destination that the image leads to %s within the sandbox', async (target, destination, expected) => {
        await symlink(target, join(layer.upperDir, 'link'));
        const made = world.runtime.create({ ...world.spec(), writableLayer: layer, mounts: [bind('folder', {}, destination)] });
        const said = await made.then(
          (sandbox) => run(sandbox, '(echo x > /proc/sys/kernel/core_pattern) 2>/dev/null && echo wrote; ls -d /sandbar-test 2>/dev/null'),
          (error: unknown) => (/inside \/(proc|sys)|not of type proc/.test(String(error)) ? '' : String(error)),
        );
        expect(said).toBe(expected);
        await expect(lstat('/sandbar-test')).rejects.toMatchObject({ code: 'ENOENT' });
      });

      it('takes the place of /dev/shm', async () => {
        const sandbox = await boxed({ mounts: [{ kind: 'tmpfs', destination: '/dev/shm', sizeBytes: 8192, mode: 0o700 }] });
        expect(await run(sandbox, 'grep -c " /dev/shm " /proc/self/mountinfo; stat -c %a /dev/shm')).toBe('1\n700\n');
      });
    });

    it('finds such a sandbox again after a restart, one of an older version too, and never touches its layer and binds', async () => {
      await mkdir(join(disk, 'volume'), { recursive: true });
      await copyFile('/bin/busybox', join(disk, 'volume/sh'));
      const [sandbox, older] = [await boxed({ chainId: undefined, mounts: [bind('', {}, '/bin')] }), await world.runtime.create(world.spec())];
      const state = join(world.root, 'sandboxes', older.id, 'state.json');
      await writeFile(state, (await readFile(state, 'utf8')).replace('"version":3', '"version":2'));
      const reopened = await world.reopen();
      expect((await reopened.list()).map(({ id }) => id).sort()).toEqual([sandbox.id, older.id].sort());
      await writeFile(join(disk, 'volume/kept'), '');
      await writeFile(join(layer.upperDir, 'kept'), '');
      for (const found of await reopened.list()) await found.destroy();
      await Promise.all([join(disk, 'volume/kept'), join(layer.upperDir, 'kept')].map((path) => lstat(path)));
    });
  });
}
