import { CodedError } from '#kernel';
import type { CgroupFeatures } from '../../cgroups/index.js';
import type { SandboxLimits } from '../../runtime/index.js';
import type { ContainerResources, CreateContainer } from '../containers.js';
import type { ContainerDefaults } from './container-services.js';
import { cpuListFault } from './cpu-list.js';

const LEAST_MEMORY_BYTES = 6 * 1024 * 1024;
const DEFAULT_PERIOD_US = 100_000;
/** The agent is one process of the sandbox. */
const AGENT_PIDS = 1;
/** As good as none: the tenant's own limit is far below. */
const MOST_PIDS = 4_194_304;
/** Of a sandbox whose writable layer lies on the tenant's disk, no tmpfs is made. */
const NO_TMPFS_LAYER = 0;
const NO_SWAP = 'Your kernel does not support swap limit capabilities or the cgroup is not mounted. Memory limited without swap.';
const NO_WEIGHT = 'Your kernel does not support Block I/O weight or the cgroup is not mounted. Weight discarded.';

export interface NodeResources {
  readonly features: CgroupFeatures;
  readonly cpus: number;
}

/**
 * Docker's checks of what is asked for, in its order and words.
 * @returns warnings: what has no effect here
 * @throws CodedError `invalid_argument`
 */
export function checkResources(limits: ContainerResources, node: NodeResources, { update }: { readonly update: boolean }): string[] {
  const warnings: string[] = [];
  checkMemory(limits, update);
  if ((limits.memorySwapBytes ?? 0) !== 0 && limits.memorySwapBytes !== limits.memoryBytes) warnings.push(NO_SWAP);
  checkCpu(limits, node.cpus);
  checkCpuset(limits, node.features);
  const { blkioWeight } = limits;
  if (blkioWeight !== undefined) {
    if (blkioWeight < 10 || blkioWeight > 1000) throw invalid('Range of blkio weight is from 10 to 1000');
    if (!node.features.blkioWeight) warnings.push(NO_WEIGHT);
  }
  return warnings;
}

function checkMemory({ memoryBytes, memorySwapBytes = 0, memoryReservationBytes }: ContainerResources, update: boolean): void {
  if (memoryBytes !== undefined && memoryBytes < LEAST_MEMORY_BYTES) throw invalid('Minimum memory limit allowed is 6MB');
  if (memoryBytes !== undefined && memorySwapBytes > 0 && memorySwapBytes < memoryBytes) throw invalid('Minimum memoryswap limit should be larger than memory limit, see usage');
  if (memoryBytes === undefined && memorySwapBytes > 0 && !update) throw invalid('You should always set the Memory limit when using Memoryswap limit, see usage');
  if (memoryReservationBytes === undefined) return;
  if (memoryReservationBytes < LEAST_MEMORY_BYTES) throw invalid('Minimum memory reservation allowed is 6MB');
  if (memoryBytes !== undefined && memoryBytes < memoryReservationBytes) throw invalid('Minimum memory limit can not be less than memory reservation limit, see usage');
}

