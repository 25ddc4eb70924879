import type { Attachment, Endpoint } from '../../networks/index.js';
import type { ContainerEndpoint, ContainerNetwork } from '../containers.js';
import type { PlannedEndpoint, PlannedNetwork } from './network-plan.js';

export function networkView({ mode, endpoints }: PlannedNetwork, attachment: Attachment | undefined): ContainerNetwork {
  return {
    mode,
    endpoints: endpoints.map((planned) => endpointView(planned, attachment?.endpoints.find(({ networkName }) => networkName === planned.network))),
    ports: attachment?.ports ?? [],
  };
}

function endpointView({ network, networkId, aliases, ipv4Address = '', macAddress = '' }: PlannedEndpoint, endpoint: Endpoint | undefined): ContainerEndpoint {
  return {
    networkName: network,
    networkId: endpoint?.networkId ?? networkId,
    requested: { aliases, ipv4Address, macAddress },
    endpointId: endpoint?.endpointId ?? '',
    ipv4Address: endpoint?.ipv4Address ?? '',
    prefixLength: endpoint?.prefixLength ?? 0,
    gateway: endpoint?.gateway ?? '',
    macAddress: endpoint?.macAddress ?? '',
    dnsNames: endpoint?.dnsNames ?? [],
  };
}
