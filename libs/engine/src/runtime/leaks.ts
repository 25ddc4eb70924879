import { readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { errnoOf } from '#kernel';
import { cgroupTreeDirs } from '../cgroups/index.js';
import { listLoopDevices } from '../disks/index.js';
import { cgroupPathsOf, listPids, readMounts } from '../linux/index.js';
import { runtimeLayout } from './layout.js';

/** Of a tenant's disk, on a busy machine. */
const WRITE_BACK_MS = 30_000;

/** Something that a node that has ended, or that holds no sandbox, must not leave behind. */
export interface Leak {
  readonly kind: 'process' | 'cgroup' | 'mount' | 'device' | 'folder' | 'socket';
  /** A pid, a cgroup directory, a mount point, a loop device with the image that it is attached to, or a path. */
  readonly what: string;
}

export interface LeakSearch {
  /** The engine's folder. */
  readonly root: string;
  /** As given to `createCgroupManager`. */
  readonly cgroupRoot: string;
}

/** Looks only; [] is what it should find. Sandboxes that live and disks that are mounted are found too: ask when there should be none. */
export async function findLeaks({ root, cgroupRoot }: LeakSearch): Promise<Leak[]> {
  const found = await Promise.all([processes(cgroupRoot), cgroups(cgroupRoot), mounts(root), devices(root), folders(root)]);
  return found.flat();
}

async function processes(cgroupRoot: string): Promise<Leak[]> {
  const prefix = `/${cgroupRoot}/`;
  const leaks: Leak[] = [];
  for (const pid of await listPids()) {
    const paths = await cgroupPathsOf(pid);
    if (paths.some((path) => path.startsWith(prefix))) leaks.push({ kind: 'process', what: String(pid) });
  }
  return leaks;
}

async function cgroups(cgroupRoot: string): Promise<Leak[]> {
  return (await cgroupTreeDirs(cgroupRoot)).map((what) => ({ kind: 'cgroup', what }));
}

/** In this process's name space, where Sandbar mounts nothing but tenants' disks. */
async function mounts(root: string): Promise<Leak[]> {
  const below = join(root, '/');
  return (await readMounts()).filter((mount) => mount.mountPoint.startsWith(below) || mount.source.startsWith('sandbar-')).map((mount) => ({ kind: 'mount', what: mount.mountPoint }));
}

/** One that is mounted nowhere goes by itself when the kernel has written back what was on it: only what stays is left. */
async function devices(root: string): Promise<Leak[]> {
  const below = join(root, '/');
  const until = Date.now() + WRITE_BACK_MS;
  for (;;) {
    const attached = (await listLoopDevices()).filter(({ image }) => image.startsWith(below));
    const mounted = new Set((await readMounts()).map(({ source }) => source));
    if (Date.now() > until || attached.every(({ device }) => mounted.has(device))) return attached.map(({ device, image }) => ({ kind: 'device', what: `${device} ${image}` }));
    await sleep(100);
  }
}

async function folders(root: string): Promise<Leak[]> {
  const { sandboxes, launch, oci } = runtimeLayout(root);
  const found = await Promise.all([sandboxes, launch, oci].map(async (dir) => (await entriesOf(dir)).map((name) => join(dir, name))));
  const sockets = await Promise.all(
    (await entriesOf(sandboxes)).map(async (id) => (await entriesOf(join(sandboxes, id))).filter((name) => name.endsWith('.sock')).map((name) => join(sandboxes, id, name))),
  );
  return [...found.flat().map((what): Leak => ({ kind: 'folder', what })), ...sockets.flat().map((what): Leak => ({ kind: 'socket', what }))];
}

async function entriesOf(dir: string): Promise<string[]> {
  try {
    return await readdir(dir);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT' || errnoOf(error) === 'ENOTDIR') return [];
    throw error;
  }
}
