import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId, parseReference, silentLogger, systemClock, type Digest, type Logger, type TenantId } from '#kernel';
import { createCgroupManager, type CgroupManager } from '../../cgroups/index.js';
import { FsContentStore } from '../../content/index.js';
import { LoopDisks } from '../../disks/index.js';
import { MemoryHostEvents } from '../../events/index.js';
import { FsTenantImages, type ImageConfig } from '../../images/index.js';
import { HelperSpawner } from '../../linux/index.js';
import { connectAgent, createSandboxRuntime, crunRuntime, type SandboxRuntime } from '../../runtime/index.js';
import { OverlaySnapshotter } from '../../snapshots/index.js';
import { HelperGuestTrees, HelperTrees } from '../../tree/index.js';
import { TenantVolumes } from '../../volumes/index.js';
import { TenantContainers, type TenantContainersOptions } from '../index.js';
import { Death } from './death.js';
import { MemoryNetworks } from './memory-networks.js';

const REPOSITORY = join(import.meta.dirname, '../../../../..');
const MIB = 1024 * 1024;

/** A node's engine in a temporary folder, every part the real one. */
export interface ContainerHost {
  readonly base: string;
  readonly cgroupRoot: string;
  readonly containersRoot: string;
  readonly cgroups: CgroupManager;
  readonly events: MemoryHostEvents;
  readonly disks: LoopDisks;
  readonly spawner: HelperSpawner;
  readonly networks: MemoryNetworks;
  /** The living objects: `restart` replaces them. */
  readonly images: FsTenantImages;
  readonly volumes: TenantVolumes;
  readonly runtime: SandboxRuntime;
  readonly containers: TenantContainers;
  newTenant(diskBytes?: number): Promise<TenantId>;
  /** A root file system with a static busybox and what the script makes in it. */
  importImage(tenantId: TenantId, name: string, script: string, config?: ImageConfig['config']): Promise<Digest>;
  /** New objects over the same folders: nothing is handed over. */
  restart(): Promise<void>;
  /** Containers over the same parts, all of whose calls of other parts never settle from the `calls`-th on, before or after having had their effect: a worker that died there. */
  dying(calls: number, when: 'before' | 'after'): Promise<{ readonly containers: TenantContainers; readonly died: Promise<void> }>;
  dispose(): Promise<void>;
}

export async function openContainerHost(name: string, logger: Logger = silentLogger): Promise<ContainerHost> {
  const base = await mkdtemp(join(tmpdir(), `containers-${name}-`));
  await chmod(base, 0o711);
  execFileSync(process.execPath, [join(REPOSITORY, 'infra/native/build.mjs'), '--out', base], { stdio: 'pipe' });
  const disks = await LoopDisks.open(join(base, 'disks'), { logger });
  await disks.recover();
  const spawner = new HelperSpawner({ program: join(base, 'sandbar-spawner'), logger });
  spawner.start();
  const cgroupRoot = `containers-${name}-${process.pid}`;
  const cgroups = await createCgroupManager({ root: cgroupRoot });
  const trees = new HelperTrees({ program: join(base, 'sandbar-tree'), logger });
  const guestTrees = new HelperGuestTrees({ program: join(base, 'sandbar-tree'), logger });
  const events = new MemoryHostEvents();
  const content = await FsContentStore.open(join(base, 'content'));
  const snapshots = await OverlaySnapshotter.open(join(base, 'snapshots'), { trees });
  const containersRoot = join(base, 'containers');
  const networks = new MemoryNetworks();
  const open = async () => {
    const images = await FsTenantImages.open({ root: join(base, 'images'), content, snapshots, events, logger });
    const volumes = await TenantVolumes.open({ root: join(base, 'volumes'), disks, trees, events, logger });
    await volumes.recover();
    const runtime = createSandboxRuntime({ root: join(base, 'engine'), snapshots, cgroups, spawner, ociRuntime: crunRuntime(), agentBinary: join(base, 'sandbar-init'), connectAgent, logger });
    await runtime.recover();
    const defaults = { memoryBytes: 64 * MIB, cpuMillis: 1000, pids: 64, shmBytes: MIB };
    const services: TenantContainersOptions = { root: containersRoot, images, snapshots, volumes, disks, trees, guestTrees, networks, runtime, events, defaults, clock: systemClock, logger };
    const containers = TenantContainers.open(services);
    await containers.recover();
    return { images, volumes, runtime, containers, services };
  };
  const host = {
    base,
    cgroupRoot,
    containersRoot,
    cgroups,
    events,
    disks,
    spawner,
    networks,
    ...(await open()),
    newTenant: async (diskBytes = 64 * MIB) => {
      const tenantId = newId('tenant');
      await disks.ensure(tenantId, diskBytes);
      return tenantId;
    },
    importImage: async (tenantId: TenantId, image: string, script: string, config: ImageConfig['config'] = {}) => {
      const rootfs = await busyboxRootfs(base, script);
      const tar = execFileSync('tar', ['--numeric-owner', '-C', rootfs, '-c', '.'], { maxBuffer: 64 * MIB });
      const record = await host.images.importTar(tenantId, { tar: pieces(tar), name: parseReference(image), changes: [], config });
      return record.id;
    },
    restart: async () => {
      await host.containers.release();
      Object.assign(host, await open());
    },
    dying: async (calls: number, when: 'before' | 'after') => {
      const death = new Death(calls, when);
      const { images, volumes, disks: disk, trees: tree, networks: network, runtime } = host.services;
      const services = { ...host.services, images: death.wrap(images), volumes: death.wrap(volumes), disks: death.wrap(disk), trees: death.wrap(tree), networks: death.wrap(network), runtime: death.wrap(runtime) };
      const containers = TenantContainers.open(services);
      await containers.recover();
      death.arm();
      return { containers, died: death.came };
    },
    dispose: async () => {
      await host.containers.release();
      for (const { tenantId, sandboxId } of await cgroups.list()) await cgroups.sandbox(tenantId, sandboxId).kill();
      await cgroups.removeAll();
      networks.close();
      await disks.close();
      await spawner.close();
      await rm(base, { recursive: true, force: true });
    },
  };
  return host;
}

async function* pieces(bytes: Buffer): AsyncGenerator<Buffer> {
  for (let at = 0; at < bytes.length; at += 65_536) yield await Promise.resolve(bytes.subarray(at, at + 65_536));
}

async function busyboxRootfs(base: string, script: string): Promise<string> {
  const root = await mkdtemp(join(base, 'rootfs-'));
  for (const dir of ['bin', 'etc', 'tmp', 'root', 'home']) await mkdir(join(root, dir), { mode: 0o755 });
  await chmod(root, 0o755);
  execFileSync('cp', ['/bin/busybox', join(root, 'bin/busybox')]);
  for (const applet of execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n')) if (applet !== 'busybox') await symlink('busybox', join(root, 'bin', applet));
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000::/home/app:/bin/sh\n');
  await writeFile(join(root, 'etc/group'), 'root:x:0:\napp:x:1000:\nstaff:x:50:app\n');
  execFileSync('/bin/sh', ['-ec', script], { cwd: root });
  return root;
}
