import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, readFile, rm, symlink, truncate, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { connectAgent, createCgroupManager, createSandboxRuntime, crunRuntime, HelperSpawner, type CgroupManager, type RootfsMount, type Sandbox, type SandboxRuntime } from '#engine';
import { digestOf, newId, silentLogger, type TenantId } from '#kernel';

const REPOSITORY = resolve(import.meta.dirname, '../..');
const MIB = 1024 * 1024;
const LIMITS = { memoryBytes: 128 * MIB, pids: 64, cpuMillis: 1000, diskBytes: 64 * MIB };

/** CPU time in milliseconds. */
export interface CpuUsage {
  readonly node: number;
  /** The spawner, and all that it has started and reaped: the OCI runtime, agents, guests. */
  readonly spawner: number;
}

/** The engine alone, in a temporary folder, with busybox for a root file system: no queue, no database. */
export class EngineNode {
  readonly #base: string;
  readonly #cgroups: CgroupManager;
  readonly #spawner: HelperSpawner;
  readonly #runtime: SandboxRuntime;
  readonly #tenantId: TenantId;
  readonly #disk: string | undefined;

  private constructor(base: string, disk: string | undefined, cgroups: CgroupManager, spawner: HelperSpawner, runtime: SandboxRuntime) {
    this.#base = base;
    this.#disk = disk;
    this.#cgroups = cgroups;
    this.#spawner = spawner;
    this.#runtime = runtime;
    this.#tenantId = newId('tenant');
  }

  static async open(writable: 'tmpfs' | 'disk'): Promise<EngineNode> {
    const base = await mkdtemp(join(tmpdir(), 'bench-create-'));
    // Guests' shifted root passes through it.
    await chmod(base, 0o711);
    const native = join(REPOSITORY, 'dist/native');
    const lower = await busyboxLayer(base);
    const disk = writable === 'disk' ? await mountDisk(base) : undefined;
    const cgroups = await createCgroupManager({ root: `bench-create-${String(process.pid)}` });
    const spawner = new HelperSpawner({ program: join(native, 'sandbar-spawner'), logger: silentLogger });
    const runtime = createSandboxRuntime({
      root: join(base, 'engine'),
      cgroups,
      spawner,
      ociRuntime: crunRuntime(),
      agentBinary: join(native, 'sandbar-init'),
      logger: silentLogger,
      snapshots: { rootfs: (_chainId, upper): Promise<RootfsMount> => Promise.resolve({ kind: 'overlay', lowerDirs: [lower], upper: { kind: 'tmpfs', ...upper } }) },
      connectAgent,
    });
    await runtime.recover();
    return new EngineNode(base, disk, cgroups, spawner, runtime);
  }

  async create(): Promise<Sandbox> {
    const id = newId('sandbox');
    const layer = this.#disk === undefined ? undefined : { upperDir: join(this.#disk, id, 'upper'), workDir: join(this.#disk, id, 'work') };
    if (layer !== undefined) for (const dir of [layer.upperDir, layer.workDir]) await mkdir(dir, { recursive: true });
    return this.#runtime.create({
      id,
      ...(layer === undefined ? {} : { writableLayer: layer }),
      tenantId: this.#tenantId,
      chainId: digestOf('busybox'),
      hostname: 'bench',
      limits: LIMITS,
      network: 'none',
      annotations: {},
    });
  }

  /** A sandbox, one program in it to its end, and the sandbox's removal. */
  async cycle(): Promise<void> {
    const sandbox = await this.create();
    const agent = await sandbox.connect(0);
    await agent.start({ id: 1, argv: ['true'], env: ['PATH=/bin'], cwd: '/', uid: 1000, gid: 1000, stdio: { kind: 'pipes', stdin: false } });
    for await (const event of agent.events()) if (event.type === 'exit') break;
    agent.close();
    await sandbox.destroy();
  }

  async cpu(): Promise<CpuUsage> {
    const { user, system } = process.cpuUsage();
    const stat = await readFile(`/proc/${String(this.#spawner.pid)}/stat`, 'latin1');
    // proc_pid_stat(5): utime, stime, cutime, cstime are fields 14 to 17, in ticks of 10 ms.
    const ticks = stat.slice(stat.lastIndexOf(')') + 2).split(' ').slice(11, 15).map(Number);
    return { node: (user + system) / 1000, spawner: ticks.reduce((sum, each) => sum + each, 0) * 10 };
  }

  async close(): Promise<void> {
    for (const sandbox of await this.#runtime.list()) await sandbox.destroy();
    await this.#runtime.close();
    await this.#cgroups.removeAll();
    await this.#spawner.close();
    if (this.#disk !== undefined) execFileSync('umount', [this.#disk]);
    await rm(this.#base, { recursive: true, force: true });
  }
}

async function mountDisk(base: string): Promise<string> {
  const [image, disk] = [join(base, 'disk.img'), join(base, 'disk')];
  await mkdir(disk, { mode: 0o700 });
  await writeFile(image, '');
  await truncate(image, 512 * MIB);
  execFileSync('mkfs.ext4', ['-q', '-m', '0', image]);
  execFileSync('mount', ['-o', 'loop,nosuid,nodev,noexec', image, disk]);
  return disk;
}

async function busyboxLayer(base: string): Promise<string> {
  const busybox = '/bin/busybox';
  if (!existsSync(busybox)) throw new Error('busybox is needed: apt-get install -y busybox-static');
  const lower = join(base, 'layer');
  for (const dir of ['bin', 'proc', 'dev', 'sys', 'tmp', 'work']) await mkdir(join(lower, dir), { recursive: true });
  await copyFile(busybox, join(lower, 'bin/busybox'));
  await symlink('busybox', join(lower, 'bin/true'));
  return lower;
}
