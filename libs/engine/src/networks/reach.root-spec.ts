import { spawn } from 'node:child_process';
import { createServer, type Server } from 'node:net';
import { networkInterfaces } from 'node:os';
import { newId, type TenantId } from '#kernel';
import { connectOutside, disconnectOutside, OUTSIDE, OUTSIDE_CIDR } from './testing/outside.js';
import { makeNetWorld, run, type Guest, type NetWorld } from './testing/world.js';

/** The node has a route to each, and somebody listens there. */
const CLOSED = ['169.254.169.254', '100.100.100.200', '168.63.129.16', '10.9.8.7', '192.168.200.1', '198.18.200.1'] as const;

/** What containers reach. Each is a process whose root has every privilege over its own network name space. */
describe('Containers on networks', () => {
  const [alpha, beta] = [newId('tenant'), newId('tenant')];
  let world: NetWorld;
  let node: Server;
  let nodePort: number;
  /** Of tenant alpha: two on the default bridge, one on a network of its own; of beta one on the default bridge, with the same addresses. */
  let first: Guest;
  let second: Guest;
  let apart: Guest;
  let foreign: Guest;
  let outside: Guest;

  beforeAll(async () => {
    world = await makeNetWorld('reach', { allowPrivateCidrs: [OUTSIDE_CIDR] });
    outside = await world.guest();
    await connectOutside(outside, CLOSED);
    await outside.serve(80, 'outside');
    node = createServer((socket) => socket.end('node')).listen(0, '::');
    await new Promise((listening) => node.once('listening', listening));
    nodePort = (node.address() as { port: number }).port;
    await world.networks.create(alpha, { name: 'apart', internal: false, labels: {}, options: {} });
    [first, second, apart, foreign] = [await world.guest(), await world.guest(), await world.guest(), await world.guest()];
    await attach(alpha, first);
    await attach(alpha, second);
    await attach(alpha, apart, 'apart');
    await attach(beta, foreign);
    for (const [guest, name] of [[first, 'first'], [second, 'second'], [apart, 'apart'], [foreign, 'foreign']] as const) await guest.serve(80, name);
  }, 60_000);
  afterAll(async () => {
    node.close();
    await disconnectOutside();
    await world.dispose();
  });

  function attach(tenant: TenantId, guest: Guest, network = 'bridge'): Promise<unknown> {
    return world.networks.attach(tenant, world.request(guest, { endpoints: [{ network, aliases: [] }] }));
  }

  async function fetched(guest: Guest, host: string, port = 80): Promise<string> {
    const { code, output } = await guest.sh(`curl -sg --connect-timeout 1 --max-time 3 http://${host}:${port}/`);
    return code === 0 || output === 'node' ? output : `no (${code})`;
  }

  it('reach each other on a network, and another tenant’s with the same address never', async () => {
    expect(await fetched(first, '172.17.0.3')).toBe('second');
    expect(await fetched(second, '172.17.0.2')).toBe('first');
    expect(await fetched(foreign, '172.17.0.2')).toBe('foreign');
    expect(await fetched(foreign, '172.17.0.3')).toMatch(/^no/);
  });

  it('reach no other network of their tenant', async () => {
    expect(await fetched(first, '172.18.0.2')).toMatch(/^no/);
    expect(await fetched(apart, '172.17.0.2')).toMatch(/^no/);
  });

  it('reach what is outside, by IPv4', async () => {
    for (const guest of [first, apart, foreign]) expect(await fetched(guest, OUTSIDE)).toBe('outside');
    expect((await outside.sh("grep -o 'src=[0-9.]* dst=198.51.100.2' /proc/net/nf_conntrack || true")).output).not.toContain('src=172.');
  });

  it.each(CLOSED)('never reach %s, though the node does', async (address) => {
    expect((await run('curl', ['-s', '--max-time', '3', `http://${address}/`])).output).toBe('outside');
    for (const guest of [first, foreign]) expect(await fetched(guest, address)).toMatch(/^no/);
  });

  it('are not reached from outside, nor does the node forward for others', async () => {
    await outside.sh('ip route add 172.17.0.0/16 via 198.51.100.1; ip route add 100.64.0.0/10 via 198.51.100.1; ip route add 203.0.113.0/24 via 198.51.100.1');
    const { output } = await world.within(await world.networks.hostNamespace(alpha), "ip -4 -o addr show dev eth0 | sed 's/.*inet //; s,/.*,,'");
    for (const address of ['172.17.0.2', output.trim(), '203.0.113.7']) expect([address, await fetched(outside, address)]).toEqual([address, expect.stringMatching(/^no/)]);
  });

  it('reach nothing of the node, by none of its addresses', async () => {
    const own = Object.values(networkInterfaces()).flatMap((addresses) => addresses ?? []).map(({ address, family }) => (family === 'IPv6' ? `[${address}]` : address));
    expect(own.length).toBeGreaterThan(4);
    expect(Object.keys(networkInterfaces()).filter((name) => name.startsWith('sbn')).length).toBeGreaterThanOrEqual(2);
    const hosts = own.filter((address) => !address.startsWith('127.') && address !== '[::1]');
    for (const guest of [first, apart, foreign]) {
      const found = await Promise.all(hosts.map(async (host) => [host, await fetched(guest, host, nodePort)]));
      expect(found.filter(([, answer]) => answer?.startsWith('no') !== true)).toEqual([]);
    }
    // The same with an address of IPv6 that they give themselves, on the link as well.
    await first.sh('echo 0 > /proc/sys/net/ipv6/conf/eth0/disable_ipv6; ip -6 addr add fd00::77/64 dev eth0 nodad; ip -6 route add default dev eth0');
    for (const host of ['[fd00::2]', '[fe80::1%25eth0]', '[ff02::1%25eth0]']) expect([host, await fetched(first, host, nodePort)]).toEqual([host, expect.stringMatching(/^no/)]);
    // It hears its own multicast, which says nothing about others.
    await first.sh('echo 1 > /proc/sys/net/ipv6/icmp/echo_ignore_multicast');
    expect((await first.sh('busybox ping -6 -c 1 -W 1 fd00::77')).code).toBe(0);
    expect((await first.sh('busybox ping -6 -c 1 -W 1 ff02::1%eth0')).code).not.toBe(0);
  });

  it('reach no other tenant’s uplink', async () => {
    for (const [guest, tenant] of [[first, beta], [foreign, alpha]] as const) {
      const { output } = await world.within(await world.networks.hostNamespace(tenant), "ip -4 -o addr show dev eth0 | sed 's/.*inet //; s,/.*,,'");
      expect(await fetched(guest, output.trim())).toMatch(/^no/);
    }
  });

  describe('that lie about who they are', () => {
    it('are not heard with another address of IP', async () => {
      await first.sh('ip addr add 172.17.0.77/16 dev eth0');
      expect((await first.sh('busybox ping -c 1 -W 1 172.17.0.3')).code).toBe(0);
      for (const target of ['172.17.0.3', '172.17.0.1', OUTSIDE]) expect([target, (await first.sh(`busybox ping -c 1 -W 1 -I 172.17.0.77 ${target}`)).code]).not.toEqual([target, 0]);
    });

    it('cannot take a neighbour’s or the gateway’s address by ARP', async () => {
      const neighbours = async (): Promise<string> => (await second.sh("ip neigh show | awk '{ print $1, $5 }' | sort")).output;
      await fetched(second, '172.17.0.2');
      await fetched(second, '172.17.0.1');
      const before = await neighbours();
      await first.sh('for ip in 172.17.0.1 172.17.0.3 172.17.0.2; do ip addr add $ip/32 dev lo; busybox arping -U -c 2 -w 2 -I eth0 -s $ip $ip; busybox arping -A -c 2 -w 2 -I eth0 -s $ip $ip; ip addr del $ip/32 dev lo; done');
      expect(await neighbours()).toBe(before);
      expect(await fetched(second, '172.17.0.2')).toBe('first');
    });

    it('are not heard with another’s hardware address', async () => {
      const { output } = await first.sh('cat /sys/class/net/eth0/address; ip -o link show eth0');
      expect(output).toContain('02:42:ac:11:00:02');
      await first.sh('ip link set eth0 address 02:42:ac:11:00:03');
      expect((await first.sh('busybox ping -c 1 -W 1 172.17.0.1')).code).not.toBe(0);
      await first.sh('ip link set eth0 address 02:42:ac:11:00:02');
      expect((await first.sh('busybox ping -c 1 -W 1 172.17.0.1')).code).toBe(0);
    });

    it('reach another network over no address of their own making', async () => {
      await first.sh('ip addr add 172.18.0.9/16 dev eth0');
      expect(await fetched(first, '172.18.0.2')).toMatch(/^no/);
      expect(await fetched(first, '172.18.0.1', 81)).toMatch(/^no/);
      await first.sh('ip addr del 172.18.0.9/16 dev eth0; ip route add 172.18.0.0/16 via 172.17.0.1');
      expect(await fetched(first, '172.18.0.2')).toMatch(/^no/);
    });

    it('reach nothing on the loopback of their tenant’s host', async () => {
      const path = await world.networks.hostNamespace(alpha);
      const server = spawn('nsenter', [`--net=${path}`, 'busybox', 'httpd', '-f', '-p', '127.0.0.53:8053', '-h', '/proc/self'], { stdio: 'ignore' });
      // Its own loopback is asked last: such addresses go to the gateway.
      await first.sh('ip rule add pref 100 lookup local; ip rule del pref 0; ip route add 127.0.0.53/32 via 172.17.0.1 table 9; ip rule add to 127.0.0.53 table 9 pref 1; echo 1 > /proc/sys/net/ipv4/conf/eth0/route_localnet');
      expect((await first.sh('ip route get 127.0.0.53')).output).toContain('via 172.17.0.1');
      expect(await fetched(first, '127.0.0.53', 8053)).toMatch(/^no/);
      server.kill('SIGKILL');
    });
  });
});
