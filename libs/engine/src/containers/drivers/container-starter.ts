import { asError, CodedError, isCodedError, newId } from '#kernel';
import type { GuestAgent, ProcessSpec, SandboxLimits } from '../../runtime/index.js';
import type { TerminalSize } from '../processes.js';
import { containerCapabilities } from './capabilities.js';
import { ContainerExecution, MAIN_PROCESS } from './container-execution.js';
import { hostnameOf, type ContainerRecord } from './container-record.js';
import type { TenantContainersOptions } from './container-services.js';
import type { ContainerStorage } from './container-storage.js';
import type { GuestUser } from './guest-accounts.js';
import { lookUpUser } from './guest-lookup.js';
import { processEnv, startFailure } from './process-plan.js';
import type { ProcessTable } from './process-table.js';

/** Of a sandbox: the container that it belongs to. Runs' sandboxes have none. */
export const CONTAINER_ANNOTATION = 'sandbar.container';
const FIRST_SIZE: TerminalSize = { columns: 80, rows: 24 };
/** The agent is one process of the sandbox. */
const AGENT_PIDS = 1;
/** Of a sandbox whose writable layer lies on the tenant's disk, no tmpfs is made. */
const NO_TMPFS_LAYER = 0;

/** Brings a container's main process to life in a sandbox of its own. */
export class ContainerStarter {
  constructor(
    private readonly services: TenantContainersOptions,
    private readonly storage: ContainerStorage,
  ) {}

  /**
   * `onSandbox` records the sandbox before the process exists, so that a crash at any moment leaves a container that is found again.
   * @throws CodedError `invalid_argument` with details.exitCode (126, 127, 128), and as `SandboxRuntime.create`; then nothing runs
   */
  async start(record: ContainerRecord, processes: ProcessTable, onSandbox: (execution: ContainerExecution) => Promise<void>): Promise<ContainerExecution> {
    const { runtime, clock, logger } = this.services;
    const { id, tenantId, chainId, request, starts } = record;
    const writableLayer = await this.storage.writable(record);
    const mounts = await this.storage.sandboxMounts(record);
    const sandbox = await runtime.create({
      id: newId('sandbox'),
      tenantId,
      chainId: chainId ?? undefined,
      writableLayer,
      mounts,
      privileges: {
        noNewPrivileges: false,
        capabilities: containerCapabilities(request.capabilities),
        readOnlyRootfs: request.readOnlyRootfs,
        shmBytes: request.limits.shmBytes ?? this.services.defaults.shmBytes,
      },
      hostname: hostnameOf(record),
      limits: this.limitsOf(record),
      network: 'none',
      annotations: { [CONTAINER_ANNOTATION]: id },
    });
    const execution = new ContainerExecution({ sandbox, main: processes.main, start: starts + 1, clock, logger });
    try {
      await execution.connect();
      await onSandbox(execution);
      await this.begin(record, execution, processes.firstSize);
    } catch (error) {
      await execution.release();
      await sandbox.destroy();
      throw error;
    }
    execution.follow();
    return execution;
  }

  /** Starts the process, or finds that an earlier life of the worker has. */
  async begin(record: ContainerRecord, execution: ContainerExecution, size?: TerminalSize): Promise<void> {
    const agent = execution.agent;
    let user: GuestUser | undefined;
    try {
      user = await lookUpUser(agent, record.effective.user, record.request.process.groups ?? []);
      await this.ensureWorkingDir(agent, record.effective.workingDir);
      await execution.begin(processOf(record, user, size));
    } catch (error) {
      if (!isCodedError(error) || error.code === 'unavailable' || error.code === 'protocol_violation') throw asError(error);
      const { exitCode, message } = startFailure({ path: record.path, workingDir: record.effective.workingDir }, user, error);
      throw new CodedError('invalid_argument', message, { exitCode }, { cause: error });
    }
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

  private limitsOf({ request }: ContainerRecord): SandboxLimits {
    const { limits } = request;
    const { defaults } = this.services;
    return {
      memoryBytes: limits.memoryBytes ?? defaults.memoryBytes,
      cpuMillis: limits.cpuMillis ?? defaults.cpuMillis,
      pids: (limits.pids ?? defaults.pids) + AGENT_PIDS,
      diskBytes: limits.diskBytes ?? NO_TMPFS_LAYER,
    };
  }
}

function processOf(record: ContainerRecord, user: GuestUser, size: TerminalSize | undefined): ProcessSpec {
  const { effective, path, args, request } = record;
  const { tty, openStdin } = request.process;
  return {
    id: MAIN_PROCESS,
    argv: [path, ...args],
    env: processEnv({ env: effective.env, hostname: hostnameOf(record), tty, home: user.home }),
    cwd: effective.workingDir,
    uid: user.uid,
    gid: user.gid,
    supplementaryGids: user.supplementaryGids,
    rlimits: request.process.ulimits ?? {},
    stdio: tty ? { kind: 'pty', ...(size ?? FIRST_SIZE) } : { kind: 'pipes', stdin: openStdin },
  };
}
