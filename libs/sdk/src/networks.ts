import { networkViewSchema, type CreateNetworkBody, type NetworkView } from '#contracts';
import { z } from 'zod';
import type { Transport } from './transport.js';

/** Everything with a default may be left out. */
export type CreateNetworkInput = Pick<CreateNetworkBody, 'name'> & Partial<CreateNetworkBody>;

/** Networks of the key's tenant, by name, ID or the beginning of one. Each method throws SandbarApiError. */
export class NetworksApi {
  constructor(private readonly transport: Transport) {}

  /** `bridge`, `host` and `none`, then one's own, oldest first. */
  async list(): Promise<NetworkView[]> {
    return (await this.transport.call({ method: 'GET', path: '/v1/networks' }, z.object({ items: z.array(networkViewSchema) }))).items;
  }

  get(ref: string): Promise<NetworkView> {
    return this.transport.call({ method: 'GET', path: pathOf(ref) }, networkViewSchema);
  }

  create(network: CreateNetworkInput): Promise<NetworkView> {
    return this.transport.call({ method: 'POST', path: '/v1/networks', body: network }, networkViewSchema);
  }

  async remove(ref: string): Promise<void> {
    await this.transport.callForNothing({ method: 'DELETE', path: pathOf(ref) });
  }

  /** A sandbox that does not run is connected with its next start. */
  async connect(ref: string, sandbox: string, options: { aliases?: readonly string[]; ipv4Address?: string } = {}): Promise<void> {
    await this.transport.callForNothing({ method: 'POST', path: `${pathOf(ref)}/connect`, body: { container: sandbox, ...options } });
  }

  async disconnect(ref: string, sandbox: string, options: { force?: boolean } = {}): Promise<void> {
    await this.transport.callForNothing({ method: 'POST', path: `${pathOf(ref)}/disconnect`, body: { container: sandbox, ...options } });
  }
}

function pathOf(ref: string): string {
  return `/v1/networks/${encodeURIComponent(ref)}`;
}
