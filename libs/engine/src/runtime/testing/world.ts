import { execFileSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, mkdtemp, rm, symlink } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CodedError, digestOf, newId, silentLogger, type TenantId } from '#kernel';
import { createCgroupManager, type CgroupManager } from '../../cgroups/index.js';
import { HelperSpawner, type RootfsMount } from '../../linux/index.js';
import { connectAgent } from '../agent/connect-agent.js';
import type { OciRuntime } from '../oci-runtime.js';
import type { Sandbox, SandboxLimits, SandboxRuntime, SandboxSpec } from '../runtime.js';
import { createSandboxRuntime } from '../sandbox-runtime.js';

/** A node's walls in a temporary folder with a cgroup tree of their own, for the root tests: no images, no agent but the stub. */

const REPOSITORY = join(import.meta.dirname, '../../../../..');
const MIB = 1024 * 1024;
const SHELL_TIMEOUT_MS = 20_000;
export const CHAIN_ID = digestOf('the root file system of the test');
/** The same on top of as many empty layers as there may be. */
export const DEEP_CHAIN_ID = digestOf('the root file system of the test, in 127 layers');
const DEEP_LAYERS = 127;

export interface World {
  readonly root: string;
  readonly cgroupRoot: string;
  readonly tenantId: TenantId;
  readonly cgroups: CgroupManager;
  readonly spawner: HelperSpawner;
  readonly runtime: SandboxRuntime;
  /** As a restarted worker has it: nothing in memory. `spawner` stays. */
  reopen(): Promise<SandboxRuntime>;
  spec(limits?: Partial<SandboxLimits>): SandboxSpec;
  /** Runs a shell line in the sandbox, as the guest's root. */
  sh(sandbox: Pick<Sandbox, 'id'>, line: string): Promise<{ output: string; status: number }>;
  dispose(): Promise<void>;
}

/** @param agent `stub` answers `sh`, the real one answers `connect` */
export async function makeWorld(ociRuntime: OciRuntime, name: string, agent: 'stub' | 'real' = 'stub'): Promise<World> {
  // Guests' shifted root must reach the folder, which mkdtemp makes 0700.
  const base = await mkdtemp(join(tmpdir(), `walls-${name}-`));
  await chmod(base, 0o711);
  await makePrograms(base);
  const agentBinary = join(base, agent === 'real' ? 'sandbar-init' : 'stub-agent');
  const spawner = new HelperSpawner({ program: join(base, 'sandbar-spawner'), logger: silentLogger });
  const lowerDirs = await makeLayers(base);
  const layers = new Map<string, readonly string[]>([
    [CHAIN_ID, lowerDirs],
    [DEEP_CHAIN_ID, [...lowerDirs, ...(await emptyLayers(base, DEEP_LAYERS - lowerDirs.length))]],
  ]);
  const cgroupRoot = `walls-${name}-${process.pid}`;
  const cgroups = await createCgroupManager({ root: cgroupRoot });
  const root = join(base, 'engine');
  const options = {
    root,
    cgroups,
    spawner,
    ociRuntime,
    agentBinary,
    logger: silentLogger,
    snapshots: {
      rootfs: (chainId: string, upper: { sizeBytes: number; inodes: number }): Promise<RootfsMount> => {
        const found = layers.get(chainId);
        return found === undefined ? Promise.reject(new CodedError('not_found', 'no such snapshot')) : Promise.resolve({ kind: 'overlay', lowerDirs: found, upper: { kind: 'tmpfs', ...upper } });
      },
    },
    connectAgent,
  };
  const runtime = createSandboxRuntime(options);
  await runtime.recover();
  const tenantId = newId('tenant');
  return {
    root,
    cgroupRoot,
    tenantId,
    cgroups,
    spawner,
    runtime,
    reopen: async () => {
      const next = createSandboxRuntime(options);
      await next.recover();
      return next;
    },
    spec: (limits) => ({
      id: newId('sandbox'),
      tenantId,
      chainId: CHAIN_ID,
      hostname: 'walls',
      network: 'none',
      limits: { memoryBytes: 128 * MIB, pids: 64, cpuMillis: 2000, diskBytes: 16 * MIB, ...limits },
      annotations: { owner: 'test' },
    }),
    sh: (sandbox, line) => runInSandbox(join(root, 'sandboxes', sandbox.id, 'agent.sock'), line),
    dispose: async () => {
      for (const { tenantId: tenant, sandboxId } of await cgroups.list()) await cgroups.sandbox(tenant, sandboxId).kill();
      await cgroups.removeAll();
      await spawner.close();
      await rm(base, { recursive: true, force: true });
    },
  };
}

/** Compiled, or those of SANDBAR_TEST_PROGRAMS: a machine without a compiler gets them from one that has it. */
async function makePrograms(base: string): Promise<void> {
  const own = ['stub-agent', 'probe', 'identity'];
  const made = process.env.SANDBAR_TEST_PROGRAMS;
  if (made !== undefined) {
    for (const name of ['sandbar-init', 'sandbar-spawner', ...own]) await copyFile(join(made, name), join(base, name));
    return;
  }
  execFileSync(process.execPath, [join(REPOSITORY, 'infra/native/build.mjs'), '--out', base], { stdio: 'pipe' });
  for (const name of own) execFileSync('cc', ['-O2', '-static', '-o', join(base, name), join(import.meta.dirname, `${name}.c`)]);
}

async function emptyLayers(base: string, count: number): Promise<string[]> {
  const dirs = Array.from({ length: count }, (_, index) => join(base, `empty-${index}`));
  for (const dir of dirs) await mkdir(dir);
  return dirs;
}

async function makeLayers(base: string): Promise<string[]> {
  const [lower, upper] = [join(base, 'layer-0'), join(base, 'layer-1')];
  for (const dir of ['bin', 'proc', 'dev', 'sys', 'tmp', 'root', 'etc']) await mkdir(join(lower, dir), { recursive: true });
  await chmod(join(lower, 'tmp'), 0o1777);
  await copyFile('/bin/busybox', join(lower, 'bin/busybox'));
  for (const applet of execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n')) {
    if (!existsSync(join(lower, 'bin', applet))) await symlink('busybox', join(lower, 'bin', applet));
  }
  await mkdir(join(upper, 'bin'), { recursive: true });
  for (const name of ['probe', 'identity']) await copyFile(join(base, name), join(upper, 'bin', name));
  return [upper, lower];
}

function runInSandbox(socketPath: string, line: string): Promise<{ output: string; status: number }> {
  return new Promise((resolve, reject) => {
    const socket = connect(socketPath);
    const chunks: Buffer[] = [];
    socket.setTimeout(SHELL_TIMEOUT_MS, () => socket.destroy(new Error(`no answer to: ${line}`)));
    socket.once('error', reject);
    socket.once('close', () => {
      reject(new Error(`connection closed during: ${line}`));
    });
    socket.once('connect', () => socket.write(`${line}\n`));
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.once('end', () => {
      const text = Buffer.concat(chunks).toString('utf8');
      const last = /status=(\d+)\n$/.exec(text);
      resolve({ output: text.slice(0, last?.index ?? text.length), status: Number(last?.[1] ?? -1) });
    });
  });
}
