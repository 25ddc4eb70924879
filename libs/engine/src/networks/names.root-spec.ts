import { newId } from '#kernel';
import type { EgressPolicy } from './networks.js';
import { NameServer } from './testing/name-server.js';
import { connectOutside, disconnectOutside, OUTSIDE, OUTSIDE_CIDR } from './testing/outside.js';
import { makeNetWorld, type Guest, type NetWorld } from './testing/world.js';

const ELSEWHERE = '198.51.100.77';

describe('Names and ways out', () => {
  const tenant = newId('tenant');
  let world: NetWorld;
  let upstream: NameServer;
  let outside: Guest;

  beforeAll(async () => {
    upstream = await NameServer.open({ 'outside.test': [OUTSIDE], 'elsewhere.test': [ELSEWHERE], 'rebinding.test': ['169.254.169.254', '172.19.0.2'], 'many.test': Array.from({ length: 60 }, (_, index) => `203.0.113.${index}`) });
    world = await makeNetWorld('names', { allowPrivateCidrs: [OUTSIDE_CIDR], dnsServers: [`127.0.0.1:${upstream.port}`] });
    outside = await world.guest();
    await connectOutside(outside, []);
    await outside.sh(`ip addr add ${ELSEWHERE}/24 dev eth0`);
    await outside.serve(80, 'outside');
    for (const name of ['front', 'back']) await world.networks.create(tenant, { name, internal: false, labels: {}, options: {} });
    await world.networks.create(tenant, { name: 'closed', internal: true, labels: {}, options: {} });
  }, 60_000);
  afterAll(async () => {
    await disconnectOutside();
    await upstream.close();
    await world.dispose();
  });

  async function member(name: string, networks: readonly string[], { aliases = [], egress = { kind: 'all' } }: { aliases?: string[]; egress?: EgressPolicy } = {}): Promise<Guest & { server: string }> {
    const guest = await world.guest();
    const { nameservers } = await world.networks.attach(tenant, world.request(guest, { containerName: name, endpoints: networks.map((network) => ({ network, aliases })), egress }));
    return { ...guest, server: nameservers[0]! };
  }

  /** Addresses, sorted; or what went wrong. */
  async function resolved(guest: Guest & { server: string }, name: string, more = ''): Promise<string> {
    const { output } = await guest.sh(`busybox nslookup ${more} ${name} ${guest.server}`);
    const failure = /NXDOMAIN|REFUSED|SERVFAIL|timed out|no servers/.exec(output)?.[0];
    const after = output.split('\n').slice(2).join('\n');
    return failure ?? [...new Set([...after.matchAll(/Address(?: \d+)?: ([\d.]+)/g)].map((match) => match[1]))].sort().join(' ');
  }

  async function fetched(guest: Guest, host: string): Promise<string> {
    const { code, output } = await guest.sh(`curl -s --connect-timeout 1 --max-time 3 http://${host}/`);
    return code === 0 ? output : `no (${code})`;
  }

  it('tell members of one network of each other, and nobody else', async () => {
    const web = await member('web', ['front'], { aliases: ['www'] });
    const api = await member('api', ['front', 'back']);
    const db = await member('db', ['back']);
    const plain = await member('plain', ['bridge']);
    for (const name of ['web', 'WWW', 'web.front', web.id.slice(0, 12)]) expect(await resolved(api, name, '-type=a')).toBe('172.18.0.2');
    expect(await resolved(web, 'api', '-type=a')).toBe('172.18.0.3');
    expect(await resolved(db, 'api', '-type=a')).toBe('172.19.0.2');
    expect(await resolved(db, 'web', '-type=a')).toBe('NXDOMAIN');
    expect(await resolved(plain, 'web', '-type=a')).toBe('NXDOMAIN');
    expect((await api.sh(`busybox nslookup 172.19.0.3 ${api.server}`)).output).toContain('db.back');
    await world.networks.rename(tenant, db.id, 'store');
    expect([await resolved(api, 'store', '-type=a'), await resolved(api, 'db', '-type=a')]).toEqual(['172.19.0.3', 'NXDOMAIN']);
    await world.networks.connect(tenant, db.id, { network: 'front', aliases: ['late'] });
    expect(await resolved(web, 'late', '-type=a')).toBe('172.18.0.4');
    await world.networks.disconnect(tenant, db.id, 'front');
    expect(await resolved(web, 'late', '-type=a')).toBe('NXDOMAIN');
    for (const guest of [web, api, db, plain]) await world.networks.detach(tenant, guest.id);
  });

  it('of the world come from the node’s resolvers, over TCP when they are long', async () => {
    const guest = await member('asks', ['bridge']);
    expect(await resolved(guest, 'outside.test', '-type=a')).toBe(OUTSIDE);
    expect(await resolved(guest, 'nobody.test', '-type=a')).toBe('NXDOMAIN');
    // getaddrinfo(3) asks again over TCP.
    const { output } = await guest.sh(`python3 - ${guest.server} <<'END'
import socket, struct, sys
q = struct.pack('>6H', 5, 256, 1, 0, 0, 0) + b'\\4many\\4test\\0' + struct.pack('>2H', 1, 1)
u = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); u.settimeout(5); u.sendto(q, (sys.argv[1], 53)); a = u.recv(4096)
t = socket.create_connection((sys.argv[1], 53), 5)
for _ in range(2): t.sendall(struct.pack('>H', len(q)) + q)
r = b''
while len(r) < 2 * (2 + 987): r += t.recv(65536)
print(bool(a[2] & 2), struct.unpack('>H', r[8:10])[0], len(r))
END`);
    expect(output.trim()).toBe('True 60 1978');
    await world.networks.detach(tenant, guest.id);
  });

  it('lead nowhere for one without a way out, but its networks do', async () => {
    const server = await member('server', ['front']);
    await server.serve(80, 'server');
    const guest = await member('locked', ['front'], { egress: { kind: 'none' } });
    expect(await fetched(guest, '172.18.0.2')).toBe('server');
    expect(await resolved(guest, 'server', '-type=a')).toBe('172.18.0.2');
    const before = upstream.asked.length;
    expect(await resolved(guest, 'outside.test', '-type=a')).toBe('REFUSED');
    expect(upstream.asked).toHaveLength(before);
    for (const host of [OUTSIDE, '172.19.0.1', '172.17.0.1']) expect(await fetched(guest, host)).toMatch(/^no/);
    for (const one of [server, guest]) await world.networks.detach(tenant, one.id);
  });

  it('are kept apart between bridges that are internal and those that are not', async () => {
    const guest = await member('inner', ['closed']);
    const other = await member('inner2', ['closed']);
    const out = await member('outer', ['front']);
    await guest.serve(80, 'inner');
    expect(await fetched(other, '172.20.0.2')).toBe('inner');
    expect(await fetched(out, '172.20.0.2')).toMatch(/^no/);
    expect((await guest.sh('ip route')).output).not.toContain('default');
    await guest.sh('ip route add default via 172.20.0.1');
    for (const host of [OUTSIDE, '172.18.0.2', '172.18.0.1']) expect(await fetched(guest, host)).toMatch(/^no/);
    for (const one of [guest, other, out]) await world.networks.detach(tenant, one.id);
  });

  it('open for one with a list what is on it, and nothing before it was asked for', async () => {
    const guest = await member('listed', ['front', 'back'], { egress: { kind: 'allow', cidrs: [], domains: ['outside.test', 'rebinding.test'] } });
    expect(await fetched(guest, OUTSIDE)).toMatch(/^no/);
    expect(await resolved(guest, 'outside.test', '-type=a')).toBe(OUTSIDE);
    expect(await fetched(guest, OUTSIDE)).toBe('outside');
    expect(await resolved(guest, 'elsewhere.test', '-type=a')).toBe('REFUSED');
    expect(await fetched(guest, ELSEWHERE)).toMatch(/^no/);
    expect(await resolved(guest, 'rebinding.test', '-type=a')).toBe('');
    // Another container with its address later has nothing of what was opened.
    await world.networks.detach(tenant, guest.id);
    const next = await member('next', ['front', 'back'], { egress: { kind: 'allow', cidrs: [], domains: ['outside.test'] } });
    expect(await fetched(next, OUTSIDE)).toMatch(/^no/);
    await world.networks.detach(tenant, next.id);
    const byAddress = await member('ranges', ['front'], { egress: { kind: 'allow', cidrs: ['198.51.100.77', '198.51.100.64/26', '198.51.100.80/28'], domains: [] } });
    expect(await fetched(byAddress, ELSEWHERE)).toBe('outside');
    expect(await fetched(byAddress, OUTSIDE)).toMatch(/^no/);
    await world.networks.detach(tenant, byAddress.id);
    const anywhere = await member('anywhere', ['front'], { egress: { kind: 'allow', cidrs: ['0.0.0.0/0'], domains: [] } });
    await world.reopen();
    for (const host of [OUTSIDE, ELSEWHERE]) expect(await fetched(anywhere, host)).toBe('outside');
    for (const host of ['172.19.0.1', '172.17.0.1']) expect(await fetched(anywhere, host)).toMatch(/^no/);
    await world.networks.detach(tenant, anywhere.id);
    const connections = await world.within(await world.networks.hostNamespace(tenant), "grep -c '172.18.0' /proc/net/nf_conntrack");
    expect(connections.output.trim()).toBe('0');
  });

  it('are answered again when the worker is back, also what was asked meanwhile', async () => {
    const guest = await member('patient', ['front']);
    await member('friend', ['front']);
    await world.networks.release();
    const pending = resolved(guest, 'friend', '-type=a');
    await new Promise((wake) => setTimeout(wake, 500));
    await world.reopen();
    expect(await pending).toBe('172.18.0.3');
    expect(await resolved(guest, 'patient', '-type=a')).toBe('172.18.0.2');
  });

  it('are not answered from a flood’s cost alone: a tenant has a rate', async () => {
    const guest = await member('flood', ['front']);
    const { output } = await guest.sh(`python3 - ${guest.server} <<'END'
import socket, struct, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.setblocking(False)
got = 0
for i in range(20000):
    try: s.sendto(struct.pack('>6H', i, 256, 1, 0, 0, 0) + b'\\5flood\\0' + struct.pack('>2H', 1, 1), (sys.argv[1], 53))
    except BlockingIOError: pass
    try:
        while True: s.recv(512); got += 1
    except BlockingIOError: pass
print(got)
END`);
    expect(Number(output)).toBeLessThan(4_000);
    await new Promise((wake) => setTimeout(wake, 1_000));
    expect(await resolved(guest, 'flood', '-type=a')).toMatch(/^172\.18\.0\./);
  });
});
