import { open } from 'node:fs/promises';
import { CodedError, type SandboxId, type TenantId } from '#kernel';
import type { Cgroup, CgroupFigures, CgroupUsage } from '../../cgroups/index.js';
import { bootId, isRunning, type ProcessIdentity } from '../../linux/index.js';
import type { ConnectOptions, GuestAgent } from '../agent/agent.js';
import type { NetworkPin, Sandbox, SandboxLimits } from '../runtime.js';
import type { SandboxState } from '../sandbox-state.js';

const CONNECT_TIMEOUT_MS = 5_000;

export interface OciSandboxParts {
  readonly state: SandboxState;
  readonly cgroup: Cgroup;
  readonly agentSocket: string;
  readonly connectAgent: (options: ConnectOptions) => Promise<GuestAgent>;
  readonly destroy: () => Promise<void>;
}

export class OciSandbox implements Sandbox {
  readonly #parts: OciSandboxParts;
  #destroying: Promise<void> | undefined;

  constructor(parts: OciSandboxParts) {
    this.#parts = parts;
  }

  get id(): SandboxId {
    return this.#parts.state.spec.id;
  }

  get tenantId(): TenantId {
    return this.#parts.state.spec.tenantId;
  }

  get createdAt(): number {
    return this.#parts.state.createdAt;
  }

  get init(): ProcessIdentity {
    return this.#parts.state.init;
  }

  get cgroupJoinFiles(): readonly string[] {
    return this.#parts.cgroup.joinFiles;
  }

  get pid(): number {
    return this.#parts.state.init.pid;
  }

  get annotations(): Readonly<Record<string, string>> {
    return this.#parts.state.spec.annotations;
  }

  /** Open first, look then: what was opened is the sandbox's if its process is there afterwards. */
  async pinNetwork(): Promise<NetworkPin> {
    const handle = await open(`/proc/${this.pid}/ns/net`, 'r').catch((error: unknown) => {
      throw new CodedError('unavailable', 'the sandbox is dead', { id: this.id }, { cause: error });
    });
    if (await this.#isAlive()) return { path: `/proc/${process.pid}/fd/${handle.fd}`, release: () => handle.close() };
    await handle.close();
    throw new CodedError('unavailable', 'the sandbox is dead', { id: this.id });
  }

  async connect(after: number | 'kept'): Promise<GuestAgent> {
    try {
      return await this.#parts.connectAgent({ socketPath: this.#parts.agentSocket, after, timeoutMs: CONNECT_TIMEOUT_MS });
    } catch (cause) {
      if (await this.#isAlive()) throw cause;
      throw new CodedError('unavailable', 'the sandbox is dead', { id: this.id }, { cause });
    }
  }

  usage(): Promise<CgroupUsage> {
    return this.#parts.cgroup.usage();
  }

  resetMemoryPeak(): Promise<void> {
    return this.#parts.cgroup.resetPeak();
  }

  /** They live in the cgroup alone: a restart of the worker finds them there. */
  updateLimits({ more, memoryBytes, pids, cpuMillis }: Partial<SandboxLimits>): Promise<void> {
    const basic = { ...(memoryBytes === undefined ? {} : { memoryBytes }), ...(pids === undefined ? {} : { pids }), ...(cpuMillis === undefined ? {} : { cpuMillis }) };
    return this.#parts.cgroup.setLimits({ ...basic, ...more });
  }

  figures(): Promise<CgroupFigures> {
    return this.#parts.cgroup.figures();
  }

  pids(): Promise<number[]> {
    return this.#parts.cgroup.pids();
  }

  freeze(): Promise<void> {
    return this.#parts.cgroup.freeze();
  }

  thaw(): Promise<void> {
    return this.#parts.cgroup.thaw();
  }

  /** Calls at the same time share one removal; after a failure the next call tries again. */
  destroy(): Promise<void> {
    this.#destroying ??= this.#parts.destroy().catch((error: unknown) => {
      this.#destroying = undefined;
      throw error;
    });
    return this.#destroying;
  }

  async #isAlive(): Promise<boolean> {
    const { init, bootId: bootOfSandbox } = this.#parts.state;
    return bootOfSandbox === (await bootId()) && (await isRunning(init));
  }
}
