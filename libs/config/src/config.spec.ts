import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId } from '#kernel';
import { renderEnvExample } from './env-example.js';
import { loadGatewayConfig, loadWorkerConfig } from './load.js';
import { durationCodec, sizeCodec } from './quantities.js';
import { parseRedisUrl } from './redis-url.js';

const TOKEN = 'nodetoken-nodetoken-nodetoken-nodetoken';
const gateway = { DATABASE_URL: 'postgresql://u:dbsecret@localhost/sandbar', REDIS_URL: 'redis://:redissecret@127.0.0.1:6380/2', SANDBAR_NODE_RPC_TOKEN: TOKEN };
const worker = { REDIS_URL: 'unix:/run/r.sock', SANDBAR_NODE_RPC_TOKEN: TOKEN, SANDBAR_NODE_ID: newId('node'), SANDBAR_NODE_RPC_LISTEN: 'unix:/run/n.sock' };

function faultsOf(load: () => unknown): { message: string; faults: string[] } {
  try {
    load();
  } catch (error) {
    const { message, details } = error as { message: string; details: { faults: string[] } };
    return { message, faults: details.faults };
  }
  throw new Error('no fault was found');
}

describe('configuration', () => {
  it('has a default for all that can have one, and is frozen', () => {
    const config = loadGatewayConfig(gateway);
    expect(config).toMatchObject({ host: '127.0.0.1', port: 8080, logLevel: 'info', bodyLimitBytes: 16 * 1024 * 1024, runRetentionMs: 7 * 86_400_000, logGraceMs: 60_000, shutdownGraceMs: 10_000, redis: { host: '127.0.0.1', port: 6380, db: 2, password: 'redissecret' } });
    expect(Object.isFrozen(config) && Object.isFrozen(config.redis)).toBe(true);
    expect(loadWorkerConfig(worker)).toMatchObject({ dataDir: '/var/lib/sandbar', ociRuntime: 'crun', cgroupRoot: 'sandbar', nativeDir: expect.stringMatching(/\/dist\/native$/), nodeRpcListen: { kind: 'unix', path: '/run/n.sock' } });
    expect(loadWorkerConfig(worker).nodeConcurrency % 16).toBe(0);
  });

  it('names every fault at once and repeats no value', () => {
    const { message, faults } = faultsOf(() =>
      loadGatewayConfig({ DATABASE_URL: 'mysql://VALUE', REDIS_URL: 'http://VALUE', SANDBAR_NODE_RPC_TOKEN: 'VALUE', SANDBAR_PORT: '99999', SANDBAR_LOG_LEVEL: 'VALUE', SANDBAR_BODY_LIMIT: '24MVALUE', SANDBAR_LOG_GRACE: '1ms' }),
    );
    expect(faults.map((fault) => fault.split(' ')[0])).toEqual(expect.arrayContaining(['DATABASE_URL', 'REDIS_URL', 'SANDBAR_NODE_RPC_TOKEN', 'SANDBAR_PORT', 'SANDBAR_LOG_LEVEL', 'SANDBAR_BODY_LIMIT', 'SANDBAR_LOG_GRACE']));
    expect(message).not.toMatch(/VALUE|99999/);
    expect(faultsOf(() => loadGatewayConfig({})).faults.sort()).toEqual(['DATABASE_URL is required', 'REDIS_URL is required', 'SANDBAR_NODE_RPC_TOKEN is required']);
  });

  it('reads secrets from files, and says which file it cannot read', () => {
    const folder = mkdtempSync(join(tmpdir(), 'config-'));
    try {
      const file = join(folder, 'token');
      const { SANDBAR_NODE_RPC_TOKEN: moved, ...rest } = gateway;
      writeFileSync(file, `${moved}\n`);
      expect(loadGatewayConfig({ ...rest, SANDBAR_NODE_RPC_TOKEN_FILE: file }).nodeRpcToken).toBe(TOKEN);
      expect(faultsOf(() => loadGatewayConfig({ ...gateway, SANDBAR_NODE_RPC_TOKEN_FILE: file })).faults).toEqual(['SANDBAR_NODE_RPC_TOKEN and SANDBAR_NODE_RPC_TOKEN_FILE are both set']);
      expect(faultsOf(() => loadGatewayConfig({ ...rest, SANDBAR_NODE_RPC_TOKEN_FILE: join(folder, 'none') })).faults).toEqual(['SANDBAR_NODE_RPC_TOKEN_FILE cannot be read (ENOENT)']);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it.each([
    ['redis://u%40:p%2Fw@host', { host: 'host', port: 6379, db: 0, username: 'u@', password: 'p/w' }],
    ['rediss://[::1]:7000/3', { host: '::1', port: 7000, db: 3, tls: {} }],
    ['unix:/run/redis.sock?password=a%26b&db=1', { path: '/run/redis.sock', db: 1, password: 'a&b' }],
    ['unix:///run/redis.sock', { path: '/run/redis.sock', db: 0 }],
    ['unix:relative', undefined],
    ['unix:/x?passwort=y', undefined],
    ['redis://host/x', undefined],
    ['redis://host?db=1', undefined],
    ['nonsense', undefined],
    ['unix:/%zz', undefined],
  ])('reads %p', (text, expected) => {
    expect(parseRedisUrl(text)).toEqual(expected);
  });

  it('turns quantities both ways', () => {
    expect([sizeCodec.decode('512MiB'), sizeCodec.decode('0B'), durationCodec.decode('90s'), durationCodec.decode('7d')]).toEqual([512 * 1024 ** 2, 0, 90_000, 604_800_000]);
    expect([sizeCodec.encode(1536), sizeCodec.encode(2 * 1024 ** 3), durationCodec.encode(90_000), durationCodec.encode(0)]).toEqual(['1536B', '2GiB', '90s', '0ms']);
    for (const text of ['5M', '1.5GiB', '-1s', '999999999999999TiB', '']) expect(sizeCodec.safeDecode(text).success).toBe(false);
  });

  it.each(['unix:relative', 'host', 'host:99999', `unix:/${'x'.repeat(120)}`, 'a b:1'])('refuses to listen on %p', (listen) => {
    expect(faultsOf(() => loadWorkerConfig({ ...worker, SANDBAR_NODE_RPC_LISTEN: listen })).faults).toEqual(['SANDBAR_NODE_RPC_LISTEN must be unix:/path or host:port']);
  });

  it.each([
    [{ SANDBAR_PUBLISH_ADDRESS: '0.0.0.0', SANDBAR_PUBLISH_PORTS: '20000-20010', SANDBAR_EGRESS_ALLOW: '10.1.0.0/16, 192.168.0.0/16', SANDBAR_DNS_SERVERS: '10.0.0.1,[fd00::1]:5353' }, { publish: { address: '0.0.0.0', ports: { first: 20_000, last: 20_010 } }, egressAllow: ['10.1.0.0/16', '192.168.0.0/16'], dnsServers: ['10.0.0.1', '[fd00::1]:5353'] }],
    [{}, { publish: { address: '127.0.0.1', ports: { first: 1024, last: 65_535 } }, egressAllow: [], dnsServers: [] }],
  ])('tells the worker of networks: %j', (variables, expected) => {
    expect(loadWorkerConfig({ ...worker, ...variables })).toMatchObject(expected);
  });

  it.each([['SANDBAR_PUBLISH_ADDRESS', 'localhost'], ['SANDBAR_PUBLISH_PORTS', '80'], ['SANDBAR_PUBLISH_PORTS', '90-80'], ['SANDBAR_EGRESS_ALLOW', '10.0.0.1/8'], ['SANDBAR_EGRESS_ALLOW', '10.0.0.0'], ['SANDBAR_DNS_SERVERS', 'example.org']])('refuses %s=%s', (name, value) => {
    expect(faultsOf(() => loadWorkerConfig({ ...worker, [name]: value })).faults).toEqual([expect.stringMatching(new RegExp(`^${name} must be `))]);
  });

  it('stands in infra/.env.example as the schemas have it', () => {
    expect(readFileSync(join(import.meta.dirname, '..', '..', '..', 'infra', '.env.example'), 'utf8')).toBe(renderEnvExample());
  });
});
