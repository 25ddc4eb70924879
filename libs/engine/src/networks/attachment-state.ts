import type { ProcessIdentity } from '../linux/index.js';
import type { EgressPolicy } from './networks.js';
import type { PortTarget } from './rule-elements.js';

/** One of a container's places, as it is written down. */
export interface EndpointState {
  readonly networkId: string;
  readonly endpointId: string;
  /** In the container, and in the host name space. */
  readonly interfaceName: string;
  readonly hostLink: string;
  readonly macAddress: string;
  readonly address: number;
  readonly aliases: readonly string[];
}

export type PortState = Omit<PortTarget, 'address' | 'hostIp'> & { readonly hostIp: number | null };

/** What is written of a container that is attached: enough to find it again, and to take away what a crash left half done. */
export interface AttachmentState {
  readonly version: 1;
  readonly containerId: string;
  readonly containerName: string;
  readonly process: ProcessIdentity;
  readonly bootId: string;
  readonly endpoints: readonly EndpointState[];
  readonly ports: readonly PortState[];
  readonly publishOnNode: boolean;
  readonly egress: EgressPolicy;
  /** Addresses that answers have opened, and until when (milliseconds since the epoch). */
  readonly pins: readonly (readonly [address: number, until: number])[];
  /** False while it is being changed. */
  readonly whole: boolean;
}

export function isAttachmentState(value: object): value is AttachmentState {
  const state = value as Partial<AttachmentState>;
  return (
    state.version === 1 &&
    typeof state.containerId === 'string' &&
    typeof state.containerName === 'string' &&
    typeof state.bootId === 'string' &&
    Number.isInteger(state.process?.pid) &&
    Array.isArray(state.endpoints) &&
    Array.isArray(state.ports) &&
    Array.isArray(state.pins) &&
    typeof state.egress === 'object' &&
    typeof state.whole === 'boolean'
  );
}
