import type { TenantId } from '#kernel';
import type { ContainerNetworking, CreateContainer } from './index.js';
import { openContainerHost, type ContainerHost } from './testing/container-host.js';
import { containerOf, describeLeftovers, logText, NEVER } from './testing/container-requests.js';

const FOREVER = 'while :; do sleep 0.05; done';
const net = (mode: string, more: Partial<ContainerNetworking> = {}): ContainerNetworking => ({
  mode, endpoints: [], ports: [], publishAll: false, links: [], dns: { servers: [], search: [], options: [] }, extraHosts: [], egress: { kind: 'all' }, ...more,
});

describe('containers in networks', () => {
  let host: ContainerHost;
  let tenant: TenantId;

  beforeAll(async () => {
    host = await openContainerHost('networks');
    tenant = await host.newTenant();
    host.networks.own.set('front', '');
    host.networks.own.set('back', '');
    await host.importImage(tenant, 'busybox', 'true', { Cmd: ['sh'], ExposedPorts: { '80/tcp': {} } });
  }, 120_000);
  afterEach(async () => {
    for (const { id } of await host.containers.list(tenant)) await host.containers.remove(tenant, id, { force: true, volumes: true });
    expect(await describeLeftovers(host, [tenant])).toEqual([]);
  });
  afterAll(async () => {
    await host.dispose();
  }, 60_000);

  async function create(network: ContainerNetworking, line = FOREVER, more: Partial<CreateContainer> = {}): Promise<string> {
    return (await host.containers.create(tenant, containerOf(['sh', '-c', line], { network, ...more }))).id;
  }

  async function run(network: ContainerNetworking, line = FOREVER, more: Partial<CreateContainer> = {}): Promise<string> {
    const id = await create(network, line, more);
    await host.containers.start(tenant, id);
    return id;
  }

  async function said(network: ContainerNetworking, line: string, more: Partial<CreateContainer> = {}): Promise<string> {
    const id = await run(network, line, more);
    await host.containers.wait(tenant, id, 'not-running', NEVER);
    return logText(host, tenant, id);
  }

  const networkOf = async (id: string) => (await host.containers.get(tenant, id)).network;
  const told = async (id: string, action: string) => {
    const quit = new AbortController();
    setTimeout(() => { quit.abort(); }, 20);
    const names: string[] = [];
    try {
      for await (const event of host.events.follow(tenant, 1n, quit.signal)) if (event.type === 'network' && event.action === action && event.attributes.container === id) names.push(event.attributes.name ?? '');
    } catch {
      // That was all.
    }
    return names;
  };

  it('have files of their own that tell where they are, and that show in no diff', async () => {
    const text = await said(net('bridge', { extraHosts: ['db:10.0.0.1', 'gw:host-gateway'] }), 'cat /etc/hosts /etc/hostname /etc/resolv.conf; hostname; hostname -f; echo more >> /etc/hosts && tail -n 1 /etc/hosts', { hostname: 'box', domainname: 'example.org' });
    expect(text).toBe(
      ['127.0.0.1\tlocalhost', '::1\tlocalhost ip6-localhost ip6-loopback', 'fe00::\tip6-localnet', 'ff00::\tip6-mcastprefix', 'ff02::1\tip6-allnodes', 'ff02::2\tip6-allrouters', '10.0.0.1\tdb', '172.17.0.1\tgw', '172.17.0.2\tbox.example.org box', 'box', 'nameserver 127.0.0.11', 'box.example.org', 'box.example.org', 'more', ''].join('\n'),
    );
    const { id } = (await host.containers.list(tenant))[0]!;
    expect(await host.containers.changes(tenant, id)).toEqual([]);
    expect(await told(id, 'connect')).toEqual(['bridge']);
    expect(await told(id, 'disconnect')).toEqual(['bridge']);
  });

  it('resolve names by our resolver where there are names, else by the servers they ask for', async () => {
    const dns = { servers: ['9.9.9.9'], search: ['a.example', '.'], options: ['timeout:1'] };
    expect(await said(net('bridge', { dns }), 'cat /etc/resolv.conf')).toBe('nameserver 9.9.9.9\nsearch a.example\noptions timeout:1\n');
    expect(await said(net('front', { dns }), 'cat /etc/resolv.conf')).toBe('nameserver 127.0.0.11\nnameserver 9.9.9.9\nsearch a.example\noptions timeout:1 ndots:0\n');
    expect(await said(net('none'), 'cat /etc/resolv.conf; ls /sys/class/net')).toBe('lo\n');
  });

  it('are attached before their process begins, and detached with its end, whatever it was', async () => {
    const id = await run(net('front', { ports: [{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 8080 }], endpoints: [{ network: 'front', aliases: ['web'], ipv4Address: '172.17.0.99' }, { network: 'back', aliases: [] }] }), FOREVER, { hostname: 'named', name: 'one' });
    expect(host.networks.asked.at(-1)).toMatchObject({ containerId: id, containerName: 'one', endpoints: [{ network: 'front', aliases: ['web', 'named'], ipv4Address: '172.17.0.99' }, { network: 'back', aliases: ['named'] }], publishOnNode: false, egress: { kind: 'all' } });
    expect(await networkOf(id)).toMatchObject({ mode: 'front', ports: [{ containerPort: 80, hostPort: 8080 }], endpoints: [{ networkName: 'front', ipv4Address: '172.17.0.99', requested: { aliases: ['web'] } }, { networkName: 'back' }] });
    await expect(run(net('front', { ports: [{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 8080 }] }), FOREVER, { name: 'second' })).rejects.toMatchObject({ code: 'conflict', message: expect.stringMatching(/^failed to set up container networking: driver failed programming external connectivity on endpoint second \([0-9a-f]{64}\): Bind for 0.0.0.0:8080 failed: port is already allocated$/) });
    expect((await host.containers.get(tenant, 'second')).state).toMatchObject({ status: 'created', exitCode: 128, error: expect.stringContaining('port is already allocated') });
    await host.containers.kill(tenant, id);
    expect(host.networks.attached.size).toBe(0);
    expect(await networkOf(id)).toMatchObject({ ports: [], endpoints: [{ networkName: 'front', ipv4Address: '', requested: { ipv4Address: '172.17.0.99' } }, { networkName: 'back' }] });
    await host.containers.start(tenant, 'second', { publishOnNode: true });
    expect(host.networks.asked.at(-1)).toMatchObject({ publishOnNode: true });
    await expect(run(net('bridge'), 'true', { process: { ...containerOf(['nothing-here']).process } })).rejects.toMatchObject({ details: { exitCode: 127 } });
    expect([...host.networks.attached.keys()]).toHaveLength(1);
  });

  it('publish what is exposed when they are asked to', async () => {
    const id = await run(net('bridge', { publishAll: true, ports: [{ containerPort: 53, protocol: 'udp', hostIp: '127.0.0.1', hostPort: 5300 }] }), FOREVER, { exposedPorts: ['53/udp', '443'] });
    expect((await networkOf(id)).ports).toEqual([
      { containerPort: 53, protocol: 'udp', hostIp: '127.0.0.1', hostPort: 5300 },
      { containerPort: 443, protocol: 'tcp', hostIp: '0.0.0.0', hostPort: 32_768 },
      { containerPort: 80, protocol: 'tcp', hostIp: '0.0.0.0', hostPort: 32_769 },
    ]);
    expect((await host.containers.get(tenant, id)).effective.exposedPorts).toEqual(['443/tcp', '53/udp', '80/tcp']);
  });

  it('know those that they are linked to, also when these come back with another address', async () => {
    const db = await run(net('bridge'), FOREVER, { name: 'db', process: { ...containerOf(['sh', '-c', FOREVER]).process, env: ['PASS=secret=1', 'HOME=/x'] } });
    const web = await run(net('bridge', { links: ['db:my-db'] }), 'env | grep MY_DB | sort; grep my-db /etc/hosts; while :; do sleep 0.05; done', { name: 'web' });
    const before = (await networkOf(db)).endpoints[0]!.ipv4Address;
    for (; !(await logText(host, tenant, web)).includes(`${before}\tmy-db`); ) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await logText(host, tenant, web)).toBe(
      [`MY_DB_ENV_PASS=secret=1`, 'MY_DB_NAME=/web/my-db', `MY_DB_PORT=tcp://${before}:80`, `MY_DB_PORT_80_TCP=tcp://${before}:80`, `MY_DB_PORT_80_TCP_ADDR=${before}`, 'MY_DB_PORT_80_TCP_PORT=80', 'MY_DB_PORT_80_TCP_PROTO=tcp', `${before}\tmy-db ${db.slice(0, 12)} db`, ''].join('\n'),
    );
    await host.containers.kill(tenant, db);
    await host.containers.start(tenant, db);
    const after = (await networkOf(db)).endpoints[0]!.ipv4Address;
    expect(after).not.toBe(before);
    const shared = await said(net(`container:${web}`), 'grep my-db /etc/hosts; hostname');
    expect(shared).toBe(`${after}\tmy-db ${db.slice(0, 12)} db\n${web.slice(0, 12)}\n`);
    await host.containers.kill(tenant, db);
    await host.containers.kill(tenant, web);
    await expect(host.containers.start(tenant, web)).rejects.toMatchObject({ message: 'Cannot link to a non running container: /db AS /web/my-db' });
  });

  it('come back with their node, each after those that it needs', async () => {
    const restart = { kind: 'always', maxRetries: 0 } as const;
    const first = await run(net('bridge'), FOREVER, { name: 'zero', restart });
    const second = await run(net('bridge', { links: ['zero'] }), FOREVER, { name: 'one', restart });
    const third = await run(net('container:one'), FOREVER, { name: 'two', restart });
    await host.containers.close();
    await host.restart();
    const states = async () => Promise.all([first, second, third].map(async (id) => (await host.containers.get(tenant, id)).state.status));
    for (let waited = 0; (await states()).some((status) => status !== 'running') && waited < 5000; waited += 20) await new Promise((resolve) => setTimeout(resolve, 20));
    expect(await states()).toEqual(['running', 'running', 'running']);
  });

  it('share the network of another, while that runs, or the host\'s', async () => {
    const first = await run(net('bridge'), FOREVER, { name: 'first' });
    const inside = 'readlink /proc/self/ns/net; echo $(ls -A /sys); cat /proc/net/dev | wc -l';
    const [own, sys] = (await said(net('container:first'), inside)).split('\n');
    expect(own).toMatch(/^net:\[\d+\]$/);
    expect(sys).toContain('class');
    expect((await said(net('container:first'), 'readlink /proc/self/ns/net')).trim()).toBe(own);
    const hosts = (await said(net('host'), inside)).split('\n')[0];
    expect(hosts).toMatch(/^net:\[\d+\]$/);
    expect(hosts).not.toBe(own);
    expect(await said(net('host', { extraHosts: ['gw:host-gateway'] }), 'cat /etc/resolv.conf; tail -n 1 /etc/hosts')).toBe('nameserver 172.17.0.1\n172.17.0.1\tgw\n');
    const joined = await create(net('container:first'));
    expect((await networkOf(joined)).mode).toBe(`container:${first}`);
    await host.containers.kill(tenant, first);
    await expect(host.containers.start(tenant, joined)).rejects.toMatchObject({ code: 'conflict', message: `cannot join network of a non running container: ${first}` });
    await expect(create(net('container:first', { publishAll: true }))).rejects.toMatchObject({ message: 'conflicting options: port publishing and the container type network mode' });
    await expect(create(net('container:first'), FOREVER, { hostname: 'x' })).rejects.toMatchObject({ message: 'conflicting options: hostname and the network mode' });
    await expect(run(net('nosuch'))).rejects.toMatchObject({ code: 'not_found', message: 'failed to set up container networking: network nosuch not found' });
  });

  it('leave nothing attached that does not run, whatever step of a start, a connect or an end a worker dies at', async () => {
    const db = await run(net('bridge'), FOREVER, { name: 'db' });
    const id = await create(net('bridge', { links: ['db'] }), FOREVER, { name: 'begun' });
    const operations: ((containers: ContainerHost['containers']) => Promise<unknown>)[] = [
      (containers) => containers.start(tenant, id),
      (containers) => containers.connect(tenant, id, { network: 'front', aliases: [] }),
      (containers) => containers.disconnect(tenant, id, 'front', { force: false }),
      (containers) => containers.kill(tenant, id),
    ];
    let calls = 1;
    for (let finished = false; !finished; calls += 1) {
      const { containers, died } = await host.dying(calls, 'after');
      finished = await Promise.race([
        operations.reduce<Promise<unknown>>((before, next) => before.then(() => next(containers)), Promise.resolve()).then(() => true, () => false),
        died.then(() => false),
      ]);
      await containers.release();
      await host.restart();
      const { state } = await host.containers.get(tenant, id);
      const attached = [...host.networks.attached.values()].map(({ request }) => request.containerId).sort();
      expect([calls, attached]).toEqual([calls, (state.status === 'running' ? [db, id] : [db]).sort()]);
      if (state.status === 'running') await host.containers.kill(tenant, id);
      await host.containers.disconnect(tenant, id, 'front', { force: false }).catch(() => undefined);
      expect([...host.networks.attached.keys()]).toHaveLength(1);
    }
    expect(calls).toBeGreaterThan(12);
  }, 120_000);

  it('are connected and disconnected, running or not', async () => {
    const id = await run(net('front'), FOREVER, { name: 'one' });
    await host.containers.connect(tenant, 'one', { network: 'back', aliases: ['b'] });
    await expect(host.containers.connect(tenant, 'one', { network: 'back', aliases: [] })).rejects.toMatchObject({ code: 'permission_denied', message: 'endpoint with name one already exists in network back' });
    const hosts = () => said(net(`container:${id}`), `grep -c ${id.slice(0, 12)} /etc/hosts`);
    expect(await hosts()).toBe('2\n');
    await host.restart();
    expect((await networkOf(id)).endpoints.map(({ networkName }) => networkName)).toEqual(['front', 'back']);
    expect(host.networks.asked.at(-1)).toMatchObject({ containerId: id, endpoints: [{ network: 'front' }, { network: 'back' }] });
    await host.containers.disconnect(tenant, id, 'front', { force: false });
    await expect(host.containers.disconnect(tenant, id, 'front', { force: false })).rejects.toMatchObject({ message: `container ${id} is not connected to the network front` });
    expect(await hosts()).toBe('1\n');
    await host.containers.kill(tenant, id);
    await host.containers.connect(tenant, id, { network: 'bridge', aliases: [] });
    await expect(host.containers.connect(tenant, id, { network: 'nosuch', aliases: [] })).rejects.toMatchObject({ code: 'not_found', message: 'network nosuch not found' });
    await expect(host.containers.connect(tenant, id, { network: 'host', aliases: [] })).rejects.toMatchObject({ message: 'container cannot be disconnected from host network or connected to host network' });
    await host.containers.start(tenant, id);
    expect((await networkOf(id)).endpoints.map(({ networkName, ipv4Address }) => [networkName, ipv4Address !== ''])).toEqual([['back', true], ['bridge', true]]);
    expect(await told(id, 'connect')).toEqual(['front', 'back', 'back', 'bridge']);
  });
});
