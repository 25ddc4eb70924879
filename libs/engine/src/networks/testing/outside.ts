import { run, type Guest } from './world.js';

/** A network of documentation (RFC 5737), as its router and only host. The node is 198.51.100.1 there. */
export const OUTSIDE = '198.51.100.2';
export const OUTSIDE_CIDR = '198.51.100.0/24';
const LINK = 'sbtest-out';

/** Makes a guest the world beyond the node: with its own address and with others that the node routes to it. */
export async function connectOutside(guest: Guest, addresses: readonly string[]): Promise<void> {
  const node = [
    `ip link add ${LINK} type veth peer name eth0 netns ${guest.pid}`,
    `ip addr add 198.51.100.1/24 dev ${LINK}`,
    `ip link set ${LINK} up`,
    ...addresses.map((address) => `ip route add ${address}/32 via ${OUTSIDE}`),
  ];
  const there = ['ip link set lo up', 'ip link set eth0 up', `ip addr add ${OUTSIDE}/24 dev eth0`, ...addresses.map((address) => `ip addr add ${address}/32 dev lo`)];
  await must(run('sh', ['-ec', node[0] ?? '']));
  await must(guest.sh(['set -e', ...there].join('\n')));
  await must(run('sh', ['-ec', node.slice(1).join('\n')]));
}

/** Its routes go along. */
export async function disconnectOutside(): Promise<void> {
  await run('ip', ['link', 'del', LINK]);
}

async function must(result: Promise<{ code: number; output: string }>): Promise<void> {
  const { code, output } = await result;
  if (code !== 0) throw new Error(output);
}
