import { crunRuntime } from './drivers/crun.js';
import { makeWorld } from './testing/world.js';
test('try', async () => {
  const world = await makeWorld(crunRuntime(), 'try');
  try {
    const sandbox = await world.runtime.create(world.spec());
    for (const line of ['id; mount; cat /proc/self/cgroup; ls -la / /dev; ps; ls /sys/fs/cgroup; df', 'probe'])
      console.log((await world.sh(sandbox, line)).output);
    console.log(await sandbox.usage());
    const times: number[] = [], dtimes: number[] = [];
    for (let i = 0; i < 20; i++) {
      const t = performance.now();
      const s = await world.runtime.create(world.spec());
      const t2 = performance.now();
      await s.destroy();
      times.push(t2 - t); dtimes.push(performance.now() - t2);
    }
    console.log(times.sort((a, b) => a - b)[10], dtimes.sort((a, b) => a - b)[10]);
    await sandbox.destroy();
  } finally { await world.dispose(); }
}, 60000);
