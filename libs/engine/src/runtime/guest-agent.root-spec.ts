import { crunRuntime } from './drivers/crun.js';
import { findLeaks } from './leaks.js';
import type { GuestAgent } from './agent/agent.js';
import { makeWorld, type World } from './testing/world.js';

const MIB = 1024 * 1024;

/** The real guest agent within the real walls. */
describe('a sandbox with its agent', () => {
  let world: World;
  beforeAll(async () => {
    world = await makeWorld(crunRuntime(), 'agent', 'real');
  }, 60_000);
  afterAll(() => world.dispose());

  async function run(agent: GuestAgent, argv: readonly string[], uid: number, id = 1, seen: (seq: number) => void = () => undefined): Promise<string> {
    await agent.start({ id, argv, env: ['PATH=/bin'], cwd: '/', uid, gid: uid, stdio: { kind: 'pipes', stdin: false } });
    let text = '';
    for await (const event of agent.events()) {
      seen(event.seq);
      if (event.type === 'started' || event.processId !== id) continue;
      if (event.type === 'output') text += event.data.toString('utf8');
      else break;
    }
    return text;
  }

  it.each([0, 1000])('runs a program as uid %i, which can neither reach the agent nor out', async (uid) => {
    const sandbox = await world.runtime.create(world.spec());
    const agent = await sandbox.connect(0);
    const probe = new Map((await run(agent, ['/bin/probe'], uid)).trim().split('\n').map((line) => line.split(' ') as [string, string]));
    expect(probe.size).toBeGreaterThan(50);
    for (const attempt of ['mount', 'ptrace_attach', 'unshare_user', 'socket_raw', 'mknod_device', 'proc_1_environ', 'proc_1_mem', 'proc_sys', 'sys_write', 'dev_create', 'agent_write']) {
      expect([attempt, probe.get(attempt)]).not.toEqual([attempt, '0']);
    }
    expect(probe.get('socket_tcp')).toBe('0');
    agent.close();
    await sandbox.destroy();
    await expect(sandbox.connect(0)).rejects.toMatchObject({ code: 'unavailable' });
    expect((await findLeaks(world)).filter((leak) => leak.kind !== 'cgroup')).toEqual([]);
  });

  it('hands on to a container\u2019s processes what it is told: root the capabilities, others none but by set-id programs', async () => {
    const sandbox = await world.runtime.create({
      ...world.spec(),
      privileges: { noNewPrivileges: false, capabilities: ['CAP_CHOWN', 'CAP_FOWNER', 'CAP_FSETID', 'CAP_NET_RAW'], readOnlyRootfs: false, shmBytes: MIB },
    });
    let [after, id] = [0, 0];
    const asUser = async (line: string, uid: number): Promise<string> => {
      const agent = await sandbox.connect(after);
      id += 1;
      const text = await run(agent, ['/bin/sh', '-c', line], uid, id, (seq) => (after = seq));
      agent.close();
      return text;
    };
    const status = 'identity; sed -n "s/^Cap\\(Inh\\|Bnd\\|Amb\\)://p" /proc/self/status';
    const set = '0000000000002019';
    expect(await asUser(status, 0)).toBe(`0 ${set} 0\n\t0000000000000000\n\t${set}\n\t0000000000000000\n`);
    expect(await asUser(status, 1000)).toBe(`1000 0000000000000000 0\n\t0000000000000000\n\t${set}\n\t0000000000000000\n`);
    await asUser('cp /bin/identity /bin/setid && chmod 4755 /bin/setid', 0);
    expect(await asUser('setid', 1000)).toBe(`0 ${set} 0\n`);
    await sandbox.destroy();
    const strict = await world.runtime.create({ ...world.spec(), privileges: { noNewPrivileges: true, capabilities: ['CAP_FOWNER'], readOnlyRootfs: false, shmBytes: MIB } });
    const agent = await strict.connect(0);
    expect(await run(agent, ['/bin/identity'], 0)).toBe('0 0000000000000008 1\n');
    agent.close();
    await strict.destroy();
  });

  it('gives the processes of a run what it always has', async () => {
    for (const [uid, expected] of [[0, '0 00000000a00405fb 1\n'], [1000, '1000 0000000000000000 1\n']] as const) {
      const sandbox = await world.runtime.create(world.spec());
      const agent = await sandbox.connect(0);
      expect(await run(agent, ['/bin/identity'], uid)).toBe(expected);
      agent.close();
      await sandbox.destroy();
    }
  });

  it('holds the limits of programs and lives on: memory, processes, disk', async () => {
    const sandbox = await world.runtime.create(world.spec({ memoryBytes: 48 * MIB, pids: 20, diskBytes: 4 * MIB }));
    let lastId = 1;
    const attempt = async (line: string): Promise<string> => {
      // A connection each: its events begin where the last one's ended.
      const agent = await sandbox.connect(0);
      try {
        await agent.killAll();
        return await run(agent, ['/bin/sh', '-c', `(${line}) 2>&1`], 1000, (lastId += 1));
      } finally {
        agent.close();
      }
    };
    expect(await attempt('dd if=/dev/zero of=/tmp/big bs=64k count=200; stat -c "size %s" /tmp/big; rm /tmp/big')).toMatch(/No space left[\s\S]*size [1-4]\d{6}\n/);
    expect((await sandbox.usage()).oomKills).toBe(0);
    await attempt('x=0123456789abcdef; while :; do x=$x$x; done');
    expect((await sandbox.usage()).oomKills).toBeGreaterThan(0);
    expect((await sandbox.usage()).memoryPeakBytes).toBeLessThanOrEqual(48 * MIB);
    expect(await attempt('i=0; while [ $i -lt 30 ]; do sleep 100 & i=$((i+1)); done')).toContain("can't fork");
    expect((await sandbox.usage()).pids).toBeLessThanOrEqual(20);
    expect(await attempt('echo alive; sed -n "s/^Name:.//p" /proc/1/status')).toMatch(/^alive\n.*sandbar-init\n$/);
    await sandbox.destroy();
    expect((await findLeaks(world)).filter((leak) => leak.kind !== 'cgroup')).toEqual([]);
  }, 60_000);

  it('survives a restart of the worker with its events', async () => {
    const sandbox = await world.runtime.create(world.spec());
    const first = await sandbox.connect(0);
    expect(await run(first, ['/bin/echo', 'hello'], 1000)).toBe('hello\n');
    first.close();
    const again = await (await world.reopen()).get(sandbox.id);
    const second = await again!.connect(0);
    for await (const event of second.events()) {
      expect([event.seq, event.type]).toEqual([1, 'started']);
      break;
    }
    second.close();
    await again!.destroy();
  });
});
