import { access, cp, mkdir, readFile, readdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { newId } from '#kernel';
import { readMounts } from '../linux/index.js';
import { findLeaks } from './leaks.js';
import type { OciRuntime } from './oci-runtime.js';
import { makeWorld, type World } from './testing/world.js';

const MIB = 1024 * 1024;

/** What of the probe's attempts must work; all others must fail. */
const ALLOWED = ['socket_tcp', 'socket_udp6', 'socket_unix', 'socket_route', 'mknod_fifo', 'personality_0', 'dev_null', 'dev_urandom', 'shm_create', 'ptmx', 'work_create'];
/** ENOSYS, so that C libraries fall back. */
const UNKNOWN = ['clone3', 'unknown_syscall', 'personality_32'];

/** What every OCI runtime must make of our bundle. Real sandboxes, with a stub for the guest agent. */
export function describeSandboxRuntime(name: string, ociRuntime: () => OciRuntime): void {
  describe(name, () => {
    let world: World;

    beforeAll(async () => {
      world = await makeWorld(ociRuntime(), name);
    }, 60_000);
    afterAll(async () => {
      await world.dispose();
      expect(await findLeaks(world)).toEqual([]);
    });
    // A failed test must not fail the next.
    afterEach(async () => {
      for (const sandbox of await world.runtime.list()) await sandbox.destroy();
    });

    /** Nothing but the parents of the cgroup tree. */
    async function expectNothingLeft(): Promise<void> {
      const leaks = await findLeaks(world);
      expect(leaks.filter((leak) => leak.kind !== 'cgroup' || leak.what.includes('sbx_'))).toEqual([]);
    }

    it('keeps two sandboxes apart, each with host ids of its own', async () => {
      const [a, b] = await Promise.all([world.runtime.create(world.spec()), world.runtime.create(world.spec())]);
      expect((await world.sh(a, 'id -u; hostname; echo secret > /tmp/mine; cat /tmp/mine; ls /bin/probe')).output).toBe('0\nwalls\nsecret\n/bin/probe\n');
      expect((await world.sh(b, 'cat /tmp/mine')).status).not.toBe(0);
      const owners = await Promise.all(
        [a, b].map(async (sandbox) => {
          const pid = Number(await readFile(join(world.root, 'sandboxes', sandbox.id, 'pid'), 'latin1'));
          return (await readFile(`/proc/${pid}/status`, 'latin1')).match(/^Uid:\t(\d+)/m)?.[1];
        }),
      );
      expect(new Set(owners).size).toBe(2);
      for (const owner of owners) expect(Number(owner)).toBeGreaterThanOrEqual(1_000_000);
      expect((await world.sh(a, 'ps | grep -c sandbar-init; ls /sys/class/net; ls -A /sys/fs/cgroup')).output).toMatch(/^\d\nlo\n$/);
      const mounts = await readMounts();
      expect(mounts.filter((mount) => mount.mountPoint.startsWith(world.root) || mount.fsType === 'overlay' && mount.source.startsWith('sandbar'))).toEqual([]);
      await Promise.all([a.destroy(), b.destroy()]);
      await a.destroy();
      await expectNothingLeft();
    });

    it('refuses from inside, as the guest’s root, what would reach out; the second launch as the first', async () => {
      for (let launch = 0; launch < 2; launch += 1) {
        const sandbox = await world.runtime.create(world.spec());
        const { output } = await world.sh(sandbox, 'probe');
        const results = new Map(output.trim().split('\n').map((text) => text.split(' ') as [string, string]));
        expect(results.size).toBeGreaterThan(50);
        expect([...results].filter(([, errno]) => errno === '0').map(([attempt]) => attempt)).toEqual(ALLOWED);
        for (const attempt of UNKNOWN) expect([attempt, results.get(attempt)]).toEqual([attempt, '38']);
        // EPROTONOSUPPORT, with which useradd goes on; after EPERM it gives up.
        expect(results.get('socket_audit')).toBe('93');
        expect((await world.sh(sandbox, 'grep -h -E "^(Seccomp|NoNewPrivs|CapBnd):" /proc/1/status')).output).toBe('CapBnd:\t00000000a00405fb\nNoNewPrivs:\t1\nSeccomp:\t2\n');
        await sandbox.destroy();
      }
    });

    it('holds the limits: memory, processes, disk; and its first process outlives them', async () => {
      const sandbox = await world.runtime.create(world.spec({ memoryBytes: 48 * MIB, pids: 20, diskBytes: 4 * MIB }));
      expect((await world.sh(sandbox, 'dd if=/dev/zero of=/root/big bs=64k count=200')).output).toContain('No space left');
      expect(Number((await world.sh(sandbox, 'stat -c %s /root/big; rm /root/big')).output)).toBeLessThanOrEqual(4 * MIB);
      expect((await world.sh(sandbox, 'x=0123456789abcdef; while :; do x=$x$x; done')).status).not.toBe(0);
      expect((await sandbox.usage()).oomKills).toBeGreaterThan(0);
      await world.sh(sandbox, 'for i in 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15 16 17 18 19 20 21 22 23 24 25; do sleep 2 & done 2>/dev/null; wait');
      expect((await world.sh(sandbox, 'echo alive')).output).toBe('alive\n');
      expect((await sandbox.usage()).pids).toBeLessThanOrEqual(20);
      await sandbox.updateLimits({ memoryBytes: 64 * MIB, pids: 30, cpuMillis: 100 });
      const before = (await sandbox.usage()).cpuTimeUs;
      await world.sh(sandbox, 'timeout 1 sh -c "while :; do :; done"');
      expect((await sandbox.usage()).cpuTimeUs - before).toBeLessThan(300_000);
      await sandbox.destroy();
      await expectNothingLeft();
    }, 30_000);

    it('tells a sandbox nothing of the host\u2019s disk', async () => {
      const sandbox = await world.runtime.create(world.spec());
      const { output } = await world.sh(sandbox, 'stat -f -c "%T %b" /dev/.sandbar-init; grep sandbar-init /proc/self/mountinfo; df -a');
      const [type, blocks] = output.split('\n', 1)[0]!.split(' ');
      expect(type).toBe('tmpfs');
      expect(Number(blocks)).toBeLessThan(1024);
      expect(output).not.toContain(world.root);
      await sandbox.destroy();
    });

    it('destroys a sandbox full of forks, frozen or not', async () => {
      const sandbox = await world.runtime.create(world.spec());
      void world.sh(sandbox, 'f() { f & f & }; while :; do f; done').catch(() => undefined);
      await sleep(200);
      await sandbox.freeze();
      await sandbox.destroy();
      await expectNothingLeft();
    });

    it('refuses an id twice and an unknown snapshot, and leaves nothing of either', async () => {
      const spec = world.spec();
      const sandbox = await world.runtime.create(spec);
      await expect(world.runtime.create(spec)).rejects.toMatchObject({ code: 'already_exists' });
      expect((await world.sh(sandbox, 'echo still here')).output).toBe('still here\n');
      await sandbox.destroy();
      await expect(world.runtime.create({ ...world.spec(), chainId: `sha256:${'0'.repeat(64)}` as never })).rejects.toMatchObject({ code: 'not_found' });
      await expectNothingLeft();
    });

    it('finds its sandboxes again after a restart of worker and spawner, and destroys them', async () => {
      const [live, dead] = [await world.runtime.create(world.spec()), await world.runtime.create(world.spec())];
      process.kill(world.spawner.pid!, 'SIGKILL');
      await world.cgroups.sandbox(world.tenantId, dead.id).kill();
      const reopened = await world.reopen();
      expect((await reopened.list()).map((sandbox) => sandbox.id).sort()).toEqual([live.id, dead.id].sort());
      const again = await reopened.get(live.id);
      expect(again).toMatchObject({ tenantId: world.tenantId, annotations: { owner: 'test' }, createdAt: live.createdAt });
      expect((await world.sh(again!, 'echo alive')).output).toBe('alive\n');
      await expect((await reopened.get(dead.id))!.connect(0)).rejects.toMatchObject({ code: 'unavailable' });
      const third = await reopened.create(world.spec());
      for (const sandbox of await reopened.list()) await sandbox.destroy();
      expect(await reopened.get(third.id)).toBeUndefined();
      await expectNothingLeft();
    });

    it('sweeps what a crash left at any step of making or removing', async () => {
      const at = (...names: string[]): string => join(world.root, ...names);
      const ids = Array.from({ length: 6 }, () => newId('sandbox'));
      // Before the state, with a damaged state, before the launch, and with only a cgroup or a launch folder.
      await mkdir(at('sandboxes', ids[0]!));
      await mkdir(at('sandboxes', ids[1]!));
      await writeFile(at('sandboxes', ids[1]!, 'state.json'), '{"version":1,"pha');
      await world.cgroups.ensureSandbox(world.tenantId, ids[2]!, {});
      await mkdir(at('launch', ids[3]!));
      await mkdir(at('oci', ids[4]!));
      // Launched, but never written down as running; and with the state already gone, as after the first step of removal.
      const launched = await world.runtime.create(world.spec());
      await rm(at('sandboxes', launched.id, 'state.json'));
      await rm(at('sandboxes', launched.id, 'config.json'));
      const removing = await world.runtime.create(world.spec());
      await rm(at('sandboxes', removing.id, 'state.json'));
      // A folder copied under another name is nobody's sandbox.
      const copied = await world.runtime.create(world.spec());
      await cp(at('sandboxes', copied.id, 'state.json'), at('sandboxes', ids[1]!, 'state.json'));
      // Nor are two that claim one range of ids, or one that claims none.
      for (const slot of ['0', '-1']) {
        const id = newId('sandbox');
        await mkdir(at('sandboxes', id));
        const text = (await readFile(at('sandboxes', copied.id, 'state.json'), 'utf8')).replace(copied.id, id);
        await writeFile(at('sandboxes', id, 'state.json'), slot === '0' ? text : text.replace(/"slot":\d+/, `"slot":${slot}`));
      }
      const reopened = await world.reopen();
      expect((await reopened.list()).map((sandbox) => sandbox.id)).toEqual([copied.id]);
      await (await reopened.get(copied.id))!.destroy();
      await expectNothingLeft();
    }, 30_000);

    it('makes and destroys fifty, eight at once, and leaks nothing', async () => {
      const before = (await readdir('/proc/self/fd')).length;
      const runtime = await world.reopen();
      for (let round = 0; round < 7; round += 1) {
        const sandboxes = await Promise.all(Array.from({ length: 8 }, () => runtime.create(world.spec())));
        await Promise.all(sandboxes.map((sandbox) => sandbox.destroy()));
      }
      await expectNothingLeft();
      expect((await readdir('/proc/self/fd')).length).toBeLessThanOrEqual(before + 4);
      await access(join(world.root, 'bin/sandbar-init'));
    }, 60_000);
  });
}
