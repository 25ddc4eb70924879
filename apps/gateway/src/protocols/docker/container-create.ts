import { createContainerSchema, type CreateContainerBody } from '#contracts';
import { createBodySchema, type CreateBody, type DockerHostConfig } from './container-config.js';
import { mountsOf, sizeOf } from './container-mounts.js';
import { exposedPortsOf, networkingOf } from './container-networks.js';
import { badParameter, unsupported } from './errors.js';
import { parseDocker } from './parse-docker.js';

const LEAST_MEMORY_BYTES = 6 * 1024 * 1024;
const DEFAULT_CPU_PERIOD = 100_000;
const NANOS_PER_MILLI_CPU = 1_000_000;
const LOG_DRIVERS = new Set(['', 'json-file', 'local']);

export interface Translation {
  readonly request: CreateContainerBody;
  readonly warnings: readonly string[];
}

/**
 * Docker's body → ours. What cannot be honoured is refused; what is advice to a scheduler is dropped with a warning, as Docker's engine does where
 * the kernel has no such thing.
 * @throws CodedError `invalid_argument`, `unsupported`
 */
export function translateCreate(json: Readonly<Record<string, unknown>>, name: string | undefined): Translation {
  if (Object.keys(json).length === 0) throw badParameter('config cannot be empty in order to create a container');
  const body = parseDocker(createBodySchema, json);
  const { HostConfig: host, NetworkingConfig: networking, ...config } = body;
  refuse(body);
  const request = parseDocker(createContainerSchema, {
    ...(name === undefined ? {} : { name: name.replace(/^\//, '') }),
    image: config.Image,
    process: {
      entrypoint: config.Entrypoint,
      cmd: config.Cmd,
      env: config.Env ?? [],
      workingDir: config.WorkingDir,
      user: config.User,
      tty: config.Tty,
      openStdin: config.OpenStdin,
      ...(config.StopSignal === undefined || config.StopSignal === '' ? {} : { stopSignal: config.StopSignal }),
      ...(config.StopTimeout === undefined ? {} : { stopTimeoutSeconds: config.StopTimeout }),
    },
    ...(config.Hostname === '' ? {} : { hostname: config.Hostname }),
    ...(config.Domainname === '' ? {} : { domainname: config.Domainname }),
    labels: config.Labels ?? {},
    network: networkingOf(body),
    exposedPorts: exposedPortsOf(body),
    mounts: mountsOf(body),
    volumesFrom: host.VolumesFrom ?? [],
    limits: limitsOf(host),
    capabilities: { add: host.CapAdd ?? [], drop: host.CapDrop ?? [], privileged: host.Privileged },
    readOnlyRootfs: host.ReadonlyRootfs,
    autoRemove: host.AutoRemove,
    clientConfig: { Config: config, HostConfig: host, NetworkingConfig: networking },
  });
  return { request, warnings: warningsOf(host) };
}

/** Whatever would reach beyond the container, or is not there yet. Each has a value that means "nothing special". */
function refuse(body: CreateBody): void {
  const { HostConfig: host } = body;
  const own = (name: string, value: string, allowed: readonly string[]): void => {
    if (!['', ...allowed].includes(value)) throw unsupported(`${name} "${value.slice(0, 100)}"`);
  };
  own('the PID mode', host.PidMode, []);
  own('the IPC mode', host.IpcMode, ['private', 'shareable']);
  own('the UTS mode', host.UTSMode, []);
  own('the user name space mode', host.UsernsMode, []);
  own('the cgroup name space mode', host.CgroupnsMode, ['private']);
  own('the isolation', host.Isolation, ['default']);
  own('the runtime', host.Runtime, ['runc', 'crun']);
  own('the restart policy', host.RestartPolicy.Name, ['no']);
  own('the cgroup parent', host.CgroupParent, []);
  own('the cgroup', host.Cgroup, []);
  if (!LOG_DRIVERS.has(host.LogConfig.Type)) throw badParameter(`logger: no log driver named '${host.LogConfig.Type}' is registered`);
  const present: readonly [string, boolean][] = [
    ['a device', some(host.Devices)],
    ['a device cgroup rule', some(host.DeviceCgroupRules)],
    ['a device request (--gpus)', some(host.DeviceRequests)],
    ['a security option', (host.SecurityOpt ?? []).length > 0],
    ['a sysctl', Object.keys(host.Sysctls ?? {}).length > 0],
    ['a ulimit', some(host.Ulimits)],
    ['an OOM score', host.OomScoreAdj !== 0],
    ['a list of masked paths', host.MaskedPaths !== null],
    ['a list of read-only paths', host.ReadonlyPaths !== null],
    ['a supplementary group', some(host.GroupAdd)],
    ['a health check', body.Healthcheck !== undefined && !['', 'NONE'].includes(body.Healthcheck.Test?.[0] ?? '')],
  ];
  for (const [what, given] of present) if (given) throw unsupported(what);
}

function limitsOf(host: DockerHostConfig): CreateContainerBody['limits'] {
  if (host.Memory < 0 || (host.Memory > 0 && host.Memory < LEAST_MEMORY_BYTES)) throw badParameter('Minimum memory limit allowed is 6MB');
  if (host.ShmSize < 0) throw badParameter('SHM size can not be less than 0');
  const cpuMillis = cpuMillisOf(host);
  const diskBytes = diskBytesOf(host.StorageOpt ?? {});
  return {
    ...(host.Memory > 0 ? { memoryBytes: host.Memory } : {}),
    ...(cpuMillis === undefined ? {} : { cpuMillis }),
    ...((host.PidsLimit ?? 0) > 0 ? { pids: host.PidsLimit ?? 0 } : {}),
    ...(host.ShmSize > 0 ? { shmBytes: host.ShmSize } : {}),
    ...(diskBytes === undefined ? {} : { diskBytes }),
  };
}

function cpuMillisOf({ NanoCpus: nanos, CpuQuota: quota, CpuPeriod: period }: DockerHostConfig): number | undefined {
  if (nanos !== 0 && period !== 0) throw badParameter('Conflicting options: Nano CPUs and CPU Period cannot both be set.');
  if (nanos !== 0 && quota !== 0) throw badParameter('Conflicting options: Nano CPUs and CPU Quota cannot both be set.');
  if (nanos < 0 || (nanos > 0 && nanos < 10 * NANOS_PER_MILLI_CPU)) throw badParameter('Range of CPUs is from 0.01');
  if (period !== 0 && (period < 1000 || period > 1_000_000)) throw badParameter('CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)');
  if (quota > 0 && quota < 1000) throw badParameter('CPU cfs quota can not be less than 1ms (i.e. 1000)');
  if (nanos > 0) return Math.round(nanos / NANOS_PER_MILLI_CPU);
  return quota > 0 ? Math.max(1, Math.round((quota / (period === 0 ? DEFAULT_CPU_PERIOD : period)) * 1000)) : undefined;
}

function diskBytesOf(options: Readonly<Record<string, string>>): number | undefined {
  let bytes: number | undefined;
  for (const [name, value] of Object.entries(options)) {
    if (name.toLowerCase() !== 'size') throw badParameter(`Unknown option ${name}`);
    bytes = sizeOf(value);
  }
  return bytes;
}

function warningsOf(host: DockerHostConfig): string[] {
  const dropped: readonly [string, boolean][] = [
    ['CPU shares', host.CpuShares !== 0],
    ['cpusets', host.CpusetCpus !== '' || host.CpusetMems !== ''],
    ['CPU real-time scheduling', host.CpuRealtimePeriod !== 0 || host.CpuRealtimeRuntime !== 0],
    ['block I/O weights and rates', host.BlkioWeight !== 0 || [host.BlkioWeightDevice, host.BlkioDeviceReadBps, host.BlkioDeviceWriteBps, host.BlkioDeviceReadIOps, host.BlkioDeviceWriteIOps].some(some)],
    ['memory soft limits', host.MemoryReservation !== 0],
    ['swap limits', host.MemorySwap > 0 && host.MemorySwap !== host.Memory],
    ['memory swappiness', (host.MemorySwappiness ?? -1) !== -1],
    ['disabling the OOM killer', host.OomKillDisable === true],
    ['log options', Object.keys(host.LogConfig.Config).length > 0],
  ];
  return dropped.filter(([, given]) => given).map(([what]) => `This server does not support ${what}: the setting is discarded.`);
}

function some(list: readonly unknown[] | null): boolean {
  return list !== null && list.length > 0;
}
