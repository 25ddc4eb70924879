import type { CreateContainerBody } from '#contracts';
import type { CreateBody, DockerConfig, DockerHostConfig } from './container-config.js';
import { badParameter, unsupported } from './errors.js';

const NS_PER_MS = 1_000_000;
const POLICIES = ['no', 'on-failure', 'always', 'unless-stopped'] as const;
/** What every container has; a name of one of them asks for nothing more. */
const DEVICES = new Set(['null', 'zero', 'full', 'random', 'urandom', 'tty'].map((name) => `/dev/${name}`));
/** By the names that getrlimit(2) has for them. */
const ULIMITS = new Set(['core', 'cpu', 'data', 'fsize', 'locks', 'memlock', 'msgqueue', 'nice', 'nofile', 'nproc', 'rss', 'rtprio', 'rttime', 'sigpending', 'stack']);

type RestartPolicy = NonNullable<CreateContainerBody['restart']>;
type HealthCheck = NonNullable<CreateContainerBody['health']>;

/** @throws CodedError `invalid_argument`, in Docker's words */
export function restartPolicyOf({ Name: name, MaximumRetryCount: count }: DockerHostConfig['RestartPolicy']): RestartPolicy {
  const kind = POLICIES.find((policy) => policy === (name === '' ? 'no' : name));
  if (kind === undefined) throw badParameter(`invalid restart policy: unknown policy '${name.slice(0, 100)}'; use one of 'no', 'always', 'on-failure', or 'unless-stopped'`);
  if (count < 0) throw badParameter('invalid restart policy: maximum retry count cannot be negative');
  if (count > 0 && kind !== 'on-failure') throw badParameter("invalid restart policy: maximum retry count can only be used with 'on-failure'");
  return { kind, maxRetries: count };
}

/** @throws CodedError `invalid_argument`, in Docker's words */
export function healthCheckOf(check: DockerConfig['Healthcheck']): HealthCheck | undefined {
  if (check === undefined) return undefined;
  const milliseconds = (name: 'Interval' | 'Timeout' | 'StartPeriod' | 'StartInterval'): number => {
    if (check[name] !== 0 && check[name] < NS_PER_MS) throw badParameter(`${name} in Healthcheck cannot be less than 1ms`);
    return check[name] / NS_PER_MS;
  };
  if (check.Retries < 0) throw badParameter('Retries in Healthcheck cannot be negative');
  return {
    test: check.Test ?? [],
    intervalMs: milliseconds('Interval'),
    timeoutMs: milliseconds('Timeout'),
    startPeriodMs: milliseconds('StartPeriod'),
    startIntervalMs: milliseconds('StartInterval'),
    retries: check.Retries,
  };
}

/** @throws CodedError `invalid_argument` */
export function ulimitsOf(list: DockerHostConfig['Ulimits']): Record<string, { soft: number; hard: number }> | undefined {
  if (list === null || list.length === 0) return undefined;
  const ulimits: Record<string, { soft: number; hard: number }> = {};
  for (const { Name: name, Soft: soft, Hard: hard } of list) {
    if (!ULIMITS.has(name)) throw badParameter(`invalid ulimit type: ${name.slice(0, 40)}`);
    if (hard !== -1 && (soft > hard || soft === -1)) throw badParameter(`ulimit soft limit must be less than or equal to hard limit: ${soft} > ${hard}`);
    ulimits[name] = { soft, hard };
  }
  return ulimits;
}

/** True: set-id programs give nothing. What is switched off elsewhere is not there to be switched off, or stays. @throws CodedError `unsupported`, `invalid_argument` */
export function noNewPrivilegesOf(options: readonly string[] | null): boolean {
  let result = false;
  for (const option of options ?? []) {
    const [, name = '', value = ''] = /^([^:=]*)[:=]?(.*)$/.exec(option) ?? [];
    if (name === 'no-new-privileges') {
      if (!['', 'true', 'false'].includes(value)) throw badParameter(`invalid --security-opt 2: "${option.slice(0, 100)}"`);
      result = value !== 'false';
    } else if (!isNothing(name, value)) throw unsupported(`the security option "${option.slice(0, 100)}"`);
  }
  return result;
}

/** Neither AppArmor nor SELinux confines containers here, beside what does; the filter of system calls is the server's own. */
function isNothing(name: string, value: string): boolean {
  return name === 'label' || (name === 'apparmor' && value === 'unconfined') || (name === 'seccomp' && value === 'builtin');
}

/** A tenant's host has no devices but those of every container. @throws CodedError `invalid_argument`, as Docker says it of a device that is not there */
export function refuseDevices({ HostConfig: { Devices: devices } }: CreateBody): void {
  for (const { PathOnHost: path, PathInContainer: inside } of devices ?? []) {
    if (DEVICES.has(path) && (inside === '' || inside === path)) continue;
    throw badParameter(`error gathering device information while adding custom device "${path.slice(0, 200)}": no such file or directory`);
  }
}
