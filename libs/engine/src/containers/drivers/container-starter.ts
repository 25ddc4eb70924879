import { asError, CodedError, isCodedError, newId } from '#kernel';
import { settleAll } from '../../linux/index.js';
import type { GuestAgent, ProcessSpec, Sandbox } from '../../runtime/index.js';
import type { StartSecrets } from '../containers.js';
import type { TerminalSize } from '../processes.js';
import { containerCapabilities } from './capabilities.js';
import { ContainerExecution, MAIN_PROCESS } from './container-execution.js';
import { sandboxLimits } from './container-limits.js';
import type { ContainerLog } from './container-log.js';
import type { ContainerNetwork, OpenNetwork } from './container-network.js';
import type { ContainerRecord } from './container-record.js';
import type { TenantContainersOptions } from './container-services.js';
import type { ContainerStorage } from './container-storage.js';
import type { GuestUser } from './guest-accounts.js';
import { isAttached } from './network-mode.js';
import { processEnv, startFailure } from './process-plan.js';
import type { ProcessTable } from './process-table.js';

/** Of a sandbox: the container that it belongs to. Runs' sandboxes have none. */
export const CONTAINER_ANNOTATION = 'sandbar.container';
/** The exit code of a start that failed for another reason than its program. */
const UNKNOWN_FAILURE = 128;
const FIRST_SIZE: TerminalSize = { columns: 80, rows: 24 };

export interface StarterOptions {
  /** Records the sandbox before the process exists, so that a crash at any moment leaves a container that is found again. */
  readonly onSandbox: (execution: ContainerExecution, ambient: NonNullable<ContainerRecord['ambient']>) => Promise<void>;
  readonly secrets?: StartSecrets;
}

/** Brings a container's main process to life in a sandbox of its own. */
export class ContainerStarter {
  constructor(
    private readonly services: TenantContainersOptions,
    private readonly storage: ContainerStorage,
    private readonly network: ContainerNetwork,
  ) {}

  /**
   * @throws CodedError `invalid_argument` with details.exitCode (126, 127, 128), and as `SandboxRuntime.create`; then nothing runs
   */
  async start(record: ContainerRecord, processes: ProcessTable, { onSandbox, secrets }: StarterOptions): Promise<ContainerExecution> {
    const { clock, logger } = this.services;
    const network = await this.network.open(record);
    const sandbox = await this.makeSandbox(record, network).finally(() => network.close());
    const execution = new ContainerExecution({ sandbox, main: processes.main, start: record.starts + 1, clock, logger });
    try {
      await execution.connect();
      await onSandbox(execution, { hostname: network.hostname, env: network.env });
      const prepared = this.prepare(record, execution, secrets);
      await settleAll([this.network.attach(record, sandbox.pid), prepared]);
      await this.begin(record, execution, await prepared, { network, size: processes.firstSize, secretEnv: secrets?.env ?? [] });
    } catch (error) {
      await execution.release();
      await this.network.detach(record);
      await sandbox.destroy();
      throw error;
    }
    execution.follow();
    return execution;
  }

  /** What another life of the worker has started. Nothing is asked of it yet: it may be paused. */
  adopt(record: ContainerRecord, sandbox: Sandbox, processes: ProcessTable): ContainerExecution {
    const { clock, logger } = this.services;
    const execution = new ContainerExecution({ sandbox, main: processes.main, start: record.starts, clock, logger });
    processes.adopt(execution);
    processes.begin(execution, record, { fresh: false });
    return execution;
  }

  /** Goes on with what was adopted. Never fails: an execution without a connection finds out how it ended. */
  async takeUp(record: ContainerRecord, execution: ContainerExecution, log: ContainerLog): Promise<void> {
    // A crash in the middle of a commit leaves it frozen.
    await execution.sandbox.thaw().catch(() => undefined);
    try {
      await execution.connect();
      if (log.last?.start !== record.starts) await this.resume(record, execution);
    } catch (error) {
      this.services.logger.warn({ err: asError(error), container: record.id }, 'containers: a container cannot be taken up again');
    }
    execution.follow();
  }

  /** For what an earlier life of the worker has recorded and not begun. */
  private async resume(record: ContainerRecord, execution: ContainerExecution): Promise<void> {
    const network = await this.network.open(record);
    try {
      await this.begin(record, execution, await this.prepare(record, execution), { network, size: undefined, secretEnv: [] });
    } finally {
      await network.close();
    }
  }

