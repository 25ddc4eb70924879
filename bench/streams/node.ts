import { execFileSync } from 'node:child_process';
import { chmod, mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import {
  connectAgent,
  createCgroupManager,
  createSandboxRuntime,
  crunRuntime,
  FsContentStore,
  FsTenantImages,
  HelperGuestTrees,
  HelperSpawner,
  HelperTrees,
  LinuxNetworks,
  LoopDisks,
  MemoryHostEvents,
  OverlaySnapshotter,
  TenantContainers,
  TenantVolumes,
  type AttachOptions,
  type CgroupManager,
  type ContainerLogging,
  type ExecSpec,
  type ProcessStream,
} from '#engine';
import { newId, parseReference, silentLogger, systemClock, type TenantId } from '#kernel';

const NATIVE = join(resolve(import.meta.dirname, '../..'), 'dist/native');
const MIB = 1024 * 1024;
const IMAGE = 'busybox';
const LOOK: AttachOptions = { stdin: false, stdout: true, stderr: true, logs: false, follow: true };

/** A node's containers without the product around them, in a temporary folder, with busybox for an image. */
export class StreamsNode {
  readonly #base: string;
  readonly #cgroups: CgroupManager;
  readonly #spawner: HelperSpawner;
  readonly #disks: LoopDisks;
  readonly #networks: LinuxNetworks;
  readonly #containers: TenantContainers;
  readonly #tenantId: TenantId;

  private constructor(base: string, parts: { cgroups: CgroupManager; spawner: HelperSpawner; disks: LoopDisks; networks: LinuxNetworks; containers: TenantContainers; tenantId: TenantId }) {
    this.#base = base;
    this.#cgroups = parts.cgroups;
    this.#spawner = parts.spawner;
    this.#disks = parts.disks;
    this.#networks = parts.networks;
    this.#containers = parts.containers;
    this.#tenantId = parts.tenantId;
  }

  static async open(): Promise<StreamsNode> {
    const logger = silentLogger;
    const base = await mkdtemp(join(tmpdir(), 'bench-streams-'));
    // Guests' shifted root passes through it.
    await chmod(base, 0o711);
    const disks = await LoopDisks.open(join(base, 'disks'), { logger });
    await disks.recover();
    const trees = new HelperTrees({ program: join(NATIVE, 'sandbar-tree'), logger });
    const content = await FsContentStore.open(join(base, 'content'));
    const snapshots = await OverlaySnapshotter.open(join(base, 'snapshots'), { trees });
    const events = new MemoryHostEvents();
    const images = await FsTenantImages.open({ root: join(base, 'images'), content, snapshots, events, logger });
    const volumes = await TenantVolumes.open({ root: join(base, 'volumes'), disks, trees, events, logger });
    const cgroups = await createCgroupManager({ root: `bench-streams-${String(process.pid)}` });
    const spawner = new HelperSpawner({ program: join(NATIVE, 'sandbar-spawner'), logger });
    const runtime = createSandboxRuntime({ root: join(base, 'engine'), snapshots, cgroups, spawner, ociRuntime: crunRuntime(), agentBinary: join(NATIVE, 'sandbar-init'), connectAgent, logger });
    await runtime.recover();
    const guestTrees = new HelperGuestTrees({ program: join(NATIVE, 'sandbar-tree'), logger });
    // No container of the bench is put into one.
    const networks = LinuxNetworks.open({ root: join(base, 'networks'), instance: `bench-${String(process.pid)}`, program: join(NATIVE, 'sandbar-net'), spawner, allowPrivateCidrs: [], publish: { address: '127.0.0.1', ports: { first: 32_768, last: 60_999 } }, logger });
    await networks.recover();
    const defaults = { memoryBytes: 256 * MIB, cpuMillis: 2000, pids: 256, shmBytes: MIB };
    const containers = TenantContainers.open({ root: join(base, 'containers'), images, snapshots, volumes, disks, trees, guestTrees, networks, runtime, events, defaults, clock: systemClock, logger });
    await containers.recover();
    const tenantId = newId('tenant');
    await disks.ensure(tenantId, 256 * MIB);
    await images.importTar(tenantId, { tar: busybox(base), name: parseReference(IMAGE), changes: [] });
    return new StreamsNode(base, { cgroups, spawner, disks, networks, containers, tenantId });
  }

  /** Created, not started. */
  async create(command: readonly string[], logging?: ContainerLogging): Promise<string> {
    const { id } = await this.#containers.create(this.#tenantId, {
      image: IMAGE,
      process: { entrypoint: null, cmd: command, env: [], workingDir: '', user: '', tty: false, openStdin: false },
      labels: {},
      mounts: [],
      volumesFrom: [],
      limits: {},
      capabilities: { add: [], drop: [], privileged: false },
      readOnlyRootfs: false,
      autoRemove: false,
      clientConfig: {},
      ...(logging === undefined ? {} : { logging }),
    });
    return id;
  }

  async start(id: string): Promise<void> {
    await this.#containers.start(this.#tenantId, id);
  }

  attach(id: string): Promise<ProcessStream> {
    return this.#containers.processes.attach(this.#tenantId, id, LOOK);
  }

  /** From the wish to the exit code. */
  async exec(id: string, argv: readonly string[], more: Partial<ExecSpec> = {}): Promise<void> {
    const { processes } = this.#containers;
    const spec: ExecSpec = { argv, env: [], workingDir: '', user: '', tty: false, openStdin: false, privileged: false, clientConfig: {}, ...more };
    const exec = await processes.createExec(this.#tenantId, id, spec);
    const stream = await processes.attachExec(this.#tenantId, exec.id, LOOK);
    await processes.startExec(this.#tenantId, exec.id);
    for await (const chunk of stream.output()) if (chunk.bytes.length === 0) throw new Error('an empty piece');
    await stream.ended;
  }

  /** Opens an exec with an input. */
  async openExec(id: string, argv: readonly string[]): Promise<ProcessStream> {
    const { processes } = this.#containers;
    const exec = await processes.createExec(this.#tenantId, id, { argv, env: [], workingDir: '', user: '', tty: false, openStdin: true, privileged: false, clientConfig: {} });
    const stream = await processes.attachExec(this.#tenantId, exec.id, { ...LOOK, stdin: true });
    await processes.startExec(this.#tenantId, exec.id);
    return stream;
  }

  async remove(id: string): Promise<void> {
    await this.#containers.remove(this.#tenantId, id, { force: true, volumes: true });
  }

  async close(): Promise<void> {
    await this.#containers.drop(this.#tenantId);
    await this.#containers.release();
    await this.#networks.drop(this.#tenantId);
    await this.#networks.close();
    await this.#cgroups.removeAll();
    await this.#disks.close();
    await this.#spawner.close();
    await rm(this.#base, { recursive: true, force: true });
  }
}

async function* busybox(base: string): AsyncGenerator<Buffer> {
  const root = join(base, 'rootfs');
  for (const folder of ['bin', 'etc', 'tmp', 'root']) await mkdir(join(root, folder), { recursive: true, mode: 0o755 });
  execFileSync('cp', ['/bin/busybox', join(root, 'bin/busybox')]);
  for (const applet of ['sh', 'true', 'cat', 'yes', 'head', 'sleep', 'dd']) await symlink('busybox', join(root, 'bin', applet));
  await writeFile(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\n');
  yield execFileSync('tar', ['--numeric-owner', '-C', root, '-c', '.'], { maxBuffer: 64 * MIB });
}
