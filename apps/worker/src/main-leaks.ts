import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { findLeaks, findNetworkLeaks, HelperSpawner, type Leak, type NetworkLeak } from '#engine';
import { asError, silentLogger } from '#kernel';

const NATIVE = join(import.meta.dirname, '..', '..', '..', 'native');

/**
 * `node main-leaks.js --data-dir PATH --cgroup-root NAME [--running] [--json]`: what sandboxes have left on this machine. Exit 0: nothing.
 * Exit 1: each leftover stands on a line (or in the JSON array). `--running`: the node is up, so the cgroups of itself and of its tenants
 * are no leftovers, nor the tenants' disks and networks; sandboxes that execute a run at this moment are found all the same.
 */
async function main(): Promise<number> {
  const { values } = parseArgs({
    options: { 'data-dir': { type: 'string' }, 'cgroup-root': { type: 'string' }, running: { type: 'boolean', default: false }, json: { type: 'boolean', default: false } },
  });
  const { 'data-dir': dataDir, 'cgroup-root': cgroupRoot } = values;
  if (dataDir === undefined || cgroupRoot === undefined) throw new TypeError('--data-dir and --cgroup-root are needed');
  const root = join(resolve(dataDir), 'engine');
  const found = await findLeaks({ root, cgroupRoot });
  const leaks = values.running ? found.filter((leak) => !isParentCgroup(leak, cgroupRoot) && !isDisk(leak, root)) : [...found, ...(await networkLeaks(cgroupRoot))];
  if (values.json) process.stdout.write(`${JSON.stringify(leaks, null, 2)}\n`);
  else process.stdout.write(leaks.length === 0 ? 'Nothing is left of any sandbox.\n' : leaks.map(({ kind, what }) => `${kind} ${what}\n`).join(''));
  return leaks.length === 0 ? 0 : 1;
}

async function networkLeaks(instance: string): Promise<NetworkLeak[]> {
  const spawner = new HelperSpawner({ program: join(NATIVE, 'sandbar-spawner'), logger: silentLogger });
  try {
    return await findNetworkLeaks({ instance, spawner });
  } finally {
    await spawner.close();
  }
}

/** `…/<root>` and `…/<root>/<tenant>`: they hold limits, never processes. */
function isParentCgroup({ kind, what }: Leak, cgroupRoot: string): boolean {
  const parts = what.split(`/${cgroupRoot}`);
  return kind === 'cgroup' && /^(\/ten_[0-9a-z]+)?$/.test(parts.at(-1) ?? '');
}

function isDisk({ kind, what }: Leak, root: string): boolean {
  return kind === 'device' || (kind === 'mount' && what.startsWith(join(root, 'disks', '/')));
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`leaks: ${asError(error).message}\n`);
  process.exitCode = 2;
}
