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

  async function run(agent: GuestAgent, argv: readonly string[], uid: number, id = 1): Promise<string> {
    await agent.start({ id, argv, env: ['PATH=/bin'], cwd: '/', uid, gid: uid, stdio: { kind: 'pipes', stdin: false } });
    let text = '';
    for await (const event of agent.events()) {
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
