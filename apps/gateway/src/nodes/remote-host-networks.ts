import { z } from 'zod';
import { networkViewSchema } from '#contracts';
import type { HostNetworks } from './host-networks.js';
import type { HostRpc } from './host-rpc.js';

const removed = z.object({ removed: z.array(z.string()) });
const done = z.unknown();

/** A tenant's networks over node RPC. */
export class RemoteHostNetworks implements HostNetworks {
  constructor(private readonly rpc: Pick<HostRpc, 'json'>) {}

  list: HostNetworks['list'] = () => this.rpc.json('GET', '/networks', {}, z.array(networkViewSchema));
  get: HostNetworks['get'] = (ref) => this.rpc.json('GET', '/network', { ref }, networkViewSchema);
  create: HostNetworks['create'] = (request) => this.rpc.json('POST', '/networks', {}, networkViewSchema, { body: { json: request } });
  remove: HostNetworks['remove'] = async (ref) => {
    await this.rpc.json('DELETE', '/network', { ref }, done);
  };
  prune: HostNetworks['prune'] = (filter) => this.rpc.json('POST', '/networks/prune', {}, removed, { body: { json: filter } });
  connect: HostNetworks['connect'] = async (ref, request) => {
    await this.rpc.json('POST', '/network/connect', { ref }, done, { body: { json: request } });
  };
  disconnect: HostNetworks['disconnect'] = async (ref, request) => {
    await this.rpc.json('POST', '/network/disconnect', { ref }, done, { body: { json: request } });
  };
}
