import { setTimeout as sleep } from 'node:timers/promises';
import { startPlatform, type DockerCli, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

/** Rows of the surface about networks, by Docker's own client, for two tenants of one platform at once. */
describe('docker: networks', () => {
  let platform: Platform;
  let anna: DockerCli;
  let bert: DockerCli;
  let both: readonly DockerCli[];

  beforeAll(async () => {
    platform = await startPlatform();
    both = await Promise.all(['anna', 'bert'].map(async (name) => platform.docker((await platform.newTenant(name, { networks: 4 })).apiKey)));
    [anna, bert] = both as [DockerCli, DockerCli];
    for (const image of ['busybox', 'debian:bookworm-slim']) await Promise.all(both.map((docker) => docker.ok('pull', '-q', image)));
  }, 90_000);
  afterEach(async () => {
    for (const docker of both) {
      const ids = (await docker.ok('ps', '-aq')).split('\n').filter((id) => id !== '');
      if (ids.length > 0) await docker.ok('rm', '-f', ...ids);
      await docker.ok('network', 'prune', '-f');
    }
  });
  afterAll(async () => {
    await Promise.all(both.map((docker) => docker.close()));
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  /** A web server with one page. */
  async function serve(docker: DockerCli, name: string, page: string, ...args: string[]): Promise<string> {
    return docker.ok('run', '-d', '--name', name, ...args, 'busybox', 'sh', '-c', `mkdir -p /www && echo ${page} > /www/index.html && exec httpd -f -p 80 -h /www`);
  }

  /** What a line of shell says in a container of its own, of an image with a whole C library: names are looked up as most programs do. */
  async function said(docker: DockerCli, line: string, ...args: string[]): Promise<string> {
    const id = await docker.ok('run', '-d', ...args, 'debian:bookworm-slim', 'bash', '-c', `exec 2>&1; ${line}`);
    await docker.ok('wait', id);
    const text = await docker.ok('logs', id);
    await docker.ok('rm', id);
    return text;
  }

  /** One request; empty, or bash's own words, when there is no answer. */
  const ask = (address: string): string => `timeout 5 bash -c 'exec 3<>/dev/tcp/${address.replace(':', '/')} && printf "GET / HTTP/1.0\\r\\n\\r\\n" >&3 && tail -n 1 <&3'`;

  /** A page as it is seen from a container, once its server is up. */
  function page(docker: DockerCli, address: string, ...args: string[]): Promise<string> {
    return said(docker, `for i in 1 2 3 4 5; do ${ask(address)} 2>/dev/null | grep . && exit; sleep 0.2; done`, ...args);
  }

  const addressOf = (docker: DockerCli, name: string, network = 'bridge') => docker.ok('inspect', '-f', `{{(index .NetworkSettings.Networks "${network}").IPAddress}}`, name);

  it('publish every exposed port with -P, from 32768 up', async () => {
    for (const docker of both) await serve(docker, 'web', 'hello', '-P', '--expose', '80', '--expose', '443');
    for (const docker of both) {
      const ports = (await docker.ok('port', 'web')).split('\n');
      expect(ports).toHaveLength(2);
      const port = Number(/^80\/tcp -> 0\.0\.0\.0:(\d+)$/m.exec(ports.join('\n'))?.[1]);
      expect(port).toBeGreaterThanOrEqual(32_768);
      expect(await page(docker, `127.0.0.1:${port}`, '--net', 'host')).toBe('hello');
      expect(await docker.ok('ps', '--format', '{{.Ports}}')).toContain(`0.0.0.0:${port}->80/tcp`);
    }
  }, 60_000);

  it('publish ports in every form of -p, each tenant its own of the same number', async () => {
    await Promise.all([serve(anna, 'web', 'of-anna', '-p', '8080:80', '-p', '127.0.0.1:5000:80', '-p', '127.0.0.1::80', '-p', '5353:53/udp'), serve(bert, 'web', 'of-bert', '-p', '8080:80')]);
    expect(await anna.ok('port', 'web', '53/udp')).toBe('0.0.0.0:5353');
    expect((await anna.ok('port', 'web', '80')).split('\n').sort()).toEqual(['0.0.0.0:8080', expect.stringMatching(/^127\.0\.0\.1:32\d{3}$/), '127.0.0.1:5000']);
    expect([await page(anna, '127.0.0.1:8080', '--net', 'host'), await page(bert, '127.0.0.1:8080', '--net', 'host')]).toEqual(['of-anna', 'of-bert']);
    expect(await page(anna, '127.0.0.1:5000', '--net', 'host')).toBe('of-anna');
    const taken = await anna.run(['run', '-d', '-p', '8080:80', 'busybox', 'true']);
    expect(taken).toMatchObject({ exitCode: 125, stderr: expect.stringMatching(/failed to set up container networking: driver failed programming external connectivity on endpoint \w+ \([0-9a-f]{64}\): Bind for 0\.0\.0\.0:8080 failed: port is already allocated/) as string });
    await anna.ok('rm', '-f', 'web');
    await serve(anna, 'again', 'again', '-p', '8080:80');
    expect(await page(anna, '127.0.0.1:8080', '--net', 'host')).toBe('again');
  }, 60_000);

  it('link containers: environment, and a name that stays right when the target comes back elsewhere', async () => {
    await serve(anna, 'db', 'data', '--expose', '80', '-e', 'PASS=secret');
    const address = await addressOf(anna, 'db');
    await anna.ok('run', '-d', '--name', 'web', '--link', 'db:store', 'busybox', 'sh', '-c', 'env | grep ^STORE | sort; while :; do sleep 0.3; grep store /etc/hosts; done');
    expect(await said(anna, 'true')).toBe('');
    expect(await anna.ok('logs', 'web')).toContain(
      ['STORE_ENV_PASS=secret', 'STORE_NAME=/web/store', `STORE_PORT=tcp://${address}:80`, `STORE_PORT_80_TCP=tcp://${address}:80`, `STORE_PORT_80_TCP_ADDR=${address}`, 'STORE_PORT_80_TCP_PORT=80', 'STORE_PORT_80_TCP_PROTO=tcp'].join('\n'),
    );
    await anna.ok('kill', 'db');
    await anna.ok('run', '-d', '--name', 'squatter', 'busybox', 'sleep', '60');
    await anna.ok('start', 'db');
    const moved = await addressOf(anna, 'db');
    expect(moved).not.toBe(address);
    expect(await page(anna, 'store:80', '--net', 'container:web')).toBe('data');
    expect(await anna.ok('inspect', '-f', '{{.HostConfig.Links}}', 'web')).toBe('[/db:/web/store]');
    await anna.ok('kill', 'db', 'web');
    expect(await anna.fails('start', 'web')).toContain('Cannot link to a non running container: /db AS /web/store');
    await anna.ok('rm', '--link', '/web/store');
    expect(await anna.json('inspect', '-f', '{{json .HostConfig.Links}}', 'web')).toBeNull();
    expect(await anna.ok('exec', 'web', 'cat', '/etc/hosts')).not.toContain('store');
    expect(await anna.fails('rm', '--link', 'web/store')).toMatch(/No such link/);
    expect(await anna.fails('rm', '--link', 'web')).toMatch(/cannot remove the default link name/);
    expect(await bert.fails('run', '-d', '--link', 'db:store', 'busybox', 'true')).toMatch(/could not get container for db/);
  }, 60_000);

  it('keep networks of their own, where containers have names', async () => {
    for (const docker of both) await docker.ok('network', 'create', 'front');
    expect(await anna.fails('network', 'create', 'front')).toMatch(/network with name front already exists/);
    await Promise.all([serve(anna, 'web', 'of-anna', '--network', 'front', '--network-alias', 'site'), serve(bert, 'web', 'of-bert', '--network', 'front')]);
    expect(await page(anna, 'web:80', '--network', 'front')).toBe('of-anna');
    expect(await page(anna, 'site:80', '--network', 'front')).toBe('of-anna');
    expect(await page(bert, 'web:80', '--network', 'front')).toBe('of-bert');
    expect(await said(bert, ask('site:80'), '--network', 'front')).toMatch(/Name or service not known|Temporary failure in name resolution/);
    expect(await said(anna, ask(`${await addressOf(anna, 'web', 'front')}:80`))).toMatch(/timed out|unreachable|refused|^$/);
    expect(await anna.json('network', 'inspect', 'front')).toMatchObject([{ Driver: 'bridge', Containers: { [await anna.ok('inspect', '-f', '{{.Id}}', 'web')]: { Name: 'web', IPv4Address: `${await addressOf(anna, 'web', 'front')}/16` } } }]);
    expect(await anna.fails('network', 'rm', 'front')).toMatch(/error while removing network: network front id [0-9a-f]{64} has active endpoints/);
    expect(await anna.fails('network', 'rm', 'bridge')).toMatch(/bridge is a pre-defined network and cannot be removed/);
    await anna.ok('rename', 'web', 'page');
    expect(await page(anna, 'page:80', '--network', 'front')).toBe('of-anna');
  }, 60_000);

  it('connect and disconnect containers, running or not', async () => {
    await anna.ok('network', 'create', 'front');
    await anna.ok('network', 'create', '--subnet', '10.77.0.0/24', '--label', 'a=b', 'back');
    await serve(anna, 'web', 'hello', '--network', 'front');
    await anna.ok('network', 'connect', '--alias', 'other', '--ip', '10.77.0.9', 'back', 'web');
    expect(await anna.fails('network', 'connect', 'back', 'web')).toMatch(/endpoint with name web already exists in network back/);
    expect(await page(anna, 'other:80', '--network', 'back')).toBe('hello');
    expect(await addressOf(anna, 'web', 'back')).toBe('10.77.0.9');
    await anna.ok('network', 'disconnect', 'front', 'web');
    expect(await said(anna, ask('web:80'), '--network', 'front')).toMatch(/Name or service not known|Temporary failure in name resolution/);
    await anna.ok('kill', 'web');
    await anna.ok('network', 'connect', 'front', 'web');
    await anna.ok('start', 'web');
    expect(await page(anna, 'web:80', '--network', 'front')).toBe('hello');
    expect(await anna.ok('ps', '-q', '--filter', 'network=back')).not.toBe('');
    expect(await anna.ok('network', 'ls', '--filter', 'label=a=b', '--format', '{{.Name}}')).toBe('back');
    expect(await anna.fails('network', 'create', '--subnet', '10.77.0.0/16', 'overlapping')).toMatch(/Pool overlaps with other one on this address space/);
    expect(await anna.fails('run', '-d', '--network', 'nowhere', 'busybox', 'true')).toMatch(/network nowhere not found/);
    for (const name of ['n3', 'n4']) await anna.ok('network', 'create', name);
    expect(await anna.fails('network', 'create', 'n5')).toMatch(/the tenant may have 4 networks/);
  }, 60_000);

  it('share a network name space: of the host, of nobody, of another container', async () => {
    await serve(anna, 'web', 'hello');
    expect(await said(anna, 'ls /sys/class/net', '--net', 'none')).toBe('lo');
    expect(await said(anna, 'ls /sys/class/net')).toMatch(/^eth0\s+lo$/);
    const ofHost = await said(anna, 'ls /sys/class/net', '--net', 'host');
    expect(ofHost).toMatch(/docker0/);
    expect(await page(anna, '127.0.0.1:80', '--net', 'container:web')).toBe('hello');
    await serve(anna, 'on-host', 'on-the-host', '--net', 'host');
    expect(await page(anna, 'gw:80', '--add-host', 'gw:host-gateway')).toBe('on-the-host');
    expect(await anna.ok('ps', '-q', '--filter', 'network=host')).not.toBe('');
    expect(await said(anna, 'hostname', '--net', 'container:web')).toBe((await anna.ok('inspect', '-f', '{{.Id}}', 'web')).slice(0, 12));
    expect(await anna.fails('run', '-d', '--net', 'container:web', '-p', '80:80', 'busybox', 'true')).toMatch(/conflicting options: port publishing and the container type network mode/);
    expect(await bert.fails('run', '-d', '--net', 'container:web', 'busybox', 'true')).toMatch(/No such container: web/);
    await anna.ok('kill', 'web');
    expect(await anna.fails('run', '-d', '--net', 'container:web', 'busybox', 'true')).toMatch(/cannot join network of a non running container: [0-9a-f]{64}/);
    // Nothing of one tenant's host is another's.
    await serve(bert, 'web', 'of-bert', '-p', '9090:80');
    expect(await said(anna, ask('127.0.0.1:9090'), '--net', 'host')).toMatch(/refused/);
  }, 60_000);

  it('are open on the node for whom the operator allows it, and outlive the worker', async () => {
    const open = await platform.docker((await platform.newTenant('open', { publishPorts: true })).apiKey);
    try {
      await open.ok('pull', '-q', 'busybox');
      const port = 20_000 + (process.pid % 20_000);
      await serve(open, 'web', 'of-open', '-p', `${port}:80`);
      await serve(anna, 'web', 'of-anna', '-p', `${port + 1}:80`);
      await anna.ok('network', 'create', 'front');
      await anna.ok('network', 'connect', 'front', 'web');
      const body = async (at: number) => (await fetch(`http://127.0.0.1:${at}/`, { signal: AbortSignal.timeout(5_000) })).text();
      expect(await body(port)).toBe('of-open\n');
      await expect(body(port + 1)).rejects.toThrow();
      await platform.kill('worker');
      // A node that was there a moment ago counts as ready still.
      while ((await anna.run(['ps', '-q'])).exitCode !== 0) await sleep(200);
      expect(await page(anna, 'web:80', '--network', 'front')).toBe('of-anna');
      expect(await body(port)).toBe('of-open\n');
      await open.ok('rm', '-f', 'web');
      await expect(body(port)).rejects.toThrow();
    } finally {
      await open.close();
    }
  }, 60_000);

  it('tell of what happens, and show no file of their own among changes', async () => {
    const since = Math.floor(Date.now() / 1000);
    await anna.ok('network', 'create', 'told');
    const id = await anna.ok('run', '-d', '--network', 'told', 'busybox', 'sh', '-c', 'echo more >> /etc/hosts; touch /new');
    await anna.ok('wait', id);
    expect(await anna.ok('diff', id)).toBe('A /new');
    await anna.ok('rm', id);
    await anna.ok('network', 'rm', 'told');
    const events = await anna.ok('events', '--since', String(since), '--until', String(Math.floor(Date.now() / 1000) + 1), '--filter', 'type=network', '--filter', 'network=told', '--format', '{{.Action}}');
    expect(events.split('\n')).toEqual(['create', 'connect', 'disconnect', 'destroy']);
  }, 30_000);
});
