import fc from 'fast-check';
import { formatHosts, withAddress, withEntry, withoutEntry } from './hosts-file.js';
import { linkEnvironment } from './link-environment.js';
import { formatResolver } from './network-files.js';
import { checkEndpoint, checkExtraHost, checkPort, checkResolver, exposedPort, parseExtraHost, parseLink } from './network-words.js';

describe('the words of network settings', () => {
  it('are links', () => {
    expect(parseLink('db:alias')).toEqual({ name: 'db', alias: 'alias' });
    expect(parseLink('/db')).toEqual({ name: 'db', alias: 'db' });
    expect(parseLink('/db:/web/alias')).toEqual({ name: 'db', alias: 'alias' });
    for (const bad of ['', ':x', 'a:b:c', 'a:b\nc', 'a:b c']) expect(() => parseLink(bad)).toThrow(/invalid format for links|empty string/);
  });

  it('are extra hosts', () => {
    expect(parseExtraHost('a:1.2.3.4')).toEqual({ name: 'a', address: '1.2.3.4' });
    expect(parseExtraHost('a:[::1]')).toEqual({ name: 'a', address: '::1' });
    for (const good of ['a:::1', 'a.b:host-gateway', 'a:[fe80::1]']) expect(() => { checkExtraHost(good); }).not.toThrow();
    for (const bad of ['a', ':1.2.3.4', 'a:', 'a b:1.2.3.4', 'a\n:1.2.3.4', 'a:1.2.3', 'a:1.2.3.4\nb']) expect(() => { checkExtraHost(bad); }).toThrow('add-host');
  });

  it('are endpoints, ports and resolvers', () => {
    expect(() => { checkEndpoint({ network: 'n', aliases: ['a_b.c'], ipv4Address: '10.0.0.1', macAddress: '02:42:ac:11:00:02' }); }).not.toThrow();
    for (const bad of [{ network: '' }, { aliases: ['a b'] }, { ipv4Address: '10.0.0' }, { ipv4Address: '::1' }, { macAddress: '02:42' }]) expect(() => { checkEndpoint({ network: 'n', aliases: [], ...bad }); }).toThrow('invalid');
    for (const bad of [{ containerPort: 0 }, { containerPort: 65_536 }, { hostPort: -1 }, { hostIp: 'localhost' }]) expect(() => { checkPort({ containerPort: 80, protocol: 'tcp', hostIp: '', hostPort: 0, ...bad }); }).toThrow('invalid');
    expect(() => { checkResolver({ servers: ['1.1.1.1', '::1'], search: ['a.b', '.'], options: ['ndots:2'] }); }).not.toThrow();
    for (const bad of [{ servers: ['x'] }, { search: ['a b'] }, { options: ['a\nb'] }, { search: ['a\nnameserver 6.6.6.6'] }]) expect(() => { checkResolver({ servers: [], search: [], options: [], ...bad }); }).toThrow();
    expect([exposedPort('80'), exposedPort('53/UDP')]).toEqual(['80/tcp', '53/udp']);
    for (const bad of ['', '0', '70000', '80/x', '80-90', 'x']) expect(() => exposedPort(bad)).toThrow('invalid port');
  });

  it('never make more lines of a file than they have', () => {
    fc.assert(fc.property(fc.string(), fc.string(), (name, address) => {
      const text = `${name}:${address}`;
      try {
        checkExtraHost(text);
      } catch {
        return;
      }
      expect(formatHosts([{ address: parseExtraHost(text).address, names: [parseExtraHost(text).name] }]).split('\n')).toHaveLength(8);
    }));
  });
});

describe('/etc/hosts and /etc/resolv.conf', () => {
  it('are changed line by line, whatever else a guest has put there', () => {
    const text = '# mine\n1.1.1.1\tdb abc\n1.1.1.1 db-2\nnonsense\n1.1.1.1\t\tdb';
    expect(withAddress(text, 'db', '2.2.2.2')).toBe('# mine\n2.2.2.2\tdb abc\n1.1.1.1 db-2\nnonsense\n2.2.2.2\t\tdb');
    expect(withAddress('', 'db', '2.2.2.2')).toBe('');
    expect(withEntry('a', { address: '1.1.1.1', names: ['x', 'y'] })).toBe('a\n1.1.1.1\tx y\n');
    expect(withoutEntry('1.1.1.1\tx y\n2.2.2.2\tx y\n', { address: '1.1.1.1', names: ['x'] })).toBe('2.2.2.2\tx y\n');
    fc.assert(fc.property(fc.string(), (before) => {
      const entry = { address: '9.9.9.9', names: ['unique-name'] };
      expect(withoutEntry(withEntry(before, entry), entry)).toBe(before === '' || before.endsWith('\n') ? before : `${before}\n`);
    }));
  });

  it('are empty where nothing is said', () => {
    expect(formatResolver({ servers: [], search: [], options: [] })).toBe('');
    expect(formatResolver({ servers: ['1.1.1.1'], search: ['.'], options: [] })).toBe('nameserver 1.1.1.1\n');
  });
});

describe("a link's environment", () => {
  const link = { alias: 'my-db', parentName: 'web', address: '172.17.0.5', env: [] };

  it('tells of each port, the lowest first, tcp before udp', () => {
    expect(linkEnvironment({ ...link, ports: ['8080/tcp', '53/udp', '53/tcp'], env: ['A=b=c', 'HOME=/', 'PATH=/bin', 'BARE'] })).toEqual([
      'MY_DB_PORT=tcp://172.17.0.5:53',
      'MY_DB_PORT_53_TCP=tcp://172.17.0.5:53', 'MY_DB_PORT_53_TCP_ADDR=172.17.0.5', 'MY_DB_PORT_53_TCP_PORT=53', 'MY_DB_PORT_53_TCP_PROTO=tcp',
      'MY_DB_PORT_53_UDP=udp://172.17.0.5:53', 'MY_DB_PORT_53_UDP_ADDR=172.17.0.5', 'MY_DB_PORT_53_UDP_PORT=53', 'MY_DB_PORT_53_UDP_PROTO=udp',
      'MY_DB_PORT_8080_TCP=tcp://172.17.0.5:8080', 'MY_DB_PORT_8080_TCP_ADDR=172.17.0.5', 'MY_DB_PORT_8080_TCP_PORT=8080', 'MY_DB_PORT_8080_TCP_PROTO=tcp',
      'MY_DB_NAME=/web/my-db',
      'MY_DB_ENV_A=b=c',
    ]);
  });

  it('tells of ranges', () => {
    const env = linkEnvironment({ ...link, ports: ['6381/tcp', '6379/tcp', '6380/tcp', '80/tcp'] });
    expect(env[0]).toBe('MY_DB_PORT=tcp://172.17.0.5:80');
    expect(env.slice(1, 7)).toEqual(['MY_DB_PORT_6379_TCP_START=tcp://172.17.0.5:6379', 'MY_DB_PORT_6379_TCP_ADDR=172.17.0.5', 'MY_DB_PORT_6379_TCP_PROTO=tcp', 'MY_DB_PORT_6379_TCP_PORT_START=6379', 'MY_DB_PORT_6381_TCP_END=tcp://172.17.0.5:6381', 'MY_DB_PORT_6379_TCP_PORT_END=6381']);
    expect(linkEnvironment({ ...link, ports: ['79/tcp', '80/tcp'] }).join()).not.toContain('START');
    expect(linkEnvironment({ ...link, ports: [] })).toEqual(['MY_DB_NAME=/web/my-db']);
  });
});