function checkCpu({ cpuMillis, cpuPeriodUs, cpuQuotaUs, cpuShares }: ContainerResources, cpus: number): void {
  if (cpuMillis !== undefined && cpuPeriodUs !== undefined) throw invalid('Conflicting options: Nano CPUs and CPU Period cannot both be set');
  if (cpuMillis !== undefined && cpuQuotaUs !== undefined) throw invalid('Conflicting options: Nano CPUs and CPU Quota cannot both be set');
  if (cpuMillis !== undefined && (cpuMillis < 1 || cpuMillis > cpus * 1000)) throw invalid(`Range of CPUs is from 0.01 to ${cpus}.00, as there are only ${cpus} CPUs available`);
  if (cpuShares !== undefined && cpuShares < 0) throw invalid(`Invalid CPU shares: ${cpuShares}`);
  if (cpuPeriodUs !== undefined && (cpuPeriodUs < 1000 || cpuPeriodUs > 1_000_000)) throw invalid('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  if (cpuQuotaUs !== undefined && cpuQuotaUs !== -1 && cpuQuotaUs < 1000) throw invalid('CPU cfs quota can not be less than 1ms (i.e. 1000)');
}

function checkCpuset({ cpusetCpus, cpusetMems }: ContainerResources, { cpuset }: CgroupFeatures): void {
  const asked = [
    ['cpus', 'CPUs', cpusetCpus, cpuset?.cpus],
    ['mems', 'memory nodes', cpusetMems, cpuset?.mems],
  ] as const;
  for (const [name, things, list, available = ''] of asked) {
    if (list === undefined) continue;
    const fault = cpuListFault(list, available);
    if (fault === 'malformed') throw invalid(`Invalid value ${list.slice(0, 100)} for cpuset ${name}`);
    if (fault === 'unavailable') throw invalid(`Requested ${things} are not available - requested ${list.slice(0, 100)}, available: ${available}`);
  }
}

/** What an update makes of the limits. @throws CodedError `conflict`, in Docker's words */
export function mergeResources<L extends ContainerResources>(current: L, change: ContainerResources): L {
  const conflicts: readonly [boolean, string][] = [
    [isSet(change.cpuMillis) && isSet(current.cpuPeriodUs), 'Conflicting options: Nano CPUs cannot be updated as CPU Period has already been set'],
    [isSet(change.cpuMillis) && isSet(current.cpuQuotaUs), 'Conflicting options: Nano CPUs cannot be updated as CPU Quota has already been set'],
    [isSet(change.cpuPeriodUs) && isSet(current.cpuMillis), 'Conflicting options: CPU Period cannot be updated as NanoCPUs has already been set'],
    [isSet(change.cpuQuotaUs) && isSet(current.cpuMillis), 'Conflicting options: CPU Quota cannot be updated as NanoCPUs has already been set'],
    [
      change.memoryBytes !== undefined && change.memorySwapBytes === undefined && current.memorySwapBytes !== -1 && change.memoryBytes > (current.memorySwapBytes ?? 0),
      'Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time',
    ],
  ];
  for (const [present, message] of conflicts) if (present) throw new CodedError('conflict', message);
  return { ...current, ...change };
}

/** Memory without a word on swap means as much swap again, which only the rules of `update` see. */
export function withDefaultSwap(limits: CreateContainer['limits']): CreateContainer['limits'] {
  return limits.memoryBytes === undefined || limits.memorySwapBytes !== undefined ? limits : { ...limits, memorySwapBytes: 2 * limits.memoryBytes };
}

/** For the cgroup of a container's sandbox. */
export function sandboxLimits(limits: CreateContainer['limits'], defaults: ContainerDefaults): SandboxLimits {
  const { pids, memoryReservationBytes, cpuShares, cpusetCpus, cpusetMems, blkioWeight } = limits;
  return {
    memoryBytes: limits.memoryBytes ?? defaults.memoryBytes,
    cpuMillis: limits.cpuMillis ?? defaults.cpuMillis,
    pids: pids === undefined ? defaults.pids + AGENT_PIDS : pids < 0 ? MOST_PIDS : pids + AGENT_PIDS,
    diskBytes: limits.diskBytes ?? NO_TMPFS_LAYER,
    more: {
      ...cpuQuotaOf(limits, defaults),
      ...(memoryReservationBytes === undefined ? {} : { memoryReservationBytes }),
      // Linux takes 2…262144 and bends what is beyond, as on cgroup v1.
      ...(cpuShares === undefined ? {} : { cpuShares: Math.min(262_144, Math.max(2, cpuShares)) }),
      ...(cpusetCpus === undefined ? {} : { cpusetCpus }),
      ...(cpusetMems === undefined ? {} : { cpusetMems }),
      ...(blkioWeight === undefined ? {} : { blkioWeight }),
    },
  };
}

/** A period without a quota divides the default share. */
function cpuQuotaOf({ cpuQuotaUs, cpuPeriodUs }: ContainerResources, { cpuMillis }: ContainerDefaults): { cpuQuota?: { quotaUs: number; periodUs: number } } {
  if (cpuQuotaUs === undefined && cpuPeriodUs === undefined) return {};
  const periodUs = cpuPeriodUs ?? DEFAULT_PERIOD_US;
  return { cpuQuota: { quotaUs: cpuQuotaUs ?? Math.round((cpuMillis * periodUs) / 1000), periodUs } };
}

function isSet(value: number | undefined): boolean {
  return value !== undefined && value > 0;
}

function invalid(message: string): CodedError {
  return new CodedError('invalid_argument', message);
}
