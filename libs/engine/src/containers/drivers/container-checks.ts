import { CodedError } from '#kernel';
import type { CreateContainer, RestartPolicy } from '../containers.js';
import { containerCapabilities } from './capabilities.js';
import { checkDomainname } from './network-words.js';

const MAX_CLIENT_CONFIG_BYTES = 256 * 1024;

/** What would only show at the first start. @throws CodedError `invalid_argument`, `payload_too_large`, `conflict` */
export function checkRequest(request: CreateContainer): void {
  containerCapabilities(request.capabilities);
  checkRestartPolicy(request.restart, request.autoRemove);
  const { hostname, domainname, clientConfig } = request;
  checkDomainname(domainname ?? '');
  const { env, cmd, entrypoint } = request.process;
  if (hostname !== undefined && !/^[a-zA-Z0-9._-]{0,63}$/.test(hostname)) throw new CodedError('invalid_argument', `invalid hostname: ${hostname.slice(0, 100)}`);
  if (Buffer.byteLength(JSON.stringify(clientConfig)) > MAX_CLIENT_CONFIG_BYTES) throw new CodedError('payload_too_large', 'the configuration of the container is larger than 256 KiB');
  if (env.some((entry) => entry === '' || entry.startsWith('='))) throw new CodedError('invalid_argument', 'invalid environment variable: =');
  const strings = [...env, ...(cmd ?? []), ...(entrypoint ?? [])];
  if (strings.some((text) => text.includes('\0'))) throw new CodedError('invalid_argument', 'arguments and environment must not hold NUL');
}

/** @throws CodedError `invalid_argument`, `conflict`, in Docker's words */
export function checkRestartPolicy(policy: RestartPolicy | undefined, autoRemove: boolean): void {
  if (policy === undefined || policy.kind === 'no') return;
  if (autoRemove) throw new CodedError('invalid_argument', "can't create 'AutoRemove' container with restart policy");
  if (policy.kind !== 'on-failure' && policy.maxRetries !== 0) throw new CodedError('invalid_argument', "invalid restart policy: maximum retry count can only be used with 'on-failure'");
}
