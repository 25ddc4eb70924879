import { readdir, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { newId } from '#kernel';
import { makeNetWorld, type Guest, type NetWorld } from './testing/world.js';

describe('Networks that outlive a worker', () => {
  const tenant = newId('tenant');
  let world: NetWorld;
  beforeAll(async () => {
    world = await makeNetWorld('recovery');
  }, 60_000);
  afterAll(async () => {
    await world.dispose();
  });

  async function inHost(line: string): Promise<string> {
    return (await world.within(await world.networks.hostNamespace(tenant), line)).output;
  }

  async function links(): Promise<string[]> {
    return (await inHost("ip -o link | sed 's/^[0-9]*: //; s/[@:].*//' | sort")).trim().split('\n');
  }

  it('are found as they were, and what is attached goes on without a gap', async () => {
    const made = await world.networks.create(tenant, { name: 'kept', subnet: '10.44.0.0/16', ipRange: '10.44.1.0/24', gateway: '10.44.0.9', internal: false, labels: { a: 'b' }, options: { o: 'p' } });
    const [one, two] = [await world.guest(), await world.guest()];
    const attachments = [await world.networks.attach(tenant, world.request(one, { endpoints: [{ network: 'kept', aliases: ['x'] }, { network: 'bridge', aliases: [] }] })), await world.networks.attach(tenant, world.request(two, { endpoints: [{ network: 'kept', aliases: [], ipv4Address: '10.44.0.77' }] }))];
    expect(attachments[0]!.endpoints.map(({ ipv4Address }) => ipv4Address)).toEqual(['10.44.1.0', '172.17.0.2']);
    await two.serve(80, 'two');
    const download = one.sh("for i in 1 2 3 4 5 6 7 8 9 10; do curl -s --max-time 1 http://10.44.0.77/ || echo lost; sleep 0.2; done");
    const host = await world.networks.hostNamespace(tenant);
    for (let restarts = 0; restarts < 3; restarts += 1) await world.reopen();
    expect((await download).output).toBe('two'.repeat(10));
    expect(await world.networks.hostNamespace(tenant)).toBe(host);
    expect(await world.networks.get(tenant, 'kept')).toEqual(made);
    expect([world.networks.find(tenant, one.id), world.networks.find(tenant, two.id)]).toEqual(attachments);
    expect(await world.networks.attach(tenant, world.request(two, { endpoints: [{ network: 'kept', aliases: [], ipv4Address: '10.44.0.77' }] }))).toEqual(attachments[1]);
    await expect(world.networks.remove(tenant, 'kept')).rejects.toMatchObject({ message: `error while removing network: network kept id ${made.id} has active endpoints` });
    const third = await world.guest();
    await expect(world.networks.attach(tenant, world.request(third, { endpoints: [{ network: 'kept', aliases: [], ipv4Address: '10.44.0.77' }] }))).rejects.toMatchObject({ code: 'conflict', message: 'Address already in use' });
    for (const guest of [one, two]) await world.networks.detach(tenant, guest.id);
    await world.networks.remove(tenant, 'kept');
    expect(await links()).toEqual(['docker0', 'eth0', 'lo']);
  });

  it('lose what belonged to a container that ended meanwhile, and what a crash left half made', async () => {
    const [gone, half] = [await world.guest(), await world.guest()];
    for (const guest of [gone, half]) await world.networks.attach(tenant, world.request(guest));
    await gone.end();
    await markHalfMade(half);
    await inHost('ip link add veth0000001 type veth peer name stray && ip link set veth0000001 master docker0 up');
    await world.reopen();
    expect([world.networks.find(tenant, gone.id), world.networks.find(tenant, half.id)]).toEqual([undefined, undefined]);
    expect(await links()).toEqual(['docker0', 'eth0', 'lo']);
    expect(await inHost('nft list set bridge sandbar members')).not.toContain('elements');
    expect(await readdir(join(world.root, tenant, 'attached'))).toEqual([]);
    expect((await world.networks.attach(tenant, world.request(half))).endpoints[0]).toMatchObject({ ipv4Address: '172.17.0.2', interfaceName: 'eth0' });
    await world.networks.detach(tenant, half.id);
  });

  async function markHalfMade(guest: Guest): Promise<void> {
    const path = join(world.root, tenant, 'attached', `${guest.id}.json`);
    await writeFile(path, (await readFile(path, 'utf8')).replace('"whole":true', '"whole":false'));
  }

  it('begin anew for a container that runs when its host name space is gone', async () => {
    const guest = await world.guest();
    await world.networks.attach(tenant, world.request(guest));
    const pid = Number(/\d+/.exec(await world.networks.hostNamespace(tenant))![0]);
    process.kill(pid, 'SIGKILL');
    while ((await guest.sh('ip link show eth0')).code === 0) await new Promise((wake) => setTimeout(wake, 20));
    await world.reopen();
    expect(world.networks.find(tenant, guest.id)).toBeUndefined();
    await world.networks.attach(tenant, world.request(guest));
    expect((await guest.sh('busybox ping -c 1 -W 2 172.17.0.1')).code).toBe(0);
    await world.networks.detach(tenant, guest.id);
  });

  it('have nothing left after a hundred containers that come and go at once, some with what is refused', async () => {
    for (const name of ['n1', 'n2']) await world.networks.create(tenant, { name, internal: false, labels: {}, options: {} });
    const before = await inHost('nft list ruleset');
    const guests = await Promise.all(Array.from({ length: 20 }, () => world.guest()));
    await Promise.all(
      guests.flatMap((guest, index) =>
        Array.from({ length: 5 }, async (_, round) => {
          const request = world.request(guest, {
            containerId: `${guest.id.slice(0, 60)}${round}`,
            endpoints: [{ network: 'n1', aliases: [] }],
            ports: [{ containerPort: 80, hostPort: index % 2 === 0 ? 0 : 7_000 + (index % 3), hostIp: '', protocol: 'tcp' }],
            egress: index % 3 === 0 ? { kind: 'none' } : { kind: 'allow', cidrs: ['8.8.8.0/24'], domains: [] },
          });
          // One process has one eth0: of five at once one at most succeeds.
          const attached = await world.networks.attach(tenant, request).then(() => true, () => false);
          if (attached) await world.networks.connect(tenant, request.containerId, { network: 'n2', aliases: [] }).catch(() => undefined);
          await world.networks.detach(tenant, request.containerId);
        }),
      ),
    );
    expect(await links()).toEqual(expect.arrayContaining(['docker0', 'eth0', 'lo']));
    expect((await links()).filter((name) => name.startsWith('veth'))).toEqual([]);
    expect(await readdir(join(world.root, tenant, 'attached'))).toEqual([]);
    for (const name of ['n1', 'n2']) await world.networks.remove(tenant, name);
    expect(await inHost('nft list ruleset')).toBe(before);
    const last = await world.guest();
    expect((await world.networks.attach(tenant, world.request(last))).endpoints[0]!.ipv4Address).toBe('172.17.0.2');
    await world.networks.detach(tenant, last.id);
  }, 60_000);

  it('go as a whole with their tenant, and leave the machine as it was', async () => {
    const other = newId('tenant');
    await world.networks.create(other, { name: 'mine', internal: false, labels: {}, options: {} });
    const path = await world.networks.hostNamespace(other);
    await world.networks.drop(other);
    await expect(readFile(path)).rejects.toMatchObject({ code: 'ENOENT' });
    expect((await world.networks.list(other)).map(({ name }) => name)).toEqual(['bridge', 'host', 'none']);
    expect((await world.leaks()).map(({ kind }) => kind)).toEqual(['holder', 'uplink', 'rules']);
    await world.networks.close();
    expect(await world.leaks()).toEqual([]);
    await world.networks.recover();
  });
});
