import { buildRequestOf } from './build-request.js';
import { cachePruneOf, toBuildCache } from './build-cache-views.js';
import { DockerQuery } from './query.js';

const requestOf = (parameters: Record<string, string>): ReturnType<typeof buildRequestOf> => buildRequestOf(new DockerQuery(`/build?${new URLSearchParams(parameters).toString()}`));
const pruneOf = (parameters: Record<string, string>): ReturnType<typeof cachePruneOf> => cachePruneOf(new DockerQuery(`/build/prune?${new URLSearchParams(parameters).toString()}`), 3_600_000);

describe('the query of a build', () => {
  it('is a request with all that it says', () => {
    const query = {
      dockerfile: 'a/Dockerfile', target: 'x', t: 'app:1', buildargs: '{"A":"1","B":null}', labels: '{"l":"2"}', nocache: '1', pull: 'true', networkmode: 'front', platform: 'linux/amd64', remote: 'https://example.org/a.git#main',
      extrahosts: '["db:10.0.0.1"]', cachefrom: '["app:0"]', ulimits: '[{"Name":"nofile","Soft":10,"Hard":20}]', memory: '67108864', memswap: '-1', cpushares: '512', cpuperiod: '100000', cpuquota: '50000', cpusetcpus: '0', shmsize: '1048576', rm: '1', forcerm: '1', version: '1', isolation: 'default', squash: '0', securityopt: 'null',
    };
    expect(requestOf(query)).toMatchObject({
      dockerfile: 'a/Dockerfile', target: 'x', tags: ['docker.io/library/app:1'], buildArgs: { A: '1' }, labels: { l: '2' }, noCache: true, pull: true, network: 'front', platform: 'linux/amd64', remote: 'https://example.org/a.git#main',
      extraHosts: ['db:10.0.0.1'], cacheFrom: ['app:0'], ulimits: { nofile: { soft: 10, hard: 20 } }, limits: { memoryBytes: 67_108_864, memorySwapBytes: -1, cpuShares: 512, cpuPeriodUs: 100_000, cpuQuotaUs: 50_000, cpusetCpus: '0', shmBytes: 1_048_576 },
    });
    expect(requestOf({ extrahosts: 'db:10.0.0.1', networkmode: 'bridge' })).toMatchObject({ extraHosts: ['db:10.0.0.1'], network: 'default' });
  });

  it.each([
    [{ version: '2' }, /BuildKit/],
    [{ remote: 'client-session' }, /BuildKit/],
    [{ squash: '1' }, /the option squash of a build is not supported/],
    [{ outputs: '[{"Type":"local"}]' }, /the option outputs/],
    [{ cgroupparent: '/x' }, /the option cgroupparent/],
    [{ session: 'abc' }, /the option session/],
    [{ securityopt: '["seccomp=unconfined"]' }, /the option securityopt/],
    [{ storageopt: '{"size":"1G"}' }, /the option storageopt/],
    [{ isolation: 'hyperv' }, /invalid isolation: hyperv/],
    [{ networkmode: 'host' }, /the network mode "host" of a build is not supported/],
    [{ networkmode: 'container:x' }, /the network mode/],
    [{ platform: 'linux/amd64/v1/x' }, /unknown operating system or architecture/],
    [{ buildargs: '[1' }, /error reading build args: invalid JSON/],
    [{ labels: '{"a":1}' }, /error reading labels/],
    [{ ulimits: '[{"Name":"files","Soft":1,"Hard":1}]' }, /invalid ulimit type: files/],
    [{ ulimits: '{}' }, /error reading ulimits: not a list/],
    [{ extrahosts: '[1]' }, /error reading extrahosts/],
    [{ memory: '-1' }, /invalid build options: limits.memoryBytes/],
    [{ memory: 'much' }, /invalid syntax/],
    [{ t: 'BAD' }, /invalid reference format/],
    [{ t: `a@sha256:${'0'.repeat(64)}` }, /build tag cannot contain a digest/],
  ])('is refused for %j', (query, message) => {
    expect(() => requestOf(query as Record<string, string>)).toThrow(message);
  });
});

describe('the query of a pruning of the cache', () => {
  it('says what goes', () => {
    expect(JSON.parse(JSON.stringify(pruneOf({})))).toEqual({});
    expect(pruneOf({ all: '1', filters: '{"until":["10m"],"id":["ab"],"type":["exec.cachemount"],"private":["true"],"inuse":["false"],"description":["RUN"]}', 'keep-storage': '1024' })).toEqual({ untilMs: 3_000_000, ids: ['ab'], kinds: ['mount'], descriptions: ['RUN'], inUse: false, shared: false, keepBytes: 1024 });
    expect(pruneOf({ filters: '{"label":["a=b"]}' }).kinds).toEqual([]);
    expect(pruneOf({ 'max-used-space': '5' }).keepBytes).toBe(5);
  });

  it.each([
    [{ filters: '{"colour":["red"]}' }, /invalid filter 'colour'/],
    [{ filters: '{"type":["frontend"]}' }, /invalid filter 'type=frontend'/],
    [{ 'min-free-space': '10' }, /min-free-space/],
  ])('is refused for %j', (query, message) => {
    expect(() => pruneOf(query as Record<string, string>)).toThrow(message);
  });

  it('shows records as BuildKit does', () => {
    expect(toBuildCache({ id: 'a'.repeat(64), kind: 'step', parent: 'b'.repeat(64), description: 'RUN x', sizeBytes: 5, createdAt: 0, lastUsedAt: 1000, uses: 2, inUse: false, shared: true })).toEqual({ ID: 'a'.repeat(25), Parents: ['b'.repeat(25)], Type: 'regular', Description: 'RUN x', InUse: false, Shared: true, Size: 5, CreatedAt: '1970-01-01T00:00:00.000Z', LastUsedAt: '1970-01-01T00:00:01.000Z', UsageCount: 2 });
  });
});