  /** What the process finds in the container's own files: nothing in there needs the network. @returns whose process it is to be */
  private async prepare(record: ContainerRecord, { agent, sandbox, users }: ContainerExecution, secrets?: StartSecrets): Promise<GuestUser> {
    if (secrets !== undefined) await this.services.guestTrees.extract({ ...sandbox.init, cgroupJoinFiles: sandbox.cgroupJoinFiles }, { into: '/', tar: secrets.tar, sameKinds: true });
    return told(record, undefined, async () => {
      const user = await users.lookUp(agent, { user: record.effective.user, groups: record.request.process.groups ?? [] });
      await this.ensureWorkingDir(agent, record.effective.workingDir);
      return user;
    });
  }

  /** Starts the process, or finds that an earlier life of the worker has. */
  private begin(record: ContainerRecord, execution: ContainerExecution, user: GuestUser, surroundings: Surroundings): Promise<void> {
    return told(record, user, () => execution.begin(processOf(record, user, surroundings)));
  }

  private async makeSandbox(record: ContainerRecord, network: OpenNetwork): Promise<Sandbox> {
    const { id, tenantId, chainId, request } = record;
    const writableLayer = await this.storage.writable(record);
    const mounts = await this.storage.sandboxMounts(record);
    return this.services.runtime.create({
      id: newId('sandbox'),
      tenantId,
      chainId: chainId ?? undefined,
      writableLayer,
      mounts: [...mounts, ...network.mounts],
      privileges: {
        noNewPrivileges: request.noNewPrivileges ?? false,
        capabilities: containerCapabilities(request.capabilities),
        readOnlyRootfs: request.readOnlyRootfs,
        ...(request.limits.oomScoreAdj === undefined ? {} : { oomScoreAdj: request.limits.oomScoreAdj }),
        sysctls: ownSysctls(record),
        shmBytes: request.withoutShm === true ? 0 : (request.limits.shmBytes ?? this.services.defaults.shmBytes),
      },
      hostname: network.domainHostname,
      limits: sandboxLimits(request.limits, this.services.defaults),
      network: network.sandbox,
      networkFiles: true,
      annotations: { [CONTAINER_ANNOTATION]: id },
    });
  }

  /** As an image's WORKDIR: made when missing. What cannot be made shows when the process is to be started there. */
  private async ensureWorkingDir(agent: GuestAgent, path: string): Promise<void> {
    if (path === '/') return;
    try {
      await agent.writeFile({ path: `${path}/`, content: Buffer.alloc(0), mode: 0o755, uid: 0, gid: 0 });
    } catch (error) {
      if (!isCodedError(error) || error.code === 'unavailable' || error.code === 'protocol_violation') throw error;
      this.services.logger.debug({ err: error }, 'containers: the working directory was not made');
    }
  }
}

/** What the record says of a start that failed: as before, but for the error. What was to start by itself stays down. */
export function failedStart(before: ContainerRecord, error: unknown): Partial<ContainerRecord> {
  const exitCode = isCodedError(error) && typeof error.details.exitCode === 'number' ? error.details.exitCode : UNKNOWN_FAILURE;
  return { status: before.status === 'restarting' ? 'exited' : before.status, sandboxId: null, startedAt: before.startedAt, exitCode, error: asError(error).message };
}

/** Those of networks are given by what attaches it to them, when anything does. */
function ownSysctls({ request: { sysctls = {} }, network }: ContainerRecord): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(sysctls).filter(([name]) => !name.startsWith('net.') || !isAttached(network)));
}

/** @throws CodedError in the words by which clients tell why a program did not start */
async function told<T>({ path, effective }: ContainerRecord, user: GuestUser | undefined, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!isCodedError(error) || error.code === 'unavailable' || error.code === 'protocol_violation') throw asError(error);
    const { exitCode, message } = startFailure({ path, workingDir: effective.workingDir }, user, error);
    throw new CodedError('invalid_argument', message, { exitCode }, { cause: error });
  }
}

interface Surroundings {
  readonly network: Pick<OpenNetwork, 'hostname' | 'env'>;
  /** Of its terminal. */
  readonly size: TerminalSize | undefined;
  /** Of this start, kept nowhere. */
  readonly secretEnv: readonly string[];
}

function processOf(record: ContainerRecord, user: GuestUser, { network, size, secretEnv }: Surroundings): ProcessSpec {
  const { effective, path, args, request } = record;
  const { tty, openStdin } = request.process;
  return {
    id: MAIN_PROCESS,
    argv: [path, ...args],
    env: processEnv({ env: [...network.env, ...effective.env, ...secretEnv], hostname: network.hostname, tty, home: user.home }),
    cwd: effective.workingDir,
    uid: user.uid,
    gid: user.gid,
    supplementaryGids: user.supplementaryGids,
    rlimits: request.process.ulimits ?? {},
    stdio: tty ? { kind: 'pty', ...(size ?? FIRST_SIZE) } : { kind: 'pipes', stdin: openStdin },
  };
}
