import { createContainerSchema, type CreateContainerBody, type TerminalSizeBody } from '#contracts';
import { consoleSizeOf } from './console-size.js';
import { createBodySchema, type CreateBody, type DockerConfig, type DockerHostConfig } from './container-config.js';
import { mountsOf } from './container-mounts.js';
import { exposedPortsOf, networkingOf } from './container-networks.js';
import { healthCheckOf, noNewPrivilegesOf, refuseDevices, restartPolicyOf, ulimitsOf } from './container-policies.js';
import { limitsOf, resourceWarnings } from './container-resources.js';
import { badParameter, unsupported } from './errors.js';
import { parseDocker } from './parse-docker.js';

const LOG_DRIVERS = new Set(['', 'json-file', 'local']);

export interface Translation {
  readonly request: CreateContainerBody;
  readonly warnings: readonly string[];
  /** What its terminal is to start with. */
  readonly terminal: TerminalSizeBody | undefined;
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
  refuseDevices(body);
  const health = healthCheckOf(config.Healthcheck);
  const request = parseDocker(createContainerSchema, {
    ...(name === undefined ? {} : { name: name.replace(/^\//, '') }),
    image: config.Image,
    process: processOf(config, host),
    ...(config.Hostname === '' ? {} : { hostname: config.Hostname }),
    ...(config.Domainname === '' ? {} : { domainname: config.Domainname }),
    labels: config.Labels ?? {},
    network: networkingOf(body),
    exposedPorts: exposedPortsOf(body),
    mounts: mountsOf(body),
    volumesFrom: host.VolumesFrom ?? [],
    limits: limitsOf(host),
    restart: restartPolicyOf(host.RestartPolicy),
    ...(health === undefined ? {} : { health }),
    ...(Object.keys(host.Sysctls ?? {}).length === 0 ? {} : { sysctls: host.Sysctls }),
    ...(noNewPrivilegesOf(host.SecurityOpt) ? { noNewPrivileges: true } : {}),
    ...(host.IpcMode === 'none' ? { withoutShm: true } : {}),
    capabilities: { add: host.CapAdd ?? [], drop: host.CapDrop ?? [], privileged: host.Privileged },
    readOnlyRootfs: host.ReadonlyRootfs,
    autoRemove: host.AutoRemove,
    clientConfig: { Config: config, HostConfig: host, NetworkingConfig: networking },
  });
  return { request, warnings: warningsOf(host), terminal: config.Tty ? consoleSizeOf(host.ConsoleSize) : undefined };
}

function processOf(config: DockerConfig, host: DockerHostConfig): object {
  const ulimits = ulimitsOf(host.Ulimits);
  return {
    entrypoint: config.Entrypoint,
    cmd: config.Cmd,
    env: config.Env ?? [],
    workingDir: config.WorkingDir,
    user: config.User,
    tty: config.Tty,
    openStdin: config.OpenStdin,
    stdinOnce: config.StdinOnce,
    ...(config.StopSignal === undefined || config.StopSignal === '' ? {} : { stopSignal: config.StopSignal }),
    ...(config.StopTimeout === undefined ? {} : { stopTimeoutSeconds: config.StopTimeout }),
    ...(some(host.GroupAdd) ? { groups: host.GroupAdd } : {}),
    ...(ulimits === undefined ? {} : { ulimits }),
    ...(host.Init === undefined ? {} : { init: host.Init }),
  };
}

/** Whatever would reach beyond the container, or is not there yet. Each has a value that means "nothing special". */
function refuse(body: CreateBody): void {
  const { HostConfig: host } = body;
  const own = (name: string, value: string, allowed: readonly string[]): void => {
    if (!['', ...allowed].includes(value)) throw unsupported(`${name} "${value.slice(0, 100)}"`);
  };
  own('the PID mode', host.PidMode, []);
  own('the IPC mode', host.IpcMode, ['private', 'shareable', 'none']);
  own('the UTS mode', host.UTSMode, []);
  own('the user name space mode', host.UsernsMode, []);
  own('the cgroup name space mode', host.CgroupnsMode, ['private']);
  own('the isolation', host.Isolation, ['default']);
  own('the runtime', host.Runtime, ['runc', 'crun']);
  own('the cgroup parent', host.CgroupParent, []);
  own('the cgroup', host.Cgroup, []);
  if (!LOG_DRIVERS.has(host.LogConfig.Type)) throw badParameter(`logger: no log driver named '${host.LogConfig.Type}' is registered`);
  const present: readonly [string, boolean][] = [
    ['a device cgroup rule', some(host.DeviceCgroupRules)],
    ['a device request (--gpus)', some(host.DeviceRequests)],
    ['a list of masked paths', host.MaskedPaths !== null],
    ['a list of read-only paths', host.ReadonlyPaths !== null],
  ];
  for (const [what, given] of present) if (given) throw unsupported(what);
}

function warningsOf(host: DockerHostConfig): string[] {
  const options = Object.keys(host.LogConfig.Config).length > 0 ? ['This server does not support log options: the setting is discarded.'] : [];
  return [...resourceWarnings(host), ...options];
}

function some(list: readonly unknown[] | null): boolean {
  return list !== null && list.length > 0;
}
