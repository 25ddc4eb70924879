import fc from 'fast-check';
import { IncomingMessage } from 'node:http';
import { Socket } from 'node:net';
import { translateCreate } from './container-create.js';
import { translateUpdate } from './container-resources.js';
import { DockerFilters } from './filters.js';
import { globMatches } from './image-list.js';
import { nameOf, platformOf, pullReference } from './image-transfers.js';
import { translateConnect, translateNetwork } from './network-requests.js';
import { progressBar } from './json-lines.js';
import { registryAuthOf } from './registry-auth.js';
import { apiVersionOf, isDockerRequest, rewriteDockerUrl } from './routing.js';
import { stdcopyFrame } from './stdcopy.js';
import { humanDuration, momentMs, rfc3339Nano, unixNanos } from './times.js';

const create = (body: object) => translateCreate({ Image: 'busybox', ...body }, undefined);
const host = (config: object) => create({ HostConfig: config }).request;

describe('creating a container', () => {
  it('takes members in any case, null for absence, and drops what it does not know', () => {
    const { request } = translateCreate({ IMAGE: 'busybox', cmd: ['x'], env: null, hostconfig: { memory: 8 << 20, Privileged: null, Evil: true }, Unknown: 1 }, '/named');
    expect(request).toMatchObject({ name: 'named', image: 'busybox', process: { cmd: ['x'], env: [] }, limits: { memoryBytes: 8 << 20 }, capabilities: { privileged: false } });
    expect(JSON.stringify(request)).not.toMatch(/Evil|Unknown|hostconfig/);
  });

  it('takes the last of two spellings of a member, and looks at no other', () => {
    expect(() => create({ HostConfig: { Privileged: false }, hostconfig: { PidMode: 'host' } })).toThrow('the PID mode "host" is not supported');
    expect(host({ Privileged: true, privileged: false }).capabilities.privileged).toBe(false);
  });

  it.each<[string, object]>([
    ['the PID mode', { PidMode: 'host' }],
    ['the IPC mode', { IpcMode: 'host' }],
    ['the IPC mode', { IpcMode: 'container:x' }],
    ['the UTS mode', { UTSMode: 'host' }],
    ['the user name space mode', { UsernsMode: 'host' }],
    ['the cgroup name space mode', { CgroupnsMode: 'host' }],
    ['the cgroup parent', { CgroupParent: '/x' }],
    ['the runtime', { Runtime: 'kata' }],
    ["invalid restart policy: unknown policy 'often'", { RestartPolicy: { Name: 'often' } }],
    ["invalid restart policy: maximum retry count can only be used with 'on-failure'", { RestartPolicy: { Name: 'always', MaximumRetryCount: 3 } }],
    ['invalid restart policy: maximum retry count cannot be negative', { RestartPolicy: { Name: 'on-failure', MaximumRetryCount: -1 } }],
    ['error gathering device information while adding custom device "/dev/sda": no such file or directory', { Devices: [{ PathOnHost: '/dev/sda', PathInContainer: '/dev/sda' }] }],
    ['custom device "/dev/null"', { Devices: [{ PathOnHost: '/dev/null', PathInContainer: '/dev/other' }] }],
    ['a device cgroup rule', { DeviceCgroupRules: ['a *:* rwm'] }],
    ['a device request', { DeviceRequests: [{ Count: -1 }] }],
    ['the security option "seccomp=unconfined"', { SecurityOpt: ['seccomp=unconfined'] }],
    ['the security option "systempaths=unconfined"', { SecurityOpt: ['systempaths=unconfined'] }],
    ['the security option "apparmor=mine"', { SecurityOpt: ['apparmor=mine'] }],
    ['invalid ulimit type: files', { Ulimits: [{ Name: 'files', Soft: 1, Hard: 1 }] }],
    ['ulimit soft limit must be less than or equal to hard limit: 5 > 4', { Ulimits: [{ Name: 'nofile', Soft: 5, Hard: 4 }] }],
    ['range for oom score adj', { OomScoreAdj: -1001 }],
    ['CPU real-time', { CpuRealtimePeriod: 1 }],
    ['valid memory swappiness range is 0-100', { MemorySwappiness: 101 }],
    ['a list of masked paths', { MaskedPaths: [] }],
    ['a list of read-only paths', { ReadonlyPaths: [] }],
    ['publishing a port of SCTP', { PortBindings: { '80/sctp': [{ HostPort: '80' }] } }],
    ['a range of host ports', { PortBindings: { '80/tcp': [{ HostPort: '80-90' }] } }],
    ['the address ::1', { PortBindings: { '80/tcp': [{ HostIp: '::1' }] } }],
    ['invalid IP address', { PortBindings: { '80/tcp': [{ HostIp: 'localhost' }] } }],
    ['invalid port specification: "99999"', { PortBindings: { '80/tcp': [{ HostPort: '99999' }] } }],
    ['invalid port specification: "x/tcp"', { PortBindings: { 'x/tcp': [] } }],
    ["no log driver named 'syslog'", { LogConfig: { Type: 'syslog' } }],
    ['plugin "nfs" not found', { VolumeDriver: 'nfs' }],
    ['Unknown option', { StorageOpt: { inodes: '5' } }],
    ['mount propagation', { Binds: ['/a:/b:rshared'] }],
    ['invalid mode', { Binds: ['/a:/b:what'] }],
    ['must be absolute', { Binds: ['/a:b'] }],
    ["destination can't be '/'", { Binds: ['/a:/x/..'] }],
    ['invalid volume specification', { Binds: ['a:/b:ro:rw'] }],
    ['Duplicate mount point: /b', { Binds: ['/a:/b', 'v:/b/'] }],
    ['Duplicate mount point: /b', { Binds: ['/a:/b'], Tmpfs: { '/b': '' } }],
    ['mount type unknown', { Mounts: [{ Type: 'x', Target: '/a' }] }],
    ['a mount of type image', { Mounts: [{ Type: 'image', Target: '/a', Source: 'i' }] }],
    ['Source must not be empty', { Mounts: [{ Type: 'bind', Target: '/a' }] }],
    ['must be absolute', { Mounts: [{ Type: 'bind', Target: '/a', Source: 'x' }] }],
    ['a folder of a volume', { Mounts: [{ Type: 'volume', Target: '/a', Source: 'v', VolumeOptions: { Subpath: 'x' } }] }],
    ['invalid tmpfs option', { Tmpfs: { '/t': 'exec' } }],
    ['invalid size', { Tmpfs: { '/t': 'size=lots' } }],
    ['HostConfig.Privileged', { Privileged: 'yes' }],
  ])('says %s', (message, config) => {
    expect(() => host(config)).toThrow(message);
    // Without it there is nothing to say.
    expect(() => host({})).not.toThrow();
  });

  it('warns of what is advice only', () => {
    const { warnings } = create({ HostConfig: { CpuShares: 5, MemorySwappiness: 10, OomKillDisable: true, BlkioDeviceReadBps: [{}] } });
    expect(warnings).toEqual([expect.stringContaining('Memory swappiness discarded'), expect.stringContaining('OomKillDisable discarded'), expect.stringContaining('BPS read limit discarded')]);
    expect(create({ HostConfig: { MemorySwappiness: -1 } }).warnings).toEqual([]);
  });

  it('translates limits, policies and what hardens', () => {
    const { request } = create({
      Healthcheck: { Test: ['CMD-SHELL', 'true'], Interval: 1_500_000_000, Retries: 2 },
      Domainname: 'example.org',
      HostConfig: {
        Memory: 8 << 20, MemorySwap: -1, MemoryReservation: 7 << 20, NanoCpus: 500_000_000, CpuShares: 5, CpusetCpus: '0', CpusetMems: '0', BlkioWeight: 300, PidsLimit: 7, OomScoreAdj: 100,
        RestartPolicy: { Name: 'on-failure', MaximumRetryCount: 4 }, GroupAdd: ['docker', '5'], Ulimits: [{ Name: 'nofile', Soft: 10, Hard: -1 }], Sysctls: { 'net.ipv4.ip_forward': '1' },
        SecurityOpt: ['no-new-privileges:true', 'apparmor=unconfined', 'label=disable'], IpcMode: 'none', Init: true,
        Devices: [{ PathOnHost: '/dev/zero', PathInContainer: '/dev/zero', CgroupPermissions: 'rwm' }],
      },
    });
    expect(request).toMatchObject({
      limits: { memoryBytes: 8 << 20, memorySwapBytes: -1, memoryReservationBytes: 7 << 20, cpuMillis: 500, cpuShares: 5, cpusetCpus: '0', cpusetMems: '0', blkioWeight: 300, pids: 7, oomScoreAdj: 100 },
      restart: { kind: 'on-failure', maxRetries: 4 },
      health: { test: ['CMD-SHELL', 'true'], intervalMs: 1500, timeoutMs: 0, startPeriodMs: 0, startIntervalMs: 0, retries: 2 },
      process: { groups: ['docker', '5'], ulimits: { nofile: { soft: 10, hard: -1 } }, init: true },
      sysctls: { 'net.ipv4.ip_forward': '1' }, domainname: 'example.org', noNewPrivileges: true, withoutShm: true,
    });
    expect(host({}).limits).toEqual({});
    expect(host({ PidsLimit: -1 }).limits).toEqual({});
  });

  it('translates an update: zero and null mean unchanged', () => {
    const nothing = { Memory: 0, NanoCpus: 0, CpuShares: 0, PidsLimit: null, MemorySwap: 0, CpusetCpus: '', RestartPolicy: { Name: '', MaximumRetryCount: 0 } };
    expect(translateUpdate(nothing)).toEqual({ change: { limits: {} }, warnings: [] });
    expect(translateUpdate({ ...nothing, Memory: 1 << 30, MemorySwap: -1, PidsLimit: 0, CpuQuota: -1, NanoCpus: 1000, RestartPolicy: { Name: 'no' } }).change).toEqual({
      limits: { memoryBytes: 1 << 30, memorySwapBytes: -1, pids: -1, cpuQuotaUs: -1, cpuMillis: 1 },
      restart: { kind: 'no', maxRetries: 0 },
    });
    for (const bad of [{ Memory: 'much' }, { Memory: 1.5 }, { RestartPolicy: { Name: 'often' } }]) expect(() => translateUpdate(bad)).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it.each([['Interval', 1], ['Timeout', 999_999], ['StartPeriod', 5], ['StartInterval', 5]])('refuses a health check with a %s of less than a millisecond', (name, value) => {
    expect(() => create({ Healthcheck: { Test: ['CMD', 'x'], [name]: value } })).toThrow(`${name} in Healthcheck cannot be less than 1ms`);
    expect(() => create({ Healthcheck: { Test: ['CMD', 'x'], Retries: -1 } })).toThrow('Retries in Healthcheck cannot be negative');
  });

  it('translates every kind of mount', () => {
    const mounts = host({
      Binds: ['/srv/../data:/b:ro,z', 'vol:/v:nocopy', '/only'],
      Mounts: [
        { Type: 'bind', Source: '/s', Target: '/m1', ReadOnly: true, BindOptions: { CreateMountpoint: true, Propagation: 'rprivate' } },
        { Type: 'volume', Target: '/m2', VolumeOptions: { NoCopy: true, Labels: { a: 'b' }, DriverConfig: { Name: 'local', Options: { type: 'tmpfs' } } } },
        { Type: 'tmpfs', Target: '/m3', TmpfsOptions: { SizeBytes: 100, Mode: 0o700 } },
      ],
      Tmpfs: { '/t': 'rw,noexec,size=1.5m,mode=1777' },
    }).mounts;
    expect(mounts).toEqual([
      { kind: 'bind', hostPath: '/data', create: true, destination: '/b', readOnly: true },
      { kind: 'volume', name: 'vol', destination: '/v', readOnly: false, noCopy: true },
      { kind: 'volume', destination: '/only', readOnly: false, noCopy: false },
      { kind: 'bind', hostPath: '/s', create: true, destination: '/m1', readOnly: true },
      { kind: 'volume', destination: '/m2', readOnly: false, noCopy: true, labels: { a: 'b' }, options: { type: 'tmpfs' } },
      { kind: 'tmpfs', destination: '/m3', readOnly: false, sizeBytes: 100, mode: 0o700 },
      { kind: 'tmpfs', destination: '/t', readOnly: false, sizeBytes: 1_572_864, mode: 0o1777 },
    ]);
    expect(create({ Volumes: { '/v': {}, '/w': {} }, HostConfig: { Binds: ['x:/v'] } }).request.mounts).toHaveLength(2);
  });

  it('translates what is asked of networks', () => {
    const { request } = create({
      Hostname: 'box', Domainname: 'example.org', MacAddress: '02:00:00:00:00:01', ExposedPorts: { '443': {}, '53/UDP': {} },
      HostConfig: { NetworkMode: 'front', PortBindings: { '80/tcp': [{ HostPort: '8080' }, { HostIp: '127.0.0.1', HostPort: '' }, { HostIp: '::', HostPort: '8080' }], '53/udp': null }, PublishAllPorts: true, Links: ['db:alias'], Dns: ['1.1.1.1'], DnsSearch: ['a'], DnsOptions: ['b'], ExtraHosts: ['x:1.2.3.4'] },
      NetworkingConfig: { EndpointsConfig: { front: { Aliases: ['web'], IPAMConfig: { IPv4Address: '10.0.0.9' } }, back: null, other: { Links: ['q:r'] } } },
    });
    expect(request).toMatchObject({ hostname: 'box', domainname: 'example.org', exposedPorts: ['443/tcp', '53/udp'] });
    expect(request.network).toEqual({
      mode: 'front',
      endpoints: [{ network: 'front', aliases: ['web'], ipv4Address: '10.0.0.9', macAddress: '02:00:00:00:00:01' }, { network: 'back', aliases: [] }, { network: 'other', aliases: [] }],
      ports: [{ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 8080 }, { containerPort: 80, protocol: 'tcp', hostIp: '127.0.0.1', hostPort: 0 }],
      publishAll: true,
      links: ['db:alias', 'q:r'],
      dns: { servers: ['1.1.1.1'], search: ['a'], options: ['b'] },
      extraHosts: ['x:1.2.3.4'],
      egress: { kind: 'all' },
    });
    expect(create({ NetworkingConfig: { EndpointsConfig: { default: { IPAMConfig: {} } } } }).request.network).toMatchObject({ mode: 'default', endpoints: [] });
    expect(create({ NetworkDisabled: true, HostConfig: { NetworkMode: 'front' } }).request.network?.mode).toBe('none');
    expect(() => create({ NetworkingConfig: { EndpointsConfig: { front: { IPAMConfig: { IPv6Address: '::1' } } } } })).toThrow('IPv6');
  });

  it('survives any JSON', () => {
    fc.assert(fc.property(fc.dictionary(fc.constantFrom('Image', 'HostConfig', 'Cmd', 'Volumes', 'Labels', 'Healthcheck', 'NetworkingConfig', '__proto__'), fc.jsonValue()), (body) => {
      try {
        translateCreate(body, undefined);
      } catch (error) {
        expect(error).toMatchObject({ name: 'CodedError' });
      }
    }));
  });
});

describe('making a network', () => {
  it('takes what the CLI sends', () => {
    expect(translateNetwork({ Name: 'n', Driver: 'bridge', Scope: '', EnableIPv6: false, IPAM: { Driver: 'default', Options: {}, Config: [{ Subnet: '172.30.0.0/16', Gateway: '172.30.0.1', IPRange: '172.30.1.0/24' }] }, Internal: true, Attachable: false, Ingress: false, ConfigOnly: false, ConfigFrom: null, Options: { a: 'b' }, Labels: { c: 'd' } })).toEqual({
      name: 'n', driver: 'bridge', subnet: '172.30.0.0/16', gateway: '172.30.0.1', ipRange: '172.30.1.0/24', internal: true, options: { a: 'b' }, labels: { c: 'd' },
    });
    expect(translateNetwork({ name: 'n', ipam: null, LABELS: null })).toEqual({ name: 'n', internal: false, options: {}, labels: {} });
    expect(translateConnect({ Container: 'c', EndpointConfig: { Aliases: ['a'], IPAMConfig: { IPv4Address: '1.2.3.4' } } })).toEqual({ container: 'c', aliases: ['a'], ipv4Address: '1.2.3.4' });
  });

  it.each<[string, object]>([
    ['invalid network name', { Name: ' ' }],
    ['the scope "swarm"', { Scope: 'swarm' }],
    ['a network of a swarm', { Ingress: true }],
    ['a network of a swarm', { ConfigFrom: { Network: 'x' } }],
    ['IPv6', { EnableIPv6: true }],
    ['plugin "mine" not found', { IPAM: { Driver: 'mine' } }],
    ['more than one subnet', { IPAM: { Config: [{ Subnet: '10.0.0.0/8' }, { Subnet: '11.0.0.0/8' }] } }],
    ['an auxiliary address', { IPAM: { Config: [{ Subnet: '10.0.0.0/8', AuxiliaryAddresses: { a: '10.0.0.2' } }] } }],
    ['invalid JSON: Internal', { Internal: 'yes' }],
  ])('says %s', (message, body) => {
    expect(() => translateNetwork({ Name: 'n', ...body })).toThrow(message);
  });
});

describe('paths', () => {
  const rewrite = (url: string, method = 'GET') => {
    const message = Object.assign(new IncomingMessage(new Socket()), { url, method });
    return { to: rewriteDockerUrl(message), docker: isDockerRequest(message), version: apiVersionOf(message) };
  };

  it.each([
    ['GET', '/v1.43/info?x=1', '/docker/info?x=1'],
    ['GET', '/info', '/docker/info'],
    ['GET', '/images/a/b:c/json', '/docker/images/a%2Fb%3Ac/json'],
    ['GET', '/images/a%2Fb%3Ac/json', '/docker/images/a%2Fb%3Ac/json'],
    ['GET', '/images/json', '/docker/images/json'],
    ['GET', '/images/json/json', '/docker/images/json/json'],
    ['POST', '/images/a/push/push?tag=x', '/docker/images/a%2Fpush/push?tag=x'],
    ['POST', '/images/create', '/docker/images/create'],
    ['DELETE', '/images/a/json', '/docker/images/a%2Fjson'],
    ['GET', '/distribution/r/x/json', '/docker/distribution/r%2Fx/json'],
    ['GET', '/v1.50', '/docker/'],
    ['GET', '/v1/images', '/v1/images'],
    ['GET', '/infos', '/infos'],
    ['GET', '/docker/info', '/-/docker/info'],
  ])('%s %s → %s', (method, from, to) => {
    expect(rewrite(from, method)).toMatchObject({ to, docker: to.startsWith('/docker') });
  });

  it('know their version', () => {
    expect([rewrite('/v1.24/info').version, rewrite('/info').version, rewrite('/v1.41/x').version]).toEqual([24, 50, 41]);
  });

  it('never lead out of their folder', () => {
    fc.assert(fc.property(fc.webUrl({ withQueryParameters: true }).map((url) => url.replace(/^https?:\/\/[^/]*/, '')), fc.constantFrom('GET', 'POST', 'DELETE'), (path, method) => {
      const { to, docker } = rewrite(path === '' ? '/' : path, method);
      expect(to.startsWith('/docker')).toBe(docker);
    }));
  });
});

describe('small words', () => {
  it('references', () => {
    expect(pullReference('busybox', 'latest')).toBe('docker.io/library/busybox:latest');
    expect(pullReference('docker.io/library/busybox:1', '2')).toBe('docker.io/library/busybox:2');
    expect(pullReference('127.0.0.1:5000/x', `sha256:${'a'.repeat(64)}`)).toBe(`127.0.0.1:5000/x@sha256:${'a'.repeat(64)}`);
    expect(pullReference('busybox:1.36', '')).toBe('docker.io/library/busybox:1.36');
    expect(() => pullReference('busybox', '')).toThrow('pulling all tags');
    expect(nameOf('foo:2', '')).toBe('docker.io/library/foo:2');
    expect(nameOf('', 'x')).toBeUndefined();
    expect(() => nameOf('BAD', '')).toThrow('must be lowercase');
    expect(platformOf('linux/arm64/v8')).toEqual({ os: 'linux', architecture: 'arm64', variant: 'v8' });
    expect(() => platformOf('a/b/c/d')).toThrow();
  });

  it('credentials', () => {
    const header = (value: object) => registryAuthOf(Buffer.from(JSON.stringify(value)).toString('base64url'));
    expect(header({ username: 'u', password: 'p', serveraddress: 'x' })).toEqual({ username: 'u', password: 'p' });
    expect(header({ auth: Buffer.from('u:p:q').toString('base64') })).toEqual({ username: 'u', password: 'p:q' });
    expect(header({ identitytoken: 't' })).toEqual({ identityToken: 't' });
    for (const none of ['e30=', 'nonsense', '', undefined]) expect(registryAuthOf(none)).toBeUndefined();
  });

  it('times', () => {
    expect(rfc3339Nano(1_700_000_000_120)).toBe('2023-11-14T22:13:20.12Z');
    expect(rfc3339Nano(1_700_000_000_000)).toBe('2023-11-14T22:13:20Z');
    expect(rfc3339Nano(null)).toBe('0001-01-01T00:00:00Z');
    expect(unixNanos('1700000000.000000005')).toBe(1_700_000_000_000_000_005n);
    expect(momentMs('1h30m', 10_000_000)).toBe(4_600_000);
    expect(momentMs('2023-11-14T22:13:20Z', 0)).toBe(1_700_000_000_000);
    for (const bad of ['', 'yesterday', '1x', '-1']) expect(() => momentMs(bad, 0)).toThrow('failed to parse');
    expect([0, 1_000, 59_000, 61_000, 120_000, 3_600_000, 7_200_000, 172_800_000, 1_209_600_000, 31_536_000_000 * 3].map(humanDuration)).toEqual(['Less than a second', '1 second', '59 seconds', 'About a minute', '2 minutes', 'About an hour', '2 hours', '2 days', '2 weeks', '3 years']);
  });

  it('patterns, as path.Match has them, in bounded time', () => {
    for (const [pattern, text, matches] of [['a*', 'abc', true], ['a*', 'a/b', false], ['*/b', 'a/b', true], ['a?c', 'abc', true], ['[a-c]x', 'bx', true], ['[^a]x', 'ax', false], ['a\\*', 'a*', true], ['', '', true]] as const) expect({ pattern, matches: globMatches(pattern, text) }).toEqual({ pattern, matches });
    const began = performance.now();
    expect(globMatches('*a'.repeat(2_000), 'a'.repeat(2_000).concat('b'))).toBe(false);
    expect(performance.now() - began).toBeLessThan(5_000);
  });

  it('filters', () => {
    const filters = DockerFilters.parse('{"label":{"a=b":true,"c":true},"label!":["d"],"name":{"^/x$":true}}', ['label', 'label!', 'name']);
    expect([filters.labels({ a: 'b', c: '' }), filters.labels({ a: 'x', c: '' }), filters.labels({ a: 'b', c: '', d: '' })]).toEqual([true, false, false]);
    expect([filters.matches('name', '/x'), filters.matches('name', '/xy')]).toEqual([true, false]);
    for (const bad of ['[]', '{', '{"label":1}', '7']) expect(() => DockerFilters.parse(bad, ['label'])).toThrow('invalid filter');
    expect(DockerFilters.parse('', []).has('x')).toBe(false);
  });

  it('frames and bars', () => {
    expect(stdcopyFrame('stderr', Buffer.from('hi'))).toEqual(Buffer.from([2, 0, 0, 0, 0, 0, 0, 2, 0x68, 0x69]));
    expect(progressBar(1_048_576, 4_194_304)).toBe(`[${'='.repeat(12)}>${' '.repeat(37)}]  1.049MB/4.194MB`);
    expect(progressBar(10, 10)).toBe(`[${'='.repeat(50)}]  10B/10B`);
  });
});
