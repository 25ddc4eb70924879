import { spawn, type ChildProcessByStdio } from 'node:child_process';
import { once } from 'node:events';
import { readlink } from 'node:fs/promises';
import type { Readable } from 'node:stream';
import { CONTAINER_CAPABILITIES } from './capabilities.js';
import type { OciRuntime } from './oci-runtime.js';
import type { Sandbox, SandboxSpec } from './runtime.js';
import { makeWorld, type World } from './testing/world.js';

/** Sandboxes in a network name space that is not their own: another sandbox's, or one that the node's root owns. */
export function describeJoinedNetwork(name: string, ociRuntime: () => OciRuntime): void {
  describe(`${name} in another network name space`, () => {
    let world: World;
    let holder: ChildProcessByStdio<null, Readable, null>;
    const path = (): string => `/proc/${holder.pid ?? 0}/ns/net`;
    beforeAll(async () => {
      world = await makeWorld(ociRuntime(), `join-${name}`);
      world.spawner.start();
      holder = spawn('unshare', ['--net', 'sh', '-c', 'ip link set lo up && ip link add held0 type veth peer name held1 && echo made && exec sleep 600'], { stdio: ['ignore', 'pipe', 'inherit'] });
      await once(holder.stdout, 'data');
    }, 60_000);
    afterAll(async () => {
      holder.kill('SIGKILL');
      await world.dispose();
    });
    afterEach(async () => {
      for (const sandbox of await world.runtime.list()) await sandbox.destroy();
    });

    async function joined(join: string, more: Partial<SandboxSpec> = {}): Promise<Sandbox> {
      return world.runtime.create({ ...world.spec(), network: { join }, ...more });
    }

    async function run(sandbox: Sandbox, line: string): Promise<string> {
      return (await world.sh(sandbox, line)).output;
    }

    it('sees its links in ip, in /proc and in /sys, and nothing of the node’s', async () => {
      const sandbox = await joined(path());
      const links = ['held0', 'held1', 'lo'];
      expect((await run(sandbox, "ip -o link | sed 's/^[0-9]*: //; s/[@:].*//' | sort")).trim().split('\n')).toEqual(links);
      expect((await run(sandbox, 'ls /sys/class/net')).trim().split(/\s+/).sort()).toEqual(links);
      expect((await run(sandbox, "sed 1,2d /proc/net/dev | sed 's/:.*//; s/ //g' | sort")).trim().split('\n')).toEqual(links);
      expect(await readlink(`/proc/${sandbox.pid}/ns/net`)).toBe(await readlink(path()));
    });

    it('changes nothing there, with whatever capabilities', async () => {
      const capabilities = [...CONTAINER_CAPABILITIES, 'CAP_NET_ADMIN', 'CAP_SYS_ADMIN'];
      const sandbox = await joined(path(), { privileges: { noNewPrivileges: false, capabilities, readOnlyRootfs: false, shmBytes: 1024 * 1024 } });
      for (const line of ['ip link set held0 up', 'ip addr add 10.0.0.1/8 dev held0', 'ip link del held0', 'ip link add more0 type dummy', 'echo 1 > /proc/sys/net/ipv4/ip_forward', 'echo x > /sys/class/net/held0/ifalias', 'mount -o remount,rw /sys', 'mount -t sysfs sysfs /tmp']) {
        expect([line, (await world.sh(sandbox, line)).status]).not.toEqual([line, 0]);
      }
    });

    it('shares another sandbox’s network, without a say over it', async () => {
      const first = await world.runtime.create(world.spec());
      const second = await joined(`/proc/${first.pid}/ns/net`);
      expect(await readlink(`/proc/${second.pid}/ns/net`)).toBe(await readlink(`/proc/${first.pid}/ns/net`));
      expect((await run(second, 'ls /sys/class/net')).trim()).toBe('lo');
      expect((await world.sh(second, 'ip link set lo down')).status).not.toBe(0);
    });

    it('never joins the node’s own', async () => {
      await expect(joined(`/proc/${process.pid}/ns/net`)).rejects.toMatchObject({ message: expect.stringContaining('network name space') as string });
      expect(await world.runtime.list()).toEqual([]);
    });
  });
}
