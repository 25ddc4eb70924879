import { chmod, copyFile, mkdir, readdir, readFile, rename, unlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, errnoOf, isCodedError, isId, type SandboxId } from '#kernel';
import type { Cgroup, CgroupFeatures } from '../../cgroups/index.js';
import { bootId, identifyProcess, removeFolder, type ProcessIdentity, type RootfsMount, type SpawnResult } from '../../linux/index.js';
import { ociConfig } from '../bundle.js';
import { sandboxMounts } from '../bundle-mounts.js';
import { IdRanges, readSubordinateRanges } from '../id-ranges.js';
import { assertKernelTreesAreTheKernels } from '../kernel-trees.js';
import { launchRefusal } from '../launch-refusal.js';
import { runtimeLayout, sandboxPaths, type RuntimeLayout, type SandboxPaths } from '../layout.js';
import type { Sandbox, SandboxRuntime, SandboxSpec } from '../runtime.js';
import type { SandboxRuntimeOptions } from '../sandbox-runtime-options.js';
import { readState, statePath, writeState, type SandboxState } from '../sandbox-state.js';
import { OciSandbox } from './oci-sandbox.js';

const LAUNCH_TIMEOUT_MS = 20_000;
const MAX_ANNOTATION_BYTES = 1024 * 1024;
/** One inode per that many bytes of the writable layer, as ext4 has it by default; never so few that a package manager fails. */
const BYTES_PER_INODE = 16 * 1024;
const MIN_INODES = 4_096;
/** No error text of a runtime is worth more. */
const MAX_ERROR_TEXT = 2_000;
const RUNTIME_ENV = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin' };

/** Sandboxes made by an OCI runtime. Every step leaves a state that `recover` can sweep. */
export class OciSandboxRuntime implements SandboxRuntime {
  readonly #options: SandboxRuntimeOptions;
  readonly #layout: RuntimeLayout;
  readonly #sandboxes = new Map<SandboxId, OciSandbox>();
  /** Ids whose folders are being made or swept. */
  readonly #busy = new Set<SandboxId>();
  #ranges: IdRanges | undefined;
  #bootId = '';
  #coreLimit = 0;
  /** What lets later launches reuse the seccomp filter that the first one compiled. */
  #seccompFilter: Readonly<Record<string, string>> | undefined;

  constructor(options: SandboxRuntimeOptions) {
    this.#options = options;
    this.#layout = runtimeLayout(options.root);
  }

  async recover(): Promise<void> {
    const { cgroups, logger } = this.#options;
    this.#bootId = await bootId();
    this.#coreLimit = coreLimitOf(await readFile('/proc/self/limits', 'latin1'));
    await this.#prepareFolders();
    this.#ranges = new IdRanges(await readSubordinateRanges());
    await cgroups.prepare();
    const whole = await this.#loadWhole(this.#ranges);
    const leftovers = await this.#leftovers(whole);
    for (const [id, tenants] of leftovers) {
      logger.warn({ sandbox: id }, 'sandbox runtime: sweeping a sandbox that was half made or half removed');
      await this.#sweep(id, tenants.map((tenantId) => cgroups.sandbox(tenantId, id)));
    }
    logger.info({ found: whole.size, swept: leftovers.size }, 'sandbox runtime: recovered');
  }

