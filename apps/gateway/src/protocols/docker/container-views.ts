import type { ContainerView } from '#contracts';
import { configSchema, hostConfigSchema } from './container-config.js';
import { networkMode, networkSettings, networksOf, portList } from './container-network-views.js';
import { objectOf } from './image-views.js';
import { humanDuration, rfc3339Nano, unixSeconds, ZERO_TIME } from './times.js';

const NANOS_PER_MILLI_CPU = 1_000_000;
const NS_PER_MS = 1_000_000;

/** One line of `docker ps`. */
export function toContainerSummary(container: ContainerView, now: number): object {
  const { request } = container;
  return {
    Id: container.id,
    Names: [`/${container.name}`],
    Image: request.image,
    ImageID: container.imageId,
    Command: commandText(container),
    Created: unixSeconds(container.createdAt),
    Ports: portList(container),
    ...(container.writableBytes === null ? {} : { SizeRw: container.writableBytes }),
    ...(container.rootfsBytes === null ? {} : { SizeRootFs: container.rootfsBytes }),
    Labels: container.effective.labels,
    State: container.state.status,
    Status: statusText(container, now),
    HostConfig: { NetworkMode: networkMode(container) },
    NetworkSettings: { Networks: networksOf(container) },
    Mounts: mountPoints(container),
  };
}

export function toContainerInspect(container: ContainerView): object {
  const { state, request, effective } = container;
  const client = objectOf(request.clientConfig);
  const config = configSchema.parse(objectOf(client['Config']));
  return {
    Id: container.id,
    Created: rfc3339Nano(container.createdAt),
    Path: container.path,
    Args: container.args,
    State: {
      Status: state.status,
      Running: ['running', 'paused', 'restarting'].includes(state.status),
      Paused: state.status === 'paused',
      Restarting: state.status === 'restarting',
      OOMKilled: state.oomKilled,
      Dead: state.status === 'dead',
      Pid: state.pid,
      ExitCode: state.exitCode,
      Error: state.error,
      StartedAt: state.startedAt === null ? ZERO_TIME : rfc3339Nano(state.startedAt),
      FinishedAt: state.finishedAt === null ? ZERO_TIME : rfc3339Nano(state.finishedAt),
      ...(state.health === undefined ? {} : { Health: toHealth(state.health) }),
    },
    Image: container.imageId,
    // The files of the engine are the node's own.
    ResolvConfPath: '',
    HostnamePath: '',
    HostsPath: '',
    LogPath: '',
    Name: `/${container.name}`,
    RestartCount: container.restartCount,
    Driver: 'overlay2',
    Platform: 'linux',
    MountLabel: '',
    ProcessLabel: '',
    AppArmorProfile: '',
    ExecIDs: null,
    HostConfig: hostConfigOf(container),
    GraphDriver: { Data: {}, Name: 'overlay2' },
    ...(container.writableBytes === null ? {} : { SizeRw: container.writableBytes }),
    ...(container.rootfsBytes === null ? {} : { SizeRootFs: container.rootfsBytes }),
    Mounts: mountPoints(container),
    Config: {
      ...config,
      Hostname: request.hostname ?? container.id.slice(0, 12),
      User: effective.user,
      Tty: request.process.tty,
      OpenStdin: request.process.openStdin,
      Env: effective.env,
      Cmd: effective.cmd,
      Image: request.image,
      Volumes: effective.volumes.length === 0 ? null : Object.fromEntries(effective.volumes.map((path) => [path, {}])),
      WorkingDir: effective.workingDir,
      Entrypoint: effective.entrypoint,
      ExposedPorts: effective.exposedPorts.length === 0 ? null : Object.fromEntries(effective.exposedPorts.map((port) => [port, {}])),
      Labels: effective.labels,
      ...(effective.health === undefined ? {} : { Healthcheck: toHealthcheck(effective.health) }),
    },
    NetworkSettings: networkSettings(container),
  };
}

