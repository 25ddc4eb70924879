import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { findProgram } from './packages.mjs';

const TIMEOUT_MS = 10_000;

/** One of each thing that networks of sandboxes are made of, in a name space that ends with the check. Kernel modules are loaded by it. */
const PROBE = `
ip link set lo up
ip link add sbcheck0 type bridge
ip link add sbcheck1 type veth peer name sbcheck2
ip link set sbcheck1 master sbcheck0
nft -f - <<'END'
add table bridge check
add chain bridge check members { type filter hook prerouting priority -300; policy drop; }
add rule bridge check members ether type arp iifname . ether saddr . arp saddr ip { "sbcheck1" . 02:00:00:00:00:01 . 10.0.0.1 } accept
add table inet check
add map inet check ports { type inet_proto . inet_service : ipv4_addr . inet_service; }
add set inet check pinned { type ipv4_addr . ipv4_addr; flags timeout; }
add set inet check allowed { type ipv4_addr . ipv4_addr; flags interval; }
add set inet check counted { type ipv4_addr; flags dynamic; }
add chain inet check to_ports { type nat hook prerouting priority -100; }
add rule inet check to_ports fib daddr type local dnat ip to meta l4proto . th dport map @ports
add chain inet check outward { type nat hook postrouting priority 100; }
add rule inet check outward masquerade
add chain inet check forward { type filter hook forward priority 0; }
add rule inet check forward ct state new add @counted { ip saddr ct count over 10 } drop
END
`;

const ok = (found) => ({ status: 'ok', found, mend: '' });

/** What the engine needs to give each tenant networks (docs/adr/0009-a-network-name-space-per-tenant.md). Others' rules are looked at, never changed. */
export function checkNetworks() {
  const missing = ['ip', 'nft', 'unshare'].filter((program) => !findProgram(program));
  if (missing.length > 0) return { status: 'warn', found: `no ${missing.join(', ')}`, mend: 'npm start installs them, or: apt-get install iproute2 nftables util-linux.' };
  if (process.getuid() !== 0) return { status: 'warn', found: 'only root can try', mend: 'sudo npx sandbar doctor' };
  const probe = spawnSync('unshare', ['--net', 'sh', '-ec', PROBE], { encoding: 'utf8', timeout: TIMEOUT_MS });
  if (probe.status !== 0) {
    const said = (probe.stderr || probe.error?.message || '').trim().split('\n')[0];
    return { status: 'fail', found: `bridges, veth or nftables do not work: ${said}`, mend: 'Use a kernel with bridge, veth and nf_tables (NAT, sets, fib, connlimit), as Debian and Ubuntu have it.' };
  }
  const { stdout } = spawnSync('nft', ['-j', 'list', 'chains'], { encoding: 'utf8', timeout: TIMEOUT_MS });
  const others = droppingChains(stdout);
  if (others.length > 0) {
    return {
      status: 'warn',
      found: `${others.join(', ')} drops what it does not know`,
      mend: 'Sandboxes reach nothing outside until it lets them: accept iifname "sbn*", and oifname "sbn*" with ct state established,related.',
    };
  }
  const hasRoute = readFileSync('/proc/net/route', 'latin1').split('\n').some((line) => line.split('\t')[1] === '00000000');
  return hasRoute ? ok('bridges, veth and nftables work') : { status: 'warn', found: 'no default route', mend: 'Sandboxes reach nothing outside.' };
}

/** Chains of others through which forwarded packets pass, and whose policy is to drop, from `nft -j list chains`. */
export function droppingChains(json) {
  let listed = [];
  try {
    listed = JSON.parse(json).nftables ?? [];
  } catch {
    return [];
  }
  return listed
    .flatMap(({ chain }) => (chain === undefined ? [] : [chain]))
    .filter(({ family, hook, policy, table }) => ['ip', 'inet'].includes(family) && hook === 'forward' && policy === 'drop' && !table.startsWith('sandbar-'))
    .map(({ family, table, name }) => `${family} ${table} ${name}`);
}
