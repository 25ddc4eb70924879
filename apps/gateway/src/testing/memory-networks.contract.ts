import { createHash } from 'node:crypto';
import type { ContainerView, CreateContainerBody, HostEventView, NetworkView } from '#contracts';
import { CodedError } from '#kernel';
import type { HostNetworks } from '../nodes/host-networks.js';

const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
const PREDEFINED = { bridge: 'bridge', host: 'host', none: 'null' } as const;

interface Host {
  readonly containers: readonly ContainerView[];
  readonly calls: { readonly name: string; readonly given: unknown }[];
  container(ref: string): ContainerView;
  publish(type: HostEventView['type'], action: string, id: string, attributes: Record<string, string>): void;
}

/** A tenant's networks in memory, with the engine's words. Addresses are counted, nothing is connected. */
export class MemoryNetworks implements HostNetworks {
  private readonly networks: NetworkView[] = Object.entries(PREDEFINED).map(([name, driver]) => networkOf(name, { driver, ...(driver === 'bridge' ? { subnet: '172.17.0.0/16', gateway: '172.17.0.1' } : {}) }));
  private free = 32_768;

  constructor(private readonly host: Host) {}

  list = (): Promise<NetworkView[]> => Promise.resolve(this.networks.map((network) => this.seen(network)));
  get = (ref: string): Promise<NetworkView> => attempt(() => this.seen(this.find(ref)));

  create: HostNetworks['create'] = (request) =>
    attempt(() => {
      if (this.networks.some(({ name }) => name === request.name)) throw new CodedError('conflict', `network with name ${request.name} already exists`);
      const subnet = request.subnet ?? `172.${17 + this.networks.length}.0.0/16`;
      const network = networkOf(request.name, { subnet, gateway: request.gateway ?? subnet.replace(/0\/\d+$/, '1'), ipRange: request.ipRange ?? null, internal: request.internal, labels: request.labels, options: request.options, dns: true });
      this.networks.push(network);
      this.host.publish('network', 'create', network.id, { name: network.name, type: 'bridge' });
      return network;
    });

  remove = (ref: string): Promise<void> =>
    attempt(() => {
      const network = this.find(ref);
      if (network.name in PREDEFINED) throw new CodedError('permission_denied', `${network.name} is a pre-defined network and cannot be removed`);
      if (this.seen(network).containers.length > 0) throw new CodedError('conflict', `error while removing network: network ${network.name} id ${network.id} has active endpoints`);
      this.networks.splice(this.networks.indexOf(network), 1);
    });

  prune: HostNetworks['prune'] = (filter) => {
    this.host.calls.push({ name: 'pruneNetworks', given: filter });
    const removed = this.networks.filter((network) => !(network.name in PREDEFINED) && this.seen(network).containers.length === 0);
    for (const network of removed) this.networks.splice(this.networks.indexOf(network), 1);
    return Promise.resolve({ removed: removed.map(({ name }) => name) });
  };

  connect: HostNetworks['connect'] = (ref, request) =>
    attempt(() => {
      this.host.calls.push({ name: 'connect', given: { ref, ...request } });
      const container = this.host.container(request.container);
      const network = this.find(ref);
      if (container.network.endpoints.some(({ networkId }) => networkId === network.id)) throw new CodedError('permission_denied', `endpoint with name ${container.name} already exists in network ${network.name}`);
      container.network.endpoints.push(endpointOf(network, request));
      if (container.state.status === 'running') this.attach(container);
    });

  disconnect: HostNetworks['disconnect'] = (ref, { container: text }) =>
    attempt(() => {
      const container = this.host.container(text);
      const network = this.find(ref);
      const at = container.network.endpoints.findIndex(({ networkId }) => networkId === network.id);
      if (at < 0) throw new CodedError('invalid_argument', `container ${container.id} is not connected to network ${network.name}`);
      container.network.endpoints.splice(at, 1);
    });

