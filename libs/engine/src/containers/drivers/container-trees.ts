import { asError, CodedError, newId, type TenantId } from '#kernel';
import type { Sandbox } from '../../runtime/index.js';
import { ClosingStream, type GuestBytes, type GuestRoot } from '../../tree/index.js';
import type { ContainerLife } from './container-life.js';
import type { ContainerRecord } from './container-record.js';
import type { TenantContainersOptions } from './container-services.js';
import { CONTAINER_ANNOTATION } from './container-starter.js';
import type { ContainerStorage } from './container-storage.js';

/** Operations of one tenant at once, each a process of the node. */
const MAX_AT_ONCE = 32;
const MIB = 1024 * 1024;
/** Of a sandbox that only mounts: the agent, the helper, and what of the files stays in the page cache. */
const MOUNTING = { memoryBytes: 256 * MIB, pids: 16, diskBytes: 0 } as const;

export interface HeldTree {
  readonly root: GuestRoot;
  readonly release: () => Promise<void>;
}

/**
 * The trees of containers, for the while somebody works on them. Of one that runs, its sandbox's. One that does not is mounted in a sandbox without a
 * process, with its volumes, in its turn: nothing can start it meanwhile, and there are never two overlays over one writable layer. Such a sandbox belongs to no
 * record, so the next start of the worker sweeps it. A paused one is worked on in its turn too: the helper cannot be in its cgroup, and must not outlive its pause.
 */
export class ContainerTrees {
  private readonly busy = new Map<TenantId, number>();
  private readonly mounted = new Set<Sandbox>();

  constructor(
    private readonly services: Pick<TenantContainersOptions, 'runtime' | 'defaults' | 'logger'>,
    private readonly storage: ContainerStorage,
  ) {}

  /** @throws CodedError `resource_exhausted`, `unavailable`, as `SandboxRuntime.create` */
  async within<T>(life: ContainerLife, work: (root: GuestRoot) => Promise<T>): Promise<T> {
    const { root, release } = await this.hold(life);
    try {
      return await work(root);
    } finally {
      await release();
    }
  }

  /** As `within`, until the bytes are read or left. */
  async streamed(life: ContainerLife, work: (root: GuestRoot) => Promise<GuestBytes>): Promise<GuestBytes> {
    const { root, release } = await this.hold(life);
    try {
      const { file, bytes } = await work(root);
      const close = async (): Promise<void> => {
        await bytes.return?.();
        await release();
      };
      return { file, bytes: new ClosingStream(bytes, close) };
    } catch (error) {
      await release();
      throw error;
    }
  }

  /** The node goes down for good: what is mounted goes, and with it whoever works there. */
  async close(): Promise<void> {
    await Promise.all([...this.mounted].map((sandbox) => sandbox.destroy()));
  }

  /** Of one that runs: the sandbox's end is the end of what is done there. @throws CodedError `conflict`, `resource_exhausted` */
  running(life: ContainerLife): HeldTree {
    const root = runningRoot(life);
    if (root === undefined) throw new CodedError('conflict', `container ${life.id} is ${life.running ? 'paused' : 'not running'}`);
    const leave = this.enter(life.record.tenantId);
    return {
      root,
      release: () => {
        leave();
        return Promise.resolve();
      },
    };
  }

  private async hold(life: ContainerLife): Promise<HeldTree> {
    const leave = this.enter(life.record.tenantId);
    try {
      const held = await this.held(life);
      return { root: held.root, release: () => held.release().finally(leave) };
    } catch (error) {
      leave();
      throw error;
    }
  }

  private async held(life: ContainerLife): Promise<HeldTree> {
    for (;;) {
      const root = runningRoot(life);
      if (root !== undefined) return { root, release: () => Promise.resolve() };
      const held = await this.heldInTurn(life);
      if (held !== undefined) return held;
    }
  }

  /** Undefined: it has been started, and is to be asked for again. */
  private async heldInTurn(life: ContainerLife): Promise<HeldTree | undefined> {
    const ready = Promise.withResolvers<HeldTree | undefined>();
    const released = Promise.withResolvers<undefined>();
    const over = life.turn(async () => {
      if (life.running && runningRoot(life) !== undefined) {
        ready.resolve(undefined);
        return;
      }
      if (life.running) {
        const { sandbox } = life;
        if (sandbox === undefined) throw new CodedError('unavailable', `container ${life.id} cannot be looked into`);
        ready.resolve({ root: rootOf(sandbox, []), release });
        await released.promise;
        return;
      }
      const sandbox = await this.mount(life.record);
      this.mounted.add(sandbox);
      try {
        ready.resolve({ root: rootOf(sandbox, sandbox.cgroupJoinFiles), release });
        await released.promise;
      } finally {
        await sandbox.destroy();
        this.mounted.delete(sandbox);
      }
    });
    const release = async (): Promise<void> => {
      released.resolve(undefined);
      await over.catch((error: unknown) => {
        this.services.logger.error({ err: asError(error), container: life.id }, 'containers: what was mounted of a container cannot be removed');
      });
    };
    over.catch(ready.reject);
    return ready.promise;
  }

  /** Its tmpfs are left out: what would be written there would be gone at once. */
  private async mount(record: ContainerRecord): Promise<Sandbox> {
    const { runtime, defaults } = this.services;
    const { id, tenantId, chainId, request } = record;
    const mounts = await this.storage.sandboxMounts(record);
    return runtime.create({
      id: newId('sandbox'),
      tenantId,
      chainId: chainId ?? undefined,
      writableLayer: await this.storage.writable(record),
      mounts: mounts.filter(({ kind }) => kind === 'bind'),
      privileges: { noNewPrivileges: true, capabilities: [], readOnlyRootfs: request.readOnlyRootfs, shmBytes: MIB },
      hostname: 'files',
      limits: { ...MOUNTING, cpuMillis: defaults.cpuMillis },
      network: 'none',
      annotations: { [CONTAINER_ANNOTATION]: id },
    });
  }

  private enter(tenantId: TenantId): () => void {
    const busy = this.busy.get(tenantId) ?? 0;
    if (busy >= MAX_AT_ONCE) throw new CodedError('resource_exhausted', `more than ${MAX_AT_ONCE} operations on files at once`);
    this.busy.set(tenantId, busy + 1);
    return () => {
      const left = (this.busy.get(tenantId) ?? 1) - 1;
      if (left <= 0) this.busy.delete(tenantId);
      else this.busy.set(tenantId, left);
    };
  }
}

function runningRoot(life: ContainerLife): GuestRoot | undefined {
  const { sandbox } = life;
  return sandbox === undefined || life.record.status === 'paused' ? undefined : rootOf(sandbox, sandbox.cgroupJoinFiles);
}

function rootOf({ init }: Sandbox, cgroupJoinFiles: readonly string[]): GuestRoot {
  return { ...init, cgroupJoinFiles };
}
