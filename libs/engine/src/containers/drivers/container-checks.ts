import { CodedError } from '#kernel';
import type { CreateContainer, RestartPolicy } from '../containers.js';
import { containerCapabilities } from './capabilities.js';
import { checkDomainname } from './network-words.js';

const MAX_SYSCTLS = 64;
const MAX_SYSCTL_VALUE = 1024;
const IPC_SYSCTL = /^(?:kernel\.(?:msgmax|msgmnb|msgmni|sem|shmall|shmmax|shmmni|shm_rmid_forced)|fs\.mqueue\.[a-z_]+)$/;
/** A component names a file: none of them leads upwards. */
const NETWORK_SYSCTL = /^net(?:\.[a-zA-Z0-9_-]+)+$/;
const MAX_CLIENT_CONFIG_BYTES = 256 * 1024;

/** What would only show at the first start. @throws CodedError `invalid_argument`, `payload_too_large`, `conflict` */
export function checkRequest(request: CreateContainer): void {
  containerCapabilities(request.capabilities);
  checkRestartPolicy(request.restart, request.autoRemove);
  checkSysctls(request);
  const { hostname, domainname, clientConfig } = request;
  checkDomainname(domainname ?? '');
  const { env, cmd, entrypoint } = request.process;
  if (hostname !== undefined && !/^[a-zA-Z0-9._-]{0,63}$/.test(hostname)) throw new CodedError('invalid_argument', `invalid hostname: ${hostname.slice(0, 100)}`);
  if (Buffer.byteLength(JSON.stringify(clientConfig)) > MAX_CLIENT_CONFIG_BYTES) throw new CodedError('payload_too_large', 'the configuration of the container is larger than 256 KiB');
  if (env.some((entry) => entry === '' || entry.startsWith('='))) throw new CodedError('invalid_argument', 'invalid environment variable: =');
  const strings = [...env, ...(cmd ?? []), ...(entrypoint ?? [])];
  if (strings.some((text) => text.includes('\0'))) throw new CodedError('invalid_argument', 'arguments and environment must not hold NUL');
}

/** Of the name spaces that a container has for itself; all else is the node's. @throws CodedError `invalid_argument`, in the OCI runtime's words */
function checkSysctls({ sysctls = {}, network }: CreateContainer): void {
  const entries = Object.entries(sysctls);
  if (entries.length > MAX_SYSCTLS) throw new CodedError('invalid_argument', `more than ${MAX_SYSCTLS} sysctls`);
  for (const [name, value] of entries) {
    const shown = JSON.stringify(name.slice(0, 100));
    const isNetwork = NETWORK_SYSCTL.test(name);
    if (!isNetwork && !IPC_SYSCTL.test(name)) throw new CodedError('invalid_argument', `sysctl ${shown} is not in a separate kernel namespace`);
    if (isNetwork && (network?.mode === 'host' || network?.mode.startsWith('container:') === true)) throw new CodedError('invalid_argument', `sysctl ${shown} not allowed in host network namespace`);
    if (value.length > MAX_SYSCTL_VALUE || !/^[\x20-\x7e\t]*$/.test(value)) throw new CodedError('invalid_argument', `sysctl ${shown} has an invalid value`);
  }
}

/** @throws CodedError `invalid_argument`, `conflict`, in Docker's words */
export function checkRestartPolicy(policy: RestartPolicy | undefined, autoRemove: boolean): void {
  if (policy === undefined || policy.kind === 'no') return;
  if (autoRemove) throw new CodedError('invalid_argument', "can't create 'AutoRemove' container with restart policy");
  if (policy.kind !== 'on-failure' && policy.maxRetries !== 0) throw new CodedError('invalid_argument', "invalid restart policy: maximum retry count can only be used with 'on-failure'");
}
