import { createSocket } from 'node:dgram';
import { connect, createServer } from 'node:net';
import { text } from 'node:stream/consumers';
import { newId } from '#kernel';
import type { Attachment, PortRequest } from './networks.js';
import { makeNetWorld, run, type Guest, type NetWorld } from './testing/world.js';

/** An address of the node's loopback that nothing else on the machine listens on. */
const NODE = '127.0.0.9';

function tcp(containerPort: number, hostPort: number, hostIp = ''): PortRequest {
  return { containerPort, hostPort, hostIp, protocol: 'tcp' };
}

describe('Published ports', () => {
  const tenant = newId('tenant');
  let world: NetWorld;
  let server: Guest;
  let host: string;
  let uplink: string;

  beforeAll(async () => {
    world = await makeNetWorld('ports', { publish: { address: NODE, ports: { first: 1024, last: 65_535 } } });
    host = await world.networks.hostNamespace(tenant);
    uplink = (await world.within(host, "ip -4 -o addr show dev eth0 | sed 's/.*inet //; s,/.*,,'")).output.trim();
    await world.networks.create(tenant, { name: 'apart', internal: false, labels: {}, options: {} });
    server = await world.guest();
    await server.serve(80, 'served');
  }, 60_000);
  afterEach(async () => {
    await world.networks.detach(tenant, server.id);
  });
  afterAll(async () => {
    await world.dispose();
  });

  function publish(ports: readonly PortRequest[], publishOnNode = false, guest = server): Promise<Attachment> {
    return world.networks.attach(tenant, world.request(guest, { containerName: 'web', ports, publishOnNode }));
  }

  async function within(address: string, port: number, path = host): Promise<string> {
    const { code, output } = await world.within(path, `curl -s --connect-timeout 1 --max-time 3 http://${address}:${port}/`);
    return code === 0 ? output : `no (${code})`;
  }

  it('are on every address of the tenant’s host, seen from its own sandboxes and from the node', async () => {
    expect((await publish([tcp(80, 8080)])).ports).toEqual([{ containerPort: 80, hostPort: 8080, hostIp: '0.0.0.0', protocol: 'tcp' }]);
    for (const address of ['127.0.0.1', '172.17.0.1', uplink]) expect([address, await within(address, 8080)]).toEqual([address, 'served']);
    expect(await within(uplink, 8080, '/proc/self/ns/net')).toBe('served');
    expect(await within(uplink, 80, '/proc/self/ns/net')).toMatch(/^no/);
    // From itself, from its network and from another: by an address of the host.
    const [near, far] = [await world.guest(), await world.guest()];
    await world.networks.attach(tenant, world.request(near));
    await world.networks.attach(tenant, world.request(far, { endpoints: [{ network: 'apart', aliases: [] }] }));
    for (const [guest, address] of [[server, '172.17.0.1'], [near, '172.17.0.1'], [far, '172.18.0.1']] as const) {
      expect((await guest.sh(`curl -s --max-time 3 http://${address}:8080/`)).output).toBe('served');
    }
    for (const guest of [near, far]) await world.networks.detach(tenant, guest.id);
    await world.networks.detach(tenant, server.id);
    for (const address of ['127.0.0.1', '172.17.0.1', uplink]) expect([address, await within(address, 8080)]).not.toEqual([address, 'served']);
  });

  it('on one address are on no other', async () => {
    await publish([tcp(80, 8081, '127.0.0.1'), tcp(80, 8082, '172.17.0.1')]);
    expect([await within('127.0.0.1', 8081), await within('172.17.0.1', 8082)]).toEqual(['served', 'served']);
    for (const [address, port] of [['172.17.0.1', 8081], [uplink, 8081], ['127.0.0.1', 8082], [uplink, 8082]] as const) expect([address, port, await within(address, port)]).toEqual([address, port, expect.stringMatching(/^no/)]);
  });

  it('that are taken, or on addresses of others, are refused in Docker’s words, and nothing stays', async () => {
    await publish([tcp(80, 8080)]);
    const other = await world.guest();
    await expect(publish([tcp(80, 9090), tcp(81, 8080, '127.0.0.1')], false, other)).rejects.toMatchObject({
      code: 'conflict',
      message: expect.stringMatching(/^driver failed programming external connectivity on endpoint web \([0-9a-f]{64}\): Bind for 127\.0\.0\.1:8080 failed: port is already allocated$/) as string,
    });
    expect(world.networks.find(tenant, other.id)).toBeUndefined();
    await expect(publish([tcp(80, 0, '192.0.2.2')], false, other)).rejects.toMatchObject({ message: expect.stringContaining('cannot assign requested address') as string });
    expect((await publish([tcp(80, 9090), tcp(80, 0), tcp(81, 0)], false, other)).ports.map(({ hostPort }) => hostPort)).toEqual([9090, 32_768, 32_769]);
    await world.networks.detach(tenant, other.id);
  });

  it('of datagrams find their way and back', async () => {
    const child = server.sh(`python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.bind(('0.0.0.0', 5353))
for _ in range(3):
  d, a = s.recvfrom(100); s.sendto(d.upper(), a)"`);
    await publish([{ containerPort: 5353, hostPort: 5300, hostIp: '', protocol: 'udp' }], true);
    await server.untilBound(5353);
    const asking = "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); s.settimeout(3); s.sendto(b'inside', ('127.0.0.1', 5300)); print(s.recv(99).decode())";
    expect((await world.within(host, `python3 -c "${asking}"`)).output).toBe('INSIDE\n');
    const socket = createSocket('udp4');
    for (const message of ['one', 'two']) {
      socket.send(message, 5300, NODE);
      expect(await new Promise((answered) => socket.once('message', (answer) => { answered(answer.toString()); }))).toBe(message.toUpperCase());
    }
    socket.close();
    await child;
  });

  describe('on the node', () => {
    it('are handed on, also those of the tenant’s loopback, and end with the container', async () => {
      const { ports } = await publish([tcp(80, 18_080), tcp(80, 18_081, '127.0.0.1'), tcp(80, 0)], true);
      for (const { hostPort } of ports) expect((await run('curl', ['-s', `http://${NODE}:${hostPort}/`])).output).toBe('served');
      expect(await within(uplink, 18_081)).toMatch(/^no/);
      await world.networks.detach(tenant, server.id);
      for (const { hostPort } of ports) expect((await run('curl', ['-s', `http://${NODE}:${hostPort}/`])).code).toBe(7);
    });

    it('that another program has are refused, or another is chosen', async () => {
      const blocker = createServer().listen(32_790, NODE);
      await new Promise((listening) => blocker.once('listening', listening));
      await expect(publish([tcp(80, 32_790)], true)).rejects.toMatchObject({ code: 'conflict', message: expect.stringMatching(/^driver failed .* Bind for 127\.0\.0\.9:32790 failed: port is already allocated$/) as string });
      await expect(publish([tcp(80, 80)], true)).rejects.toMatchObject({ code: 'conflict', message: expect.stringContaining('ports 1024 to 65535') as string });
      const chosen: number[] = [];
      for (let count = 0; count < 25; count += 1) {
        chosen.push(...(await publish([tcp(80, 0)], true)).ports.map(({ hostPort }) => hostPort));
        await world.networks.detach(tenant, server.id);
      }
      expect(chosen).toContain(32_791);
      expect(chosen).not.toContain(32_790);
      blocker.close();
    });

    it('keep each direction open until it ends, and hold the sender back', async () => {
      const echo = server.sh(`python3 -c "
import socket
s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(('', 7)); s.listen()
c, _ = s.accept()
n = 0
while True:
  d = c.recv(65536)
  if not d: break
  n += len(d)
c.sendall(b'got %d' % n); c.close()"`);
      await publish([tcp(7, 18_007)], true);
      await server.untilBound(7);
      const socket = connect({ host: NODE, port: 18_007, allowHalfOpen: true });
      const answer = text(socket);
      for (let count = 0; count < 64; count += 1) if (!socket.write(Buffer.alloc(256 * 1024))) await new Promise((drained) => socket.once('drain', drained));
      socket.end();
      expect(await answer).toBe(`got ${64 * 256 * 1024}`);
      await echo;
    });

    it('are open again after a restart of the worker, for a container that runs on', async () => {
      await publish([tcp(80, 18_080)], true);
      await world.networks.release();
      expect((await run('curl', ['-s', `http://${NODE}:18080/`])).code).toBe(7);
      await world.reopen();
      expect((await run('curl', ['-s', `http://${NODE}:18080/`])).output).toBe('served');
      expect((await publish([tcp(80, 18_080)], true)).ports).toHaveLength(1);
    });
  });
});
