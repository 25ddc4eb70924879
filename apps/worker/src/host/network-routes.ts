import { connectNetworkSchema, createNetworkSchema, disconnectNetworkSchema, type CreateNetworkBody, type NetworkView, type TenantLimits } from '#contracts';
import { KeyedQueue, type Network } from '#engine';
import { CodedError, type TenantId } from '#kernel';
import type { RpcRoute } from '../node/rpc-server.js';
import { bodyOf, hostRoute, required } from './host-route.js';
import type { HostServices } from './host-services.js';
import { accepts, labelFilterSchema } from './label-filter.js';
import { networkView } from './network-views.js';

export function networkRoutes(services: HostServices): RpcRoute[] {
  const { networks, containers } = services;
  const making = new KeyedQueue();
  return [
    hostRoute('GET', '/networks', async (call) => views(services, call.tenantId, await networks.list(call.tenantId))),
    hostRoute('GET', '/network', async (call) => view(services, call.tenantId, await networks.get(call.tenantId, required(call, 'ref')))),
    hostRoute('POST', '/networks', async (call) => {
      const request = await bodyOf(call, createNetworkSchema);
      // One after the other, so that their number is known.
      return making.run(call.tenantId, () => create(services, call.tenantId, call.limits(), request));
    }),
    hostRoute('DELETE', '/network', async (call) => {
      const network = await networks.get(call.tenantId, required(call, 'ref'));
      await networks.remove(call.tenantId, network.id);
      tell(services, network, 'destroy');
    }),
    hostRoute('POST', '/networks/prune', async (call) => {
      const filter = await bodyOf(call, labelFilterSchema);
      const pruned = new Map<string, Network>();
      const { removed } = await networks.prune(call.tenantId, (network) => {
        if (!accepts(filter, network)) return false;
        pruned.set(network.name, network);
        return true;
      });
      for (const name of removed) {
        const network = pruned.get(name);
        if (network !== undefined) tell(services, network, 'destroy');
      }
      return { removed };
    }),
    hostRoute('POST', '/network/connect', async (call) => {
      const { container, aliases, ipv4Address, macAddress } = await bodyOf(call, connectNetworkSchema);
      await containers.connect(call.tenantId, container, { network: required(call, 'ref'), aliases, ...(ipv4Address === undefined ? {} : { ipv4Address }), ...(macAddress === undefined ? {} : { macAddress }) });
    }),
    hostRoute('POST', '/network/disconnect', async (call) => {
      const { container, force } = await bodyOf(call, disconnectNetworkSchema);
      await containers.disconnect(call.tenantId, container, required(call, 'ref'), { force });
    }),
  ];
}

async function create(services: HostServices, tenantId: TenantId, limits: TenantLimits, request: CreateNetworkBody): Promise<NetworkView> {
  const { networks } = services;
  const own = (await networks.list(tenantId)).filter(({ name }) => !['bridge', 'host', 'none'].includes(name));
  if (own.length >= limits.networks) throw new CodedError('quota_exceeded', `the tenant may have ${limits.networks} networks`, { limit: 'networks', networks: limits.networks });
  const { driver, subnet, gateway, ipRange, ...rest } = request;
  const network = await networks.create(tenantId, {
    ...rest,
    ...(driver === undefined ? {} : { driver }),
    ...(subnet === undefined ? {} : { subnet }),
    ...(gateway === undefined ? {} : { gateway }),
    ...(ipRange === undefined ? {} : { ipRange }),
  });
  tell(services, network, 'create');
  return view(services, tenantId, network);
}

async function view(services: HostServices, tenantId: TenantId, network: Network): Promise<NetworkView> {
  const containers = network.driver === 'bridge' ? [] : await services.containers.list(tenantId);
  return networkView(network, services.networks.endpoints(tenantId, network.id), containers);
}

async function views({ networks, containers }: HostServices, tenantId: TenantId, list: readonly Network[]): Promise<NetworkView[]> {
  const all = await containers.list(tenantId);
  return list.map((network) => networkView(network, networks.endpoints(tenantId, network.id), all));
}

function tell({ events }: Pick<HostServices, 'events'>, { tenantId, id, name, driver }: Network, action: 'create' | 'destroy'): void {
  events.publish(tenantId, { type: 'network', action, id, attributes: { name, type: driver } });
}
