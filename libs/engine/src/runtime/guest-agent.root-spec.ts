import { crunRuntime } from './drivers/crun.js';
import { findLeaks } from './leaks.js';
import type { GuestAgent } from './agent/agent.js';
import { makeWorld, type World } from './testing/world.js';

/** The real guest agent within the real walls. */
describe('a sandbox with its agent', () => {
  let world: World;
  beforeAll(async () => {
    world = await makeWorld(crunRuntime(), 'agent', 'real');
  }, 60_000);
  afterAll(() => world.dispose());

  async function run(agent: GuestAgent, argv: readonly string[], uid: number): Promise<string> {
    await agent.start({ id: 1, argv, env: ['PATH=/bin'], cwd: '/', uid, gid: uid, stdio: { kind: 'pipes', stdin: false } });
    let text = '';
    for await (const event of agent.events()) {
      if (event.type === 'output') text += event.data.toString('utf8');
      if (event.type === 'exit') break;
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