  /** How a container that was just created stands in the network. */
  viewOf({ network }: CreateContainerBody): ContainerView['network'] {
    const asked = network?.mode ?? 'none';
    const mode = asked === 'default' ? 'bridge' : asked;
    if (mode.startsWith('container:')) return { mode: `container:${this.host.container(mode.slice(10)).id}`, endpoints: [], ports: [] };
    const names = [...new Set([mode, ...(network?.endpoints ?? []).map((endpoint) => (endpoint.network === 'default' ? mode : endpoint.network))])];
    const endpoints = names.map((name) => endpointOf(this.networks.find((one) => one.name === name) ?? networkOf(name, { id: '' }), network?.endpoints.find((one) => one.network === name) ?? { aliases: [] }));
    return { mode, endpoints, ports: [] };
  }

  attach(container: ContainerView): void {
    const asked = container.request.network;
    for (const endpoint of container.network.endpoints) {
      if (endpoint.networkId === '') throw new CodedError('not_found', `failed to set up container networking: network ${endpoint.networkName} not found`);
      const { subnet, gateway } = this.find(endpoint.networkId);
      if (subnet === null) continue;
      const ipv4Address = endpoint.requested.ipv4Address === '' ? subnet.replace(/0\/\d+$/, String(2 + this.host.containers.indexOf(container))) : endpoint.requested.ipv4Address;
      Object.assign(endpoint, { endpointId: sha(`${container.id}${endpoint.networkId}`), ipv4Address, prefixLength: 16, gateway: gateway ?? '', macAddress: '02:42:ac:11:00:02', dnsNames: [container.name, ...endpoint.requested.aliases, container.id.slice(0, 12)] });
    }
    const published = new Set(asked?.ports.map(({ containerPort, protocol }) => `${containerPort}/${protocol}`));
    const all = asked?.publishAll === true ? container.effective.exposedPorts.filter((port) => !published.has(port)).map((port) => ({ containerPort: Number(port.split('/')[0]), protocol: 'tcp' as const, hostIp: '', hostPort: 0 })) : [];
    container.network.ports = [...(asked?.ports ?? []), ...all].map(({ hostIp, hostPort, ...port }) => ({ ...port, hostIp: hostIp === '' ? '0.0.0.0' : hostIp, hostPort: hostPort === 0 ? this.free++ : hostPort }));
  }

  detach(container: ContainerView): void {
    container.network.ports = [];
    for (const endpoint of container.network.endpoints) Object.assign(endpoint, { endpointId: '', ipv4Address: '', prefixLength: 0, gateway: '', macAddress: '', dnsNames: [] });
  }

  private find(ref: string): NetworkView {
    const found = this.networks.find(({ name, id }) => name === ref || id === ref) ?? this.networks.find(({ id }) => ref.length > 3 && id.startsWith(ref));
    if (found === undefined) throw new CodedError('not_found', `network ${ref} not found`);
    return found;
  }

  private seen(network: NetworkView): NetworkView {
    const containers = this.host.containers.flatMap(({ id, name, network: { endpoints } }) =>
      endpoints.filter(({ networkId, endpointId }) => networkId === network.id && endpointId !== '').map(({ endpointId, macAddress, ipv4Address, prefixLength }) => ({ id, name, endpointId, macAddress, ipv4Address, prefixLength })),
    );
    return { ...network, containers };
  }
}

function networkOf(name: string, more: Partial<NetworkView>): NetworkView {
  return { id: sha(`network ${name}`), name, createdAt: 1_767_225_600_000, driver: 'bridge', subnet: null, gateway: null, ipRange: null, internal: false, dns: false, labels: {}, options: {}, containers: [], ...more };
}

function endpointOf(network: NetworkView, { aliases, ipv4Address = '', macAddress = '' }: { aliases: string[]; ipv4Address?: string | undefined; macAddress?: string | undefined }): ContainerView['network']['endpoints'][number] {
  return { networkName: network.name, networkId: network.id, requested: { aliases, ipv4Address, macAddress }, endpointId: '', ipv4Address: '', prefixLength: 0, gateway: '', macAddress: '', dnsNames: [] };
}

function attempt<T>(work: () => T): Promise<T> {
  return new Promise((resolve) => {
    resolve(work());
  });
}
