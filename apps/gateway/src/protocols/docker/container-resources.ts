import { updateContainerSchema, type CreateContainerBody, type UpdateContainerBody } from '#contracts';
import { hostConfigSchema, type DockerHostConfig } from './container-config.js';
import { sizeOf } from './container-mounts.js';
import { restartPolicyOf } from './container-policies.js';
import { badParameter } from './errors.js';

const NANOS_PER_MILLI_CPU = 1_000_000;
const NO_LIMIT = -1;

type Resources = UpdateContainerBody['limits'];

/** Whether what is asked for can be had is the node's to say, in Docker's words. @throws CodedError `invalid_argument` */
export function limitsOf(host: DockerHostConfig): CreateContainerBody['limits'] {
  if (host.ShmSize < 0) throw badParameter('SHM size can not be less than 0');
  if (host.OomScoreAdj < -1000 || host.OomScoreAdj > 1000) throw badParameter(`Invalid value ${host.OomScoreAdj}, range for oom score adj is [-1000, 1000]`);
  const diskBytes = diskBytesOf(host.StorageOpt ?? {});
  const { pids, ...resources } = resourcesOf(host);
  return {
    ...resources,
    // Without a limit is what a container is when it asks for none: its tenant's holds.
    ...(pids === undefined || pids < 0 ? {} : { pids }),
    ...(host.ShmSize > 0 ? { shmBytes: host.ShmSize } : {}),
    ...(host.OomScoreAdj === 0 ? {} : { oomScoreAdj: host.OomScoreAdj }),
    ...(diskBytes === undefined ? {} : { diskBytes }),
  };
}

/** Docker's body of an update: zero means unchanged. @throws CodedError `invalid_argument` */
export function translateUpdate(json: Readonly<Record<string, unknown>>): { readonly change: UpdateContainerBody; readonly warnings: readonly string[] } {
  const parsed = hostConfigSchema.safeParse(json);
  if (!parsed.success) throw badParameter(`invalid JSON: ${parsed.error.issues[0]?.path.join('.') ?? ''}`);
  const host = parsed.data;
  const restart = host.RestartPolicy.Name === '' ? undefined : restartPolicyOf(host.RestartPolicy);
  const change = updateContainerSchema.safeParse({ limits: resourcesOf(host), ...(restart === undefined ? {} : { restart }) });
  if (!change.success) throw badParameter(`invalid JSON: ${change.error.issues[0]?.path.join('.') ?? ''}`);
  return { change: change.data, warnings: resourceWarnings(host) };
}

function resourcesOf(host: DockerHostConfig): Resources {
  const number = <K extends keyof Resources>(name: K, value: number): Partial<Record<K, number>> => (value === 0 ? {} : ({ [name]: value } as Partial<Record<K, number>>));
  const pids = host.PidsLimit;
  return {
    ...number('memoryBytes', host.Memory),
    ...number('memoryReservationBytes', host.MemoryReservation),
    ...number('memorySwapBytes', host.MemorySwap),
    // What is not nothing stays more than nothing; what is below it is refused by the node.
    ...number('cpuMillis', host.NanoCpus > 0 ? Math.max(1, Math.round(host.NanoCpus / NANOS_PER_MILLI_CPU)) : Math.sign(host.NanoCpus)),
    ...number('cpuPeriodUs', host.CpuPeriod),
    ...number('cpuQuotaUs', host.CpuQuota),
    ...number('cpuShares', host.CpuShares),
    ...(host.CpusetCpus === '' ? {} : { cpusetCpus: host.CpusetCpus }),
    ...(host.CpusetMems === '' ? {} : { cpusetMems: host.CpusetMems }),
    ...number('blkioWeight', host.BlkioWeight),
    ...(pids === null ? {} : { pids: pids > 0 ? pids : NO_LIMIT }),
  };
}

function diskBytesOf(options: Readonly<Record<string, string>>): number | undefined {
  let bytes: number | undefined;
  for (const [name, value] of Object.entries(options)) {
    if (name.toLowerCase() !== 'size') throw badParameter(`Unknown option ${name}`);
    bytes = sizeOf(value);
  }
  return bytes;
}

/** What no node here gives effect to, in Docker's words for kernels without it. @throws CodedError `invalid_argument` */
export function resourceWarnings(host: DockerHostConfig): string[] {
  const swappiness = host.MemorySwappiness ?? -1;
  if (swappiness < -1 || swappiness > 100) throw badParameter(`Invalid value: ${swappiness}, valid memory swappiness range is 0-100`);
  if (host.CpuRealtimePeriod !== 0 || host.CpuRealtimeRuntime !== 0) throw badParameter('kernel does not support CPU real-time scheduler');
  const discarded: readonly [boolean, string][] = [
    [swappiness !== -1, 'Your kernel does not support memory swappiness capabilities, or the cgroup is not mounted. Memory swappiness discarded.'],
    [host.OomKillDisable === true, 'Your kernel does not support OomKillDisable. OomKillDisable discarded.'],
    [some(host.BlkioWeightDevice), 'Your kernel does not support Block I/O weight_device or the cgroup is not mounted. Weight-device discarded.'],
    [some(host.BlkioDeviceReadBps), 'Your kernel does not support BPS Block I/O read limit or the cgroup is not mounted. Block I/O BPS read limit discarded.'],
    [some(host.BlkioDeviceWriteBps), 'Your kernel does not support BPS Block I/O write limit or the cgroup is not mounted. Block I/O BPS write limit discarded.'],
    [some(host.BlkioDeviceReadIOps), 'Your kernel does not support IOPS Block read limit or the cgroup is not mounted. Block I/O IOPS read limit discarded.'],
    [some(host.BlkioDeviceWriteIOps), 'Your kernel does not support IOPS Block write limit or the cgroup is not mounted. Block I/O IOPS write limit discarded.'],
  ];
  return discarded.filter(([given]) => given).map(([, warning]) => warning);
}

function some(list: readonly unknown[] | null): boolean {
  return list !== null && list.length > 0;
}
