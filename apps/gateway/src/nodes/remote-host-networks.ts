import { z } from 'zod';
import { networkViewSchema } from '#contracts';
import type { AskNode } from './ask-node.js';
import type { HostNetworks } from './host-networks.js';

const removed = z.object({ removed: z.array(z.string()) });
const done = z.unknown();

/** A tenant's networks over node RPC. */
export class RemoteHostNetworks implements HostNetworks {
  constructor(private readonly ask: AskNode) {}

  list: HostNetworks['list'] = () => this.ask('GET', '/networks', {}, z.array(networkViewSchema));
  get: HostNetworks['get'] = (ref) => this.ask('GET', '/network', { ref }, networkViewSchema);
  create: HostNetworks['create'] = (request) => this.ask('POST', '/networks', {}, networkViewSchema, { body: { json: request } });
  remove: HostNetworks['remove'] = async (ref) => {
    await this.ask('DELETE', '/network', { ref }, done);
  };
  prune: HostNetworks['prune'] = (filter) => this.ask('POST', '/networks/prune', {}, removed, { body: { json: filter } });
  connect: HostNetworks['connect'] = async (ref, request) => {
    await this.ask('POST', '/network/connect', { ref }, done, { body: { json: request } });
  };
  disconnect: HostNetworks['disconnect'] = async (ref, request) => {
    await this.ask('POST', '/network/disconnect', { ref }, done, { body: { json: request } });
  };
}
