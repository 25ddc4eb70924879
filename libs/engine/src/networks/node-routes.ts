import { readFile } from 'node:fs/promises';
import { overlap, type Ipv4, type Subnet } from './ipv4.js';

export interface NodeRoute {
  readonly interfaceName: string;
  readonly destination: Subnet;
}

/** The node's main routing table (proc_net(5), "route": numbers in the machine's byte order). */
export async function readNodeRoutes(file = '/proc/net/route'): Promise<NodeRoute[]> {
  const lines = (await readFile(file, 'latin1')).trim().split('\n').slice(1);
  return lines.flatMap((line) => {
    const [interfaceName, destination, , , , , , mask] = line.split(/\s+/);
    if (interfaceName === undefined || destination === undefined || mask === undefined) return [];
    const prefix = 32 - Math.log2(2 ** 32 - addressOf(mask));
    return [{ interfaceName, destination: { base: addressOf(destination), prefix } }];
  });
}

function addressOf(hexadecimal: string): Ipv4 {
  return Buffer.from(hexadecimal, 'hex').readUInt32LE();
}

/** Interfaces that lead out: those of default routes, and of routes to what the operator allows. */
export function outgoingInterfaces(routes: readonly NodeRoute[], allowed: readonly Subnet[]): string[] {
  const out = routes.filter(({ destination }) => destination.prefix === 0 || allowed.some((subnet) => overlap(subnet, destination)));
  return [...new Set(out.map(({ interfaceName }) => interfaceName))].filter((name) => name !== 'lo').sort();
}
