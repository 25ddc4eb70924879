import type { NetworkView } from '#contracts';
import type { Container, Network, Networks } from '#engine';

/** Of a network that gives no interface, whoever runs on it is a member all the same. */
export function networkView(network: Network, endpoints: ReturnType<Networks['endpoints']>, containers: readonly Container[]): NetworkView {
  const { id, name, createdAt, driver, subnet = null, gateway = null, ipRange = null, internal, dns, labels, options } = network;
  const attached = endpoints.map(({ containerId, containerName, endpointId, macAddress, ipv4Address, prefixLength }) => ({ id: containerId, name: containerName, endpointId, macAddress, ipv4Address, prefixLength }));
  const others = driver === 'bridge' ? [] : containers.filter((container) => runsOn(container, name)).map((container) => ({ id: container.id, name: container.name, endpointId: '', macAddress: '', ipv4Address: '', prefixLength: 0 }));
  return { id, name, createdAt, driver, subnet, gateway, ipRange, internal, dns, labels: { ...labels }, options: { ...options }, containers: [...attached, ...others] };
}

function runsOn({ state, network }: Container, name: string): boolean {
  return (state.status === 'running' || state.status === 'paused') && network.endpoints.some(({ networkName }) => networkName === name);
}
