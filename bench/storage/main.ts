import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { BenchDocker } from '../bench-docker.ts';
import { table, timed } from '../statistics.ts';
import { cpuOf, memory, resetPeak, StorageNode } from './node.ts';

/**
 * The engine's storage without the product around it: import, save, load and commit, with CPU time (helpers included) and peak memory; the
 * best of the rounds, since a shared machine only ever adds. Needs root and a build.
 * Memory as the worker has it: the script starts it with the services' settings. Usage: npm run bench:storage -- [rounds] [--docker] [--big]
 * Works in TMPDIR (/tmp), as the daemon does, which should be a file system with a journal: ext4 without one searches long for an inode
 * where many were freed a minute ago, and a bench frees many. `--docker`: the same by a Docker daemon, in turn. `--big`: also an image of 2 GB.
 */
const ROOTFS = '/tmp/bench-rootfs.tar';
const rounds = Number(process.argv.slice(2).find((arg) => /^\d+$/.test(arg)) ?? 3);
const has = (flag: string): boolean => process.argv.includes(flag);

interface Best {
  ms: number;
  cpuMs: number;
  peakMb: number;
}
const best = new Map<string, Best>();

async function measure(what: string, pid: number, work: () => Promise<unknown>): Promise<void> {
  await resetPeak();
  const before = await cpuOf(pid);
  const ms = await timed(async () => {
    await work();
  });
  const run = { ms, cpuMs: (await cpuOf(pid)) - before, peakMb: pid === process.pid ? await memory('VmHWM') : Number.NaN };
  const last = best.get(what) ?? { ms: Infinity, cpuMs: Infinity, peakMb: 0 };
  best.set(what, { ms: Math.min(last.ms, run.ms), cpuMs: Math.min(last.cpuMs, run.cpuMs), peakMb: Math.max(last.peakMb, run.peakMb) });
}

if (!existsSync(ROOTFS)) {
  execFileSync('mmdebstrap', ['--variant=minbase', 'bookworm', `${ROOTFS}.new.tar`], { stdio: ['ignore', 'ignore', 'inherit'] });
  execFileSync('mv', [`${ROOTFS}.new.tar`, ROOTFS]);
}

const node = await StorageNode.open();
const docker = has('--docker') ? await BenchDocker.start() : undefined;
try {
  const idle = await memory('VmRSS');
  const dockerPid = docker && Number(readFileSync(join(dirname(docker.host.slice('unix://'.length)), 'pid'), 'latin1'));
  const client = (...args: string[]): Promise<void> => {
    execFileSync('docker', ['-H', docker?.host ?? '', ...args], { stdio: ['ignore', 'ignore', 'inherit'] });
    return Promise.resolve();
  };
  const saved = join(node.folder, 'saved.tar');
  const own = (what: string, work: () => Promise<unknown>): Promise<void> => measure(what, process.pid, work);
  const theirs = (what: string, work: () => Promise<unknown>): Promise<void> => (dockerPid === undefined ? Promise.resolve() : measure(`docker ${what}`, dockerPid, work));
  for (let round = 0; round < rounds; round += 1) {
    await own('import', () => node.import(ROOTFS, 'debian'));
    await theirs('import', () => client('import', ROOTFS, 'debian'));
    await own('save', () => node.save('debian', saved));
    await node.remove('debian');
    await own('load', () => node.load(saved));
    await node.remove('debian');
    if (docker === undefined) continue;
    await theirs('save', () => client('save', '-o', saved, 'debian'));
    await client('rmi', 'debian');
    await theirs('load', () => client('load', '-q', '-i', saved));
    await client('rmi', 'debian');
  }
  const large = node.randomTar(has('--big') ? 2e9 : 500e6);
  const base = await node.import(large, 'large');
  for (let round = 0; round < rounds * 3; round += 1) {
    const upper = await node.newChange(1e6);
    await own('commit of 1 MB', () => node.append(base, upper, 'committed'));
  }
  await node.remove('committed');
  if (has('--big')) {
    await own('save of 2 GB', () => node.save('large', large));
    await node.remove('large');
    await own('load of 2 GB', async () => {
      await node.load(large);
    });
  }
  rmSync(large);
  console.log(`root file system of Debian; ${String(rounds)} rounds; best times, highest peaks; idle ${idle.toFixed(0)} MB\n`);
  const rows = [...best].sort(([a], [b]) => a.localeCompare(b)).map(([what, { ms, cpuMs, peakMb }]) => [what, ms.toFixed(0), cpuMs.toFixed(0), Number.isNaN(peakMb) ? '' : peakMb.toFixed(0)]);
  console.log(table(['', 'ms', 'CPU ms', 'peak MB'], rows));
} finally {
  await docker?.stop();
  await node.close();
}
