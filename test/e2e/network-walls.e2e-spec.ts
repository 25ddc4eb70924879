import { once } from 'node:events';
import { createSocket } from 'node:dgram';
import { createServer, type AddressInfo } from 'node:net';
import { networkInterfaces } from 'node:os';
import { startPlatform, type DockerCli, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

/** Every address and port that the platform knows, asked for from inside a tenant's containers: only the tenant's own answers. */
describe('what containers can reach', () => {
  let platform: Platform;
  let anna: DockerCli;
  let bert: DockerCli;
  /** A listener of the node on every address, as a careless service has it. */
  const node = createServer((socket) => {
    reached.push(`tcp from ${String(socket.remoteAddress)}`);
    socket.destroy();
  });
  const nodeUdp = createSocket({ type: 'udp6', ipv6Only: false }, (_, { address }) => reached.push(`udp from ${address}`));
  const reached: string[] = [];
  let port: number;

  beforeAll(async () => {
    node.listen(0, '::');
    await once(node, 'listening');
    ({ port } = node.address() as AddressInfo);
    nodeUdp.bind(port, '::');
    await once(nodeUdp, 'listening');
    platform = await startPlatform();
    anna = await platform.docker((await platform.newTenant('anna')).apiKey);
    bert = await platform.docker((await platform.newTenant('bert')).apiKey);
    await Promise.all([anna, bert].map((docker) => docker.ok('pull', '-q', 'busybox')));
    for (const [docker, name] of [[anna, 'anna'], [bert, 'bert']] as const) {
      await docker.ok('network', 'create', 'own');
      for (const network of ['bridge', 'own']) {
        await docker.ok('run', '-d', '--name', `web-${network}`, '--network', network, '-p', '0:7777', 'busybox', 'sh', '-c', `mkdir /w; echo ${name} > /w/who; exec httpd -f -p 7777 -h /w`);
      }
      await docker.ok('run', '-d', '--name', 'web-host', '--network', 'host', 'busybox', 'sh', '-c', `mkdir /w; echo ${name} > /w/who; exec httpd -f -p 6666 -h /w`);
    }
  }, 120_000);
  afterAll(async () => {
    node.close();
    nodeUdp.close();
    for (const docker of [anna, bert]) {
      await docker.shell('docker rm -f $(docker ps -aq)');
      await docker.close();
    }
    await stopAndExpectNothingLeft(platform);
  }, 120_000);

  const nodeAddresses = Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address, scopeid }) => (scopeid === undefined || scopeid === 0 ? address : `${address}%eth0`)));

  it.each(['bridge', 'own', 'host'])('nothing of the node, of the platform or of the metadata service, from the network %s', async (network) => {
    const routes = await anna.ok('run', '--rm', '--network', network, 'busybox', 'ip', 'route');
    const gateways = [...routes.matchAll(/via ([\d.]+)/g)].map(([, address]) => address ?? '');
    const targets = [...new Set([...nodeAddresses, ...gateways, '127.0.0.1', '169.254.169.254', '172.17.0.1', '172.18.0.1', '10.0.0.1', '192.168.0.1', '100.64.0.1', '100.96.0.0', '100.96.0.1', '::1', 'fe80::1%eth0'])];
    const probes = targets.flatMap((address) => [port, platform.port].map((each) => `echo probe | nc -w 1 ${address} ${String(each)} > /dev/null 2>&1 && echo "TCP ${address} ${String(each)}"`));
    const datagrams = targets.filter((address) => !address.includes(':')).map((address) => `echo probe | nc -u -w 1 ${address} ${String(port)} > /dev/null 2>&1`);
    const script = [...probes, ...datagrams].map((probe) => `(${probe}) &`).join('\n');
    const said = await anna.ok('run', '--rm', '--network', network, '--cap-add', 'NET_ADMIN', '--cap-add', 'NET_RAW', 'busybox', 'sh', '-c', `${script}\nwait`);
    expect(said).toBe('');
    expect(reached).toEqual([]);
  }, 120_000);

  it("the tenant's own containers and nobody else's, though the addresses are the same", async () => {
    const address = (docker: DockerCli, name: string): Promise<string> => docker.ok('inspect', '-f', '{{range .NetworkSettings.Networks}}{{.IPAddress}}{{end}}', name);
    for (const network of ['bridge', 'own']) {
      expect(await address(anna, `web-${network}`)).toBe(await address(bert, `web-${network}`));
      for (const [docker, name] of [[anna, 'anna'], [bert, 'bert']] as const) {
        expect(await docker.ok('run', '--rm', '--network', network, 'busybox', 'wget', '-qO-', `http://${await address(docker, `web-${network}`)}:7777/who`)).toBe(name);
        expect(await docker.ok('run', '--rm', '--network', 'host', 'busybox', 'wget', '-qO-', 'http://127.0.0.1:6666/who')).toBe(name);
      }
    }
    // Bert's addresses are Anna's too; what is only Bert's does not answer: his published ports, wherever they are.
    const published = await bert.shell("docker port web-bridge 7777 | sed 's/.*://'");
    const { exitCode } = await anna.run(['run', '--rm', 'busybox', 'sh', '-c', `for a in 172.17.0.1 127.0.0.1 100.96.0.0 100.96.0.1 100.96.0.2 100.96.0.3 ${nodeAddresses.filter((one) => !one.includes(':')).join(' ')}; do timeout 1 wget -qO- http://$a:${published}/who | grep -q bert && exit 42; done; exit 0`], { timeoutMs: 60_000 });
    expect(exitCode).toBe(0);
  }, 120_000);

  it('no container of another network of the same tenant, but by published ports', async () => {
    const own = await anna.ok('inspect', '-f', '{{.NetworkSettings.Networks.own.IPAddress}}', 'web-own');
    expect((await anna.run(['run', '--rm', 'busybox', 'timeout', '2', 'wget', '-qO-', `http://${own}:7777/who`])).exitCode).not.toBe(0);
    const published = await anna.shell("docker port web-own 7777 | head -1 | sed 's/.*://'");
    expect(await anna.ok('run', '--rm', 'busybox', 'timeout', '5', 'wget', '-qO-', `http://172.17.0.1:${published}/who`)).toBe('anna');
  }, 60_000);

  it('privileged containers do not change the host network that they share', async () => {
    const { exitCode, stderr, stdout } = await anna.run(['run', '--rm', '--privileged', '--network', 'host', 'busybox', 'sh', '-c', 'ip addr add 10.9.8.7/24 dev lo; ip link add dummy0 type dummy; iptables -F; ip addr | grep -c 10.9.8.7']);
    expect({ exitCode, stdout }).toEqual({ exitCode: 1, stdout: '0\n' });
    expect(stderr).toMatch(/Operation not permitted/);
  }, 30_000);
});
