import { CodedError } from '#kernel';
import type { ContainerRecord } from './container-record.js';
import { kindOf } from './network-mode.js';
import type { PlannedEndpoint } from './network-plan.js';

const TO_HOST = 'container cannot be disconnected from host network or connected to host network';
const SHARED = 'container sharing network namespace with another container or host cannot be connected to any other network';
const WITH_NONE = 'container cannot be connected to multiple networks with one of the networks in private (none) mode';

/** @throws CodedError in Docker's words when a container may not have one more network, or not this one */
export function refuseConnect({ id, name, network: { mode, endpoints } }: ContainerRecord, planned: PlannedEndpoint, text: string): void {
  if (planned.networkId === '') throw new CodedError('not_found', `network ${text} not found`);
  const kind = kindOf(mode);
  if (kind === 'container') throw new CodedError('invalid_argument', SHARED);
  if (planned.network === 'host' || kind === 'host') throw new CodedError('invalid_argument', TO_HOST);
  if ((planned.network === 'none' || kind === 'none') && endpoints.length > 0) throw new CodedError('invalid_argument', WITH_NONE);
  if (endpoints.some(({ network }) => network === planned.network)) throw new CodedError('permission_denied', `endpoint with name ${name} already exists in network ${planned.network}`, { container: id });
}

/** @throws CodedError in Docker's words */
export function refuseDisconnect({ id, network: { mode, endpoints } }: ContainerRecord, network: string): void {
  if (network === 'host' || kindOf(mode) === 'host') throw new CodedError('invalid_argument', TO_HOST);
  if (!endpoints.some((endpoint) => endpoint.network === network)) throw new CodedError('invalid_argument', `container ${id} is not connected to the network ${network}`);
}