/** What the client asked for, with what is in force where it asked for nothing. */
function hostConfigOf(container: ContainerView): object {
  const { request } = container;
  const host = hostConfigSchema.parse(objectOf(request.clientConfig['HostConfig']));
  const { limits, capabilities } = request;
  return {
    ...host,
    NetworkMode: networkMode(container),
    Links: linksOf(container),
    LogConfig: { Type: host.LogConfig.Type === '' ? 'json-file' : host.LogConfig.Type, Config: host.LogConfig.Config },
    RestartPolicy: { Name: request.restart?.kind ?? 'no', MaximumRetryCount: request.restart?.maxRetries ?? 0 },
    IpcMode: host.IpcMode === '' ? 'private' : host.IpcMode,
    CgroupnsMode: 'private',
    Runtime: 'runc',
    AutoRemove: request.autoRemove,
    VolumesFrom: request.volumesFrom.length === 0 ? null : request.volumesFrom,
    CapAdd: capabilities.add.length === 0 ? null : capabilities.add,
    CapDrop: capabilities.drop.length === 0 ? null : capabilities.drop,
    Privileged: capabilities.privileged,
    ReadonlyRootfs: request.readOnlyRootfs,
    ...resourcesOf(limits),
    ShmSize: limits.shmBytes ?? 64 * 1024 * 1024,
  };
}

/** As they are now: `update` changes them. */
function resourcesOf(limits: ContainerView['request']['limits']): object {
  return {
    Memory: limits.memoryBytes ?? 0,
    MemoryReservation: limits.memoryReservationBytes ?? 0,
    MemorySwap: limits.memorySwapBytes ?? 0,
    NanoCpus: (limits.cpuMillis ?? 0) * NANOS_PER_MILLI_CPU,
    CpuPeriod: limits.cpuPeriodUs ?? 0,
    CpuQuota: limits.cpuQuotaUs ?? 0,
    CpuShares: limits.cpuShares ?? 0,
    CpusetCpus: limits.cpusetCpus ?? '',
    CpusetMems: limits.cpusetMems ?? '',
    BlkioWeight: limits.blkioWeight ?? 0,
    PidsLimit: limits.pids ?? null,
  };
}

type Health = NonNullable<ContainerView['state']['health']>;

function toHealth({ status, failingStreak, log }: Health): object {
  const Log = log.map(({ startedAt, finishedAt, exitCode, output }) => ({ Start: rfc3339Nano(startedAt), End: rfc3339Nano(finishedAt), ExitCode: exitCode, Output: output }));
  return { Status: status, FailingStreak: failingStreak, Log };
}

/** Nanoseconds; what is not said is left out. */
function toHealthcheck({ test, intervalMs, timeoutMs, startPeriodMs, startIntervalMs, retries }: NonNullable<ContainerView['effective']['health']>): object {
  const times = { Interval: intervalMs * NS_PER_MS, Timeout: timeoutMs * NS_PER_MS, StartPeriod: startPeriodMs * NS_PER_MS, StartInterval: startIntervalMs * NS_PER_MS, Retries: retries };
  return { Test: test, ...Object.fromEntries(Object.entries(times).filter(([, value]) => value !== 0)) };
}

function healthText({ health }: ContainerView['state']): string {
  if (health === undefined) return '';
  return health.status === 'starting' ? ' (health: starting)' : ` (${health.status})`;
}

function linksOf({ request, name }: ContainerView): string[] | null {
  const links = request.network?.links ?? [];
  return links.length === 0 ? null : links.map((link) => linkView(link, name));
}

/** `db:alias` → `/db:/web/alias`. */
function linkView(link: string, parent: string): string {
  const [target = '', alias = target] = link.split(':');
  return `/${target.replace(/^\//, '')}:/${parent}/${alias.slice(alias.lastIndexOf('/') + 1)}`;
}

export function statusText({ state, createdAt }: ContainerView, now: number): string {
  const since = (ms: number | null): string => humanDuration(now - (ms ?? createdAt));
  switch (state.status) {
    case 'created':
      return 'Created';
    case 'running':
      return `Up ${since(state.startedAt)}${healthText(state)}`;
    case 'restarting':
      return `Restarting (${state.exitCode}) ${since(state.finishedAt)} ago`;
    case 'paused':
      return `Up ${since(state.startedAt)} (Paused)`;
    case 'exited':
      return `Exited (${state.exitCode}) ${since(state.finishedAt)} ago`;
    case 'removing':
      return 'Removal In Progress';
    case 'dead':
      return 'Dead';
  }
}

function commandText({ path, args }: ContainerView): string {
  return [path, ...args].map((part) => (part.includes(' ') ? `'${part}'` : part)).join(' ');
}

function mountPoints(container: ContainerView): object[] {
  return container.mounts.map((mount) => ({
    Type: mount.kind,
    ...(mount.name === undefined ? {} : { Name: mount.name }),
    Source: mount.source,
    Destination: mount.destination,
    ...(mount.kind === 'volume' ? { Driver: 'local' } : {}),
    Mode: '',
    RW: !mount.readOnly,
    Propagation: mount.kind === 'bind' ? 'rprivate' : '',
  }));
}
