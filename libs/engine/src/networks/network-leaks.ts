import { readdir } from 'node:fs/promises';
import type { Spawner } from '../linux/index.js';
import { findHolders } from './drivers/holders.js';
import { NetHelper } from './net-helper.js';
import { nodeNames } from './node-rules.js';

/** Something of networks that an instance which has ended, or that no tenant has a host on, must not leave behind. */
export interface NetworkLeak {
  readonly kind: 'holder' | 'uplink' | 'rules';
  /** A pid and whose host it holds, an interface, or a table of nftables. */
  readonly what: string;
}

export interface NetworkLeakSearch {
  /** As given to `LinuxNetworks.open`. */
  readonly instance: string;
  readonly spawner: Spawner;
}

/** Looks only; [] is what it should find. Hosts of tenants that live are found too: ask when there should be none. */
export async function findNetworkLeaks({ instance, spawner }: NetworkLeakSearch): Promise<NetworkLeak[]> {
  const { table, linkPrefix } = nodeNames(instance);
  const holders = await findHolders(instance);
  const links = (await readdir('/sys/class/net')).filter((name) => name.startsWith(linkPrefix));
  const tables = await new NetHelper(spawner, '').tables();
  return [
    ...holders.map(({ identity, tenantId }): NetworkLeak => ({ kind: 'holder', what: `${identity.pid} ${tenantId}` })),
    ...links.map((what): NetworkLeak => ({ kind: 'uplink', what })),
    ...tables.filter((name) => name === table).map((what): NetworkLeak => ({ kind: 'rules', what })),
  ];
}
