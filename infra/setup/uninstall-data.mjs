import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { isDataFolder } from './data-folder.mjs';
import { lockHolder } from './lock.mjs';
import { isAlive } from './processes.mjs';
import { SetupError, printFailure } from './setup-error.mjs';
import { dataPaths, readSettings } from './settings.mjs';
import { readStatus } from './supervisor.mjs';

// `npm run uninstall-data -- --yes`: removes the data folder and everything in it, and nothing that is not ours.

function main() {
  const { values } = parseArgs({ options: { yes: { type: 'boolean' }, 'data-dir': { type: 'string' } } });
  const { dataDir } = readSettings(values['data-dir'] ? ['--data-dir', values['data-dir']] : []);
  if (!existsSync(dataDir)) {
    process.stdout.write(`${dataDir} is not there: nothing to remove.\n`);
    return;
  }
  if (!isDataFolder(dataDir)) throw new SetupError(`${dataDir} is not a Sandbar data folder: it carries no sandbar-data.json`, { mend: 'Name the right one with --data-dir or SANDBAR_DATA_DIR.' });
  if (!values.yes) throw new SetupError(`this removes ${dataDir} with all keys, tenants, runs and logs`, { mend: 'Add --yes to do it.', exitCode: 2 });
  const paths = dataPaths(dataDir);
  const holder = lockHolder(paths.lock);
  if (holder) throw new SetupError(`Sandbar runs on ${dataDir}: process ${holder.pid}`, { mend: 'Stop it first, with Ctrl-C in its terminal.' });
  const alive = Object.entries(readStatus(paths)?.services ?? {}).filter(([, service]) => isAlive(service));
  if (alive.length > 0) throw new SetupError(`still running: ${alive.map(([name, { pid }]) => `${name} (${pid})`).join(', ')}`, { mend: 'They end by themselves in a moment; try again.' });
  unmountDisks(dataDir);
  const mounts = mountsBelow(dataDir);
  if (mounts.length > 0) throw new SetupError(`file systems are mounted below it: ${mounts.join(', ')}`, { mend: 'Unmount them first: removing would reach into them.' });
  // Out of the way in one step, so that a removal that is cut short leaves no half a data folder under the name.
  const doomed = `${dataDir}.removing-${process.pid}`;
  renameSync(dataDir, doomed);
  rmSync(doomed, { recursive: true, force: true });
  process.stdout.write(`${dataDir} removed. The system users sandbar and sandbar-db own nothing any more: userdel removes them.\n`);
}

/** A worker, or an installation of runtimes, that was killed leaves its disks mounted. What still has one open keeps it from being unmounted, and so the data from being removed. */
function unmountDisks(dataDir) {
  const disks = mountsBelow(dataDir).filter((path) => [`${dataDir}/engine/disks/`, `${dataDir}/installer/engine/disks/`].some((folder) => path.startsWith(folder)));
  // Those below come after what they stand on.
  for (const path of disks.reverse()) {
    try {
      execFileSync('umount', ['-n', path], { stdio: 'ignore' });
    } catch {
      // Named by the caller, who finds it mounted.
    }
  }
}

function mountsBelow(dataDir) {
  const paths = readFileSync('/proc/self/mounts', 'utf8').split('\n').map((line) => line.split(' ')[1]?.replaceAll(/\\([0-7]{3})/g, (_, octal) => String.fromCharCode(Number.parseInt(octal, 8))));
  return paths.filter((path) => path?.startsWith(`${dataDir}/`));
}

try {
  main();
} catch (error) {
  process.exit(printFailure(error));
}