  async create(spec: SandboxSpec): Promise<Sandbox> {
    const ranges = this.#ranges;
    if (ranges === undefined) throw new CodedError('failed_precondition', 'recover() was not awaited');
    if (Buffer.byteLength(JSON.stringify(spec.annotations)) > MAX_ANNOTATION_BYTES) throw new CodedError('payload_too_large', 'annotations beyond 1 MiB', { id: spec.id });
    const paths = sandboxPaths(this.#layout, spec.id);
    if (this.#sandboxes.has(spec.id) || this.#busy.has(spec.id)) throw new CodedError('already_exists', 'the sandbox exists', { id: spec.id });
    this.#busy.add(spec.id);
    const slot = ranges.take();
    const cgroup = this.#options.cgroups.sandbox(spec.tenantId, spec.id);
    try {
      const running = await this.#make(spec, slot, paths);
      const sandbox = this.#handle(running, cgroup);
      this.#sandboxes.set(spec.id, sandbox);
      return sandbox;
    } catch (error) {
      await this.#undo(spec.id, cgroup, slot);
      throw error;
    } finally {
      this.#busy.delete(spec.id);
    }
  }

  /** After a failed create. What cannot be removed now keeps its uid range, and is swept by the next `recover`. */
  async #undo(id: SandboxId, cgroup: Cgroup, slot: number): Promise<void> {
    try {
      await this.#sweep(id, [cgroup]);
      this.#ranges?.release(slot);
    } catch (error) {
      this.#options.logger.error({ err: error, sandbox: id }, 'sandbox runtime: what a failed create left cannot be removed');
    }
  }

  list(): Promise<Sandbox[]> {
    return Promise.resolve([...this.#sandboxes.values()]);
  }

  get(id: SandboxId): Promise<Sandbox | undefined> {
    return Promise.resolve(this.#sandboxes.get(id));
  }

  /** The sandboxes live on. */
  close(): Promise<void> {
    this.#sandboxes.clear();
    this.#ranges = undefined;
    return Promise.resolve();
  }

  features(): Promise<CgroupFeatures> {
    return this.#options.cgroups.features();
  }

  /** The folder comes first: by its name the next start finds whatever was made until there is a state in it. */
  async #make(spec: SandboxSpec, slot: number, paths: SandboxPaths): Promise<SandboxState> {
    const { spawner, ociRuntime } = this.#options;
    const createdAt = Date.now();
    const idRange = this.#rangesOrFail().rangeOf(slot);
    await mkdir(paths.dir, { mode: 0o700 });
    const { mounts = [], privileges } = spec;
    const setId = privileges?.noNewPrivileges === false;
    // One after the other: nothing may still be in the making when a failure sweeps.
    const rootfs = await this.#rootfsOf(spec);
    const cgroup = await this.#ensureCgroup(spec);
    await mkdir(paths.mountPoint, { mode: 0o711 });
    const config = ociConfig({
      hostname: spec.hostname,
      rootPath: join(paths.mountPoint, 'rootfs'),
      agentPath: this.#layout.agentProgram,
      idRange,
      coreLimit: this.#coreLimit,
      ...(spec.network === 'none' ? {} : { sysPath: join(paths.mountPoint, 'sys') }),
      mounts: sandboxMounts(mounts, paths.mountPoint, { setId }),
      ...(privileges === undefined ? {} : { privileges }),
      ...(ociRuntime.joinsCgroup === 'itself' ? { cgroupsPath: cgroup.path } : {}),
      ...(this.#seccompFilter === undefined ? {} : { annotations: this.#seccompFilter }),
    });
    await writeFile(paths.configFile, JSON.stringify(config), { mode: 0o600 });
    const result = await spawner.launch({
      agentProgram: this.#layout.agentProgram,
      argv: ociRuntime.runArgv({ id: spec.id, stateRoot: this.#layout.oci, bundle: paths.dir, pidFile: paths.pidFile }),
      env: RUNTIME_ENV,
      rootfs,
      mountPoint: paths.mountPoint,
      idRange,
      binds: mounts.flatMap((mount) => (mount.kind === 'bind' ? [mount.source] : [])),
      bindsSetId: setId,
      cgroupJoinFiles: ociRuntime.joinsCgroup === 'before' ? cgroup.joinFiles : [],
      agentSocketPath: paths.agentSocket,
      ...(spec.network === 'none' ? {} : { networkNamespace: spec.network.join }),
      timeoutMs: LAUNCH_TIMEOUT_MS,
    });
    if (result.exitCode !== 0) throw await this.#launchError(result, cgroup);
    this.#seccompFilter ??= await ociRuntime.compiledSeccomp(paths.ociState);
    const init = await this.#initOf(paths);
    if (mounts.length > 0) await assertKernelTreesAreTheKernels(init.pid);
    const state: SandboxState = { version: 3, spec, slot, createdAt, bootId: this.#bootId, init };
    await writeState(paths.dir, state);
    return state;
  }

  /** A writable layer that the caller keeps, or a tmpfs that goes with the sandbox. */
  async #rootfsOf({ chainId, writableLayer, limits, networkFiles }: SandboxSpec): Promise<RootfsMount> {
    const size = { sizeBytes: limits.diskBytes, inodes: Math.max(MIN_INODES, Math.floor(limits.diskBytes / BYTES_PER_INODE)) };
    const fresh: RootfsMount = chainId === undefined ? { kind: 'overlay', lowerDirs: [], upper: { kind: 'tmpfs', ...size } } : await this.#options.snapshots.rootfs(chainId, size);
    const rootfs = networkFiles === true ? { ...fresh, lowerDirs: [this.#layout.networkFiles, ...fresh.lowerDirs] } : fresh;
    return writableLayer === undefined ? rootfs : { ...rootfs, upper: { kind: 'directory', ...writableLayer } };
  }

  async #initOf(paths: SandboxPaths): Promise<ProcessIdentity> {
    const pid = Number(await readFile(paths.pidFile, 'latin1'));
    const init = await identifyProcess(pid);
    if (init === undefined) throw new CodedError('internal', 'the guest agent ended at once', { pid });
    return init;
  }

  async #launchError(result: SpawnResult, cgroup: Cgroup): Promise<CodedError> {
    const { name } = this.#options.ociRuntime;
    const text = result.stderr.toString('utf8').trim().slice(-MAX_ERROR_TEXT);
    const details = { exitCode: result.exitCode, signal: result.signal, text };
    const usage = await cgroup.usage().catch(() => undefined);
    if ((usage?.oomKills ?? 0) > 0) return new CodedError('resource_exhausted', `${name} ran out of the sandbox's memory`, details);
    return launchRefusal(text, this.#layout.root) ?? new CodedError('internal', `${name} failed: ${text}`, details);
  }

  /** A tenant's parent that nobody has made yet gets no limits of its own. */
  async #ensureCgroup(spec: SandboxSpec): Promise<Cgroup> {
    const { cgroups } = this.#options;
    const { memoryBytes, pids, cpuMillis, more } = spec.limits;
    const limits = { memoryBytes, pids, cpuMillis, ...more };
    try {
      return await cgroups.ensureSandbox(spec.tenantId, spec.id, limits);
    } catch (error) {
      if (!isCodedError(error, 'not_found')) throw error;
      await cgroups.ensureTenant(spec.tenantId, {});
      return cgroups.ensureSandbox(spec.tenantId, spec.id, limits);
    }
  }

  #handle(state: SandboxState, cgroup: Cgroup): OciSandbox {
    const { id } = state.spec;
    return new OciSandbox({
      state,
      cgroup,
      agentSocket: sandboxPaths(this.#layout, id).agentSocket,
      connectAgent: this.#options.connectAgent,
      destroy: async () => {
        this.#busy.add(id);
        try {
          await this.#sweep(id, [cgroup]);
          this.#sandboxes.delete(id);
          this.#ranges?.release(state.slot);
        } finally {
          this.#busy.delete(id);
        }
      },
    });
  }

  /** Removes every trace. The state goes first, so that a crash from here on leaves a half-removed sandbox; its processes go next, the folder last. */
  async #sweep(id: SandboxId, owned: readonly Cgroup[]): Promise<void> {
    const paths = sandboxPaths(this.#layout, id);
    await unlink(statePath(paths.dir)).catch(ignoreAbsent);
    await Promise.all(owned.map((cgroup) => cgroup.kill()));
    const argv = this.#options.ociRuntime.deleteArgv({ stateRoot: this.#layout.oci, id });
    if (argv !== undefined) await this.#options.spawner.exec({ argv, timeoutMs: LAUNCH_TIMEOUT_MS });
    await Promise.all([
      ...owned.map((cgroup) => cgroup.remove()),
      removeFolder(paths.ociState),
      // Never mounted in this name space: whatever lies below is ours.
      removeFolder(paths.mountPoint),
    ]);
    await removeFolder(paths.dir);
  }

  async #loadWhole(ranges: IdRanges): Promise<Set<SandboxId>> {
    const whole = new Set<SandboxId>();
    // Ids rise with time: of two that claim one range, the one that was made first keeps it.
    for (const id of (await sandboxIdsIn(this.#layout.sandboxes)).sort()) {
      const state = await readState(sandboxPaths(this.#layout, id).dir);
      if (state?.spec.id !== id) continue;
      try {
        ranges.claim(state.slot);
      } catch (error) {
        // A damaged state, or a folder that was copied: one of two that share a range must go, and the node must start.
        this.#options.logger.error({ err: error, sandbox: id }, 'sandbox runtime: the uid range of a sandbox is not its own');
        continue;
      }
      whole.add(id);
      this.#sandboxes.set(id, this.#handle(state, this.#options.cgroups.sandbox(state.spec.tenantId, id)));
    }
    return whole;
  }

  /** Ids that any folder or cgroup of ours names though no sandbox is whole under them, and the tenants whose cgroup that is. */
  async #leftovers(whole: ReadonlySet<SandboxId>): Promise<Map<SandboxId, string[]>> {
    const { sandboxes, launch, oci } = this.#layout;
    const found = new Map<SandboxId, string[]>();
    for (const dir of [sandboxes, launch, oci]) for (const id of await sandboxIdsIn(dir)) if (!whole.has(id)) found.set(id, []);
    for (const { tenantId, sandboxId } of await this.#options.cgroups.list()) {
      if (!isId('sandbox', sandboxId) || whole.has(sandboxId)) continue;
      found.set(sandboxId, [...(found.get(sandboxId) ?? []), tenantId]);
    }
    return found;
  }

  async #prepareFolders(): Promise<void> {
    const { root, sandboxes, launch, oci, bin, agentProgram } = this.#layout;
    for (const [dir, mode] of [[root, 0o711], [bin, 0o711], [launch, 0o711], [sandboxes, 0o700], [oci, 0o700]] as const) {
      await mkdir(dir, { recursive: true, mode });
      await chmod(dir, mode);
    }
    await prepareNetworkFiles(this.#layout.networkFiles);
    // Renamed into place: the old program may be running in sandboxes, and a file that is executed cannot be written.
    const temporary = `${agentProgram}.new`;
    await copyFile(this.#options.agentBinary, temporary);
    await chmod(temporary, 0o755);
    await rename(temporary, agentProgram);
  }

  #rangesOrFail(): IdRanges {
    if (this.#ranges === undefined) throw new CodedError('failed_precondition', 'the runtime is closed');
    return this.#ranges;
  }
}

/** As an image's layer has them. */
async function prepareNetworkFiles(root: string): Promise<void> {
  const etc = join(root, 'etc');
  await mkdir(etc, { recursive: true, mode: 0o755 });
  for (const dir of [root, etc]) await chmod(dir, 0o755);
  for (const name of ['hosts', 'hostname', 'resolv.conf']) {
    await writeFile(join(etc, name), '', { mode: 0o644 });
    await chmod(join(etc, name), 0o644);
  }
}

async function sandboxIdsIn(dir: string): Promise<SandboxId[]> {
  return (await readdir(dir)).filter((name) => isId('sandbox', name));
}

function ignoreAbsent(error: unknown): void {
  if (errnoOf(error) !== 'ENOENT') throw error;
}

/**
 * RLIMIT_CORE 1, the one value for which the kernel neither writes a core file nor feeds the host's core_pattern program (core(5)); 0 where
 * this process may not have more.
 */
function coreLimitOf(limits: string): number {
  const hard = /^Max core file size\s+\S+\s+(\S+)/m.exec(limits)?.[1];
  return hard === '0' ? 0 : 1;
}
