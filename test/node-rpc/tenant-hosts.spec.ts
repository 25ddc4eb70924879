import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { tenantLimitsSchema, type ProgressLine } from '#contracts';
import { MemoryHostEvents, type Container, type ImageRecord, type Network, type Volume } from '#engine';
import { CodedError, digestOf, newId, silentLogger } from '#kernel';
import { NodeConnection } from '../../apps/gateway/src/nodes/node-connection.js';
import { NodeSockets } from '../../apps/gateway/src/nodes/node-sockets.js';
import { RemoteTenantHost } from '../../apps/gateway/src/nodes/remote-tenant-host.js';
import { hostRoutes } from '../../apps/worker/src/host/host-routes.js';
import type { HostServices } from '../../apps/worker/src/host/host-services.js';
import { RpcServer } from '../../apps/worker/src/node/rpc-server.js';
import { NO_BUILDS } from './no-builds.js';

const TOKEN = 't'.repeat(40);
const MiB = 1024 * 1024;
const tenant = { id: newId('tenant'), limits: tenantLimitsSchema.parse({ containers: 2, networks: 1, publishPorts: true }) };
const image: ImageRecord = {
  id: digestOf('image'),
  manifest: digestOf('manifest'),
  chainId: digestOf('chain'),
  config: { architecture: 'amd64', os: 'linux', created: '2026-01-01T00:00:00Z', config: { Labels: { a: 'b' } }, rootfs: { type: 'layers', diff_ids: [] } },
  layers: [],
  tags: ['docker.io/library/busybox:latest'],
  digests: [],
  parent: undefined,
  rawConfig: { os: 'linux', odd: { kept: true } },
  sizeBytes: 7,
  addedAt: 5,
  taggedAt: undefined,
  containers: ['c'],
};
const volume: Volume = { name: 'v', driver: 'local', createdAt: 1, labels: {}, options: {}, anonymous: false, filled: false };
const networkNamed = (name: string): Network => ({
  id: name.padEnd(64, '0'), name, tenantId: tenant.id, createdAt: 6, driver: name === 'host' ? 'host' : 'bridge', subnet: '172.17.0.0/16', gateway: '172.17.0.1', ipRange: undefined, internal: false, labels: { n: name }, options: {}, dns: true,
});
const runtimeImages = { provide: (_: string, name: string) => (name === 'python' ? Promise.resolve({ image: 'runtimes.sandbar/python:latest', env: { LANG: 'C' } }) : Promise.reject(new CodedError('not_found', 'no runtime'))) };
const request = {
  image: 'busybox',
  process: { entrypoint: null, cmd: ['sh'], env: [], workingDir: '', user: '', tty: false, openStdin: false },
  labels: {},
  mounts: [],
  volumesFrom: [],
  limits: {},
  capabilities: { add: [], drop: [], privileged: false },
  readOnlyRootfs: false,
  autoRemove: false,
  clientConfig: { Image: 'busybox' },
};
const container = {
  id: 'c'.repeat(64), name: 'one', tenantId: tenant.id, createdAt: 3, imageId: image.id, request, path: 'sh', args: [],
  effective: { env: [], cmd: ['sh'], entrypoint: null, workingDir: '/', user: '', labels: {}, volumes: [], exposedPorts: [] },
  state: { status: 'running', exitCode: 0, oomKilled: false, error: '', pid: 1, startedAt: 4, finishedAt: undefined },
  network: { mode: 'none', endpoints: [], ports: [] },
  mounts: [], sandboxId: undefined, restartCount: 0,
} satisfies Container;

/** What the node's engine is asked, and what it answers: each test sets the part it needs. */
function anEngine() {
  const asked: unknown[] = [];
  const engine = {
    disks: { ensure: (id: string, bytes: number) => Promise.resolve(asked.push(['disk', id, bytes])), remove: () => Promise.resolve(asked.push('disks.remove')) },
    cgroups: { ensure: () => Promise.resolve(asked.push('cgroup')), forget: () => Promise.resolve(asked.push('cgroups.forget')) },
    images: { list: () => Promise.resolve([image]), resolve: (_: string, ref: string) => (ref === 'busybox' ? Promise.resolve(image) : Promise.reject(new CodedError('not_found', `No such image: ${ref}`))), drop: () => Promise.resolve(asked.push('images.drop')) },
    volumes: { list: () => Promise.resolve([volume]), get: () => Promise.resolve(volume), holders: () => ['c'], drop: () => Promise.resolve(asked.push('volumes.drop')) },
    networks: { drop: () => Promise.resolve(asked.push('networks.drop')) },
    containers: { list: () => Promise.resolve([container]), get: () => Promise.resolve(container), drop: () => Promise.resolve(asked.push('containers.drop')) },
    files: {},
    archives: {},
    builder: { drop: () => Promise.resolve(asked.push('builder.drop')) },
    processes: {},
    deadlines: {},
    ports: {},
    transfers: {},
    events: { forget: () => asked.push('events.forget') },
    quotas: { remember: () => undefined, forget: () => asked.push('quotas.forget') },
  } as Record<Exclude<keyof HostServices, 'fetchUrl'>, Record<string, unknown>>;
  return { asked, engine };
}

/** Longer than a busy machine makes a body wait by itself. */
const STALL_MS = 1500;

describe("a tenant's host over node RPC", () => {
  let folder: string;
  let server: RpcServer;
  let path: string;
  let asked: unknown[];
  let engine: ReturnType<typeof anEngine>['engine'];
  const sockets = new NodeSockets();
  const connectionTo = (socket: string, token = TOKEN) => new RemoteTenantHost(tenant, () => Promise.resolve(new NodeConnection(`unix:${socket}`, token, sockets, 200)));
  const host = () => connectionTo(path);
  const quiet = () => new AbortController().signal;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'hostrpc-'));
    path = join(folder, 's');
    ({ asked, engine } = anEngine());
    server = new RpcServer({ listen: { kind: 'unix', path }, groupId: undefined, token: TOKEN, routes: hostRoutes(engine as unknown as HostServices, runtimeImages, NO_BUILDS), logger: silentLogger, stallMs: STALL_MS });
    await server.start();
  });
  afterEach(async () => {
    await server.stop();
    await rm(folder, { recursive: true });
  });
  afterAll(() => {
    sockets.close();
  });

  it('shows images, volumes and containers', async () => {
    expect(await host().images()).toMatchObject([{ id: image.id, parent: null, sharedBytes: null, containers: 1, labels: { a: 'b' } }]);
    expect(await host().image('busybox')).toMatchObject({ config: { odd: { kept: true } }, taggedAt: null });
    expect(await host().volumes()).toEqual([{ name: 'v', driver: 'local', createdAt: 1, labels: {}, options: {}, anonymous: false, mountpoint: '/var/lib/docker/volumes/v/_data', usedBy: ['c'], sizeBytes: null }]);
    expect(await host().container('one')).toMatchObject({ id: container.id, request: { process: { cmd: ['sh'] } }, state: { finishedAt: null }, writableBytes: null });
  });

  it("gives the engine's errors with their code and words, and its own", async () => {
    await expect(host().image('nope')).rejects.toMatchObject({ code: 'not_found', message: 'No such image: nope' });
    await expect(host().image('')).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(connectionTo(join(folder, 'none')).images()).rejects.toMatchObject({ code: 'unavailable' });
    await expect(connectionTo(path, 'x').images()).rejects.toMatchObject({ code: 'internal' });
    engine.images['list'] = () => Promise.reject(new Error('secret'));
    await expect(host().images()).rejects.toMatchObject({ code: 'internal', message: 'internal error' });
    engine.images['list'] = () => Promise.resolve([{ ...image, sizeBytes: 'x' }]);
    await expect(host().images()).rejects.toMatchObject({ code: 'protocol_violation' });
  });

  it('makes disk and cgroup ready first, and keeps a tenant within its number of containers', async () => {
    const gate = Promise.withResolvers<{ id: string; warnings: string[] }>();
    engine.containers['create'] = (_: string, given: unknown) => (asked.push(['create', given]), gate.promise);
    const one = host().createContainer(request);
    while (asked.length < 2) await sleep(5);
    await expect(host().createContainer(request)).rejects.toMatchObject({ code: 'quota_exceeded' });
    gate.resolve({ id: 'x', warnings: [] });
    expect(await one).toEqual({ id: 'x', warnings: [] });
    expect(asked).toEqual([['disk', tenant.id, tenant.limits.storageBytes], ['create', request]]);
    engine.containers['start'] = () => Promise.resolve(false);
    asked.length = 0;
    expect(await host().startContainer('one')).toBe(false);
    expect(asked).toEqual([['disk', tenant.id, tenant.limits.storageBytes], 'cgroup']);
  });

  it('makes a container of a chosen ID once, also when there is no place for another', async () => {
    engine.containers['list'] = () => Promise.resolve([container, { ...container, id: 'd'.repeat(64) }]);
    engine.containers['create'] = () => Promise.resolve(asked.push('create'));
    expect(await host().createContainer({ ...request, id: container.id })).toEqual({ id: container.id, warnings: [] });
    await expect(host().createContainer({ ...request, id: 'e'.repeat(64) })).rejects.toMatchObject({ code: 'quota_exceeded' });
    expect(asked).toEqual([]);
  });

  it('gives a runtime as an image', async () => {
    expect(await host().runtimeImage('python')).toEqual({ image: 'runtimes.sandbar/python:latest', env: { LANG: 'C' } });
    await expect(host().runtimeImage('cobol')).rejects.toMatchObject({ code: 'not_found' });
  });

  describe('waits for a container', () => {
    const events = new MemoryHostEvents();
    const publish = (action: string, id: string = container.id): void => { events.publish(tenant.id, { type: 'container', action, id, attributes: {} }); };
    const become = (status: Container['state']['status']): void => { engine.containers['get'] = () => Promise.resolve({ ...container, state: { ...container.state, status } }); };
    const heard = async (): Promise<void> => sleep(50);
    beforeEach(() => { engine.events = events as unknown as typeof engine.events; });

    it('until it is in the state, whatever else happens', async () => {
      expect((await host().containerReached('one', 'running', quiet()))?.id).toBe(container.id);
      const stopped = host().containerReached('one', 'stopped', quiet());
      await heard();
      publish('die', 'x'.repeat(64));
      publish('rename');
      become('exited');
      publish('die');
      expect((await stopped)?.state.status).toBe('exited');
    });

    it('and hears of a state that it has left again', async () => {
      become('created');
      const running = host().containerReached('one', 'running', quiet());
      await heard();
      become('exited');
      publish('start');
      expect((await running)?.state.status).toBe('exited');
    });

    it('until it is healthy, when anything says that it is', async () => {
      await expect(host().containerReached('one', 'healthy', quiet())).rejects.toMatchObject({ code: 'failed_precondition' });
      const checked = (status: 'starting' | 'healthy') => ({ ...container, effective: { ...container.effective, health: { test: ['CMD', 'true'], intervalMs: 1, timeoutMs: 1, startPeriodMs: 0, startIntervalMs: 1, retries: 1 } }, state: { ...container.state, health: { status, failingStreak: 0, log: [] } } });
      engine.containers['get'] = () => Promise.resolve(checked('starting'));
      const healthy = host().containerReached('one', 'healthy', quiet());
      await heard();
      publish('rename');
      await heard();
      engine.containers['get'] = () => Promise.resolve(checked('healthy'));
      publish('health_status: healthy');
      expect((await healthy)?.state.health?.status).toBe('healthy');
    });

    it('until it is gone, or tells that it can never be so', async () => {
      const waits = (['removed', 'stopped', 'paused'] as const).map((condition) => host().containerReached('one', condition, quiet()));
      const settled = Promise.allSettled(waits);
      await heard();
      engine.containers['get'] = () => Promise.reject(new CodedError('not_found', 'No such container: one'));
      publish('destroy');
      expect(await settled).toMatchObject([{ status: 'fulfilled', value: undefined }, { status: 'fulfilled', value: undefined }, { status: 'rejected', reason: { code: 'gone' } }]);
      await expect(host().containerReached('one', 'running', quiet())).rejects.toMatchObject({ code: 'not_found' });
    });

    it('as long as the caller does', async () => {
      const gone = new AbortController();
      const waiting = host().containerReached('one', 'stopped', gone.signal);
      await heard();
      gone.abort();
      await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    });

    it('takes up events after the last one, or says that it cannot', async () => {
      const { position } = await host().resumeEvents(undefined, quiet());
      publish('pause');
      publish('unpause');
      const stop = new AbortController();
      const { events: resumed } = await host().resumeEvents(position, stop.signal);
      const found: string[] = [];
      for await (const { action } of resumed) if (found.push(action) === 2) break;
      expect(found).toEqual(['pause', 'unpause']);
      for (let count = 0; count < 300; count += 1) publish('rename');
      await expect(host().resumeEvents(position, stop.signal)).rejects.toMatchObject({ code: 'gone' });
      stop.abort();
    });
  });

  it('carries an archive at the pace of its reader, and ends the work when the reader goes', async () => {
    let made = 0;
    const over = Promise.withResolvers<undefined>();
    engine.archives['save'] = async function* (_: string, names: string[]) {
      expect(names).toEqual(['a', 'b']);
      try {
        for (; made < 1000; made += 1) yield await Promise.resolve(Buffer.alloc(MiB, made));
      } finally {
        over.resolve(undefined);
      }
    };
    const stream = await host().saveImages(['a', 'b'], quiet());
    stream.on('error', () => undefined);
    const reader = stream.iterator({ destroyOnReturn: false }) as AsyncIterator<Buffer>;
    expect((await reader.next()).done).toBe(false);
    await sleep(100);
    expect(made).toBeLessThan(20);
    stream.destroy();
    await over.promise;
  });

  it('refuses an archive before its first byte, and cuts it when it fails later', async () => {
    engine.archives['save'] = () => Readable.from((function* (): Generator<Buffer> { throw new CodedError('not_found', 'No such image: a'); })());
    await expect(host().saveImages(['a'], quiet())).rejects.toMatchObject({ code: 'not_found', message: 'No such image: a' });
    engine.archives['save'] = async function* () {
      yield await Promise.resolve(Buffer.from('begin'));
      throw new CodedError('digest_mismatch', 'rotten');
    };
    const stream = await host().saveImages(['a'], quiet());
    await expect(stream.toArray()).rejects.toThrow();
    // A reader that stalls is cut as well.
    engine.archives['save'] = async function* () {
      for (;;) yield await Promise.resolve(Buffer.alloc(MiB));
    };
    const stalled = await host().saveImages(['a'], quiet());
    const failed = new Promise((resolve) => stalled.once('error', resolve));
    await sleep(STALL_MS * 1.5);
    stalled.resume();
    expect(await failed).toMatchObject({ code: 'ECONNRESET' });
  });

  it('takes an upload of any length while its progress comes back', async () => {
    const total = 300;
    engine.archives['load'] = async (_: string, archive: AsyncIterable<Buffer>, say: (progress: object) => void) => {
      let bytes = 0;
      for await (const chunk of archive) {
        bytes += chunk.length;
        say({ layer: image.id, current: bytes, total: total * MiB });
      }
      return [{ id: digestOf(String(bytes)), tags: ['t'] }];
    };
    const before = process.memoryUsage().rss;
    const lines: ProgressLine[] = [];
    for await (const line of host().loadImages(Readable.from(chunks(total)), quiet())) lines.push(line);
    expect(lines.at(-1)).toEqual({ aux: { images: [{ id: digestOf(String(total * MiB)), tags: ['t'] }] } });
    expect(lines[0]).toMatchObject({ id: image.id.slice(7, 19), status: 'Loading layer', total: total * MiB });
    expect(process.memoryUsage().rss - before).toBeLessThan(150 * MiB);
  }, 20_000);

  it('says in the last line what was wrong with an upload, though nobody reads the rest of it', async () => {
    engine.archives['load'] = async (_: string, archive: AsyncIterable<Buffer>) => {
      for await (const chunk of archive) throw new CodedError('invalid_argument', `not a tar: ${chunk.length > 0}`);
      return [];
    };
    const source = Readable.from(chunks(100));
    const lines: ProgressLine[] = [];
    for await (const line of host().loadImages(source, quiet())) lines.push(line);
    expect(lines).toEqual([{ error: { code: 'invalid_argument', message: 'not a tar: true' } }]);
    // The source may be a client's connection, which still has to carry the answer.
    expect(source.destroyed).toBe(false);
    engine.volumes['extract'] = async (_: string, __: string, tar: AsyncIterable<Buffer>) => {
      for await (const chunk of tar) throw new CodedError('resource_exhausted', `no space left on device ${chunk.length > 0}`);
    };
    await expect(host().extractVolume('v', Readable.from(chunks(100)), quiet())).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect(await host().images()).toHaveLength(1);
  });

  it('tells the engine of an upload that is cut, gives up, or stalls', async () => {
    const heard: unknown[] = [];
    engine.volumes['extract'] = async (_: string, __: string, tar: AsyncIterable<Buffer>) => {
      try {
        for await (const chunk of tar) expect(chunk.length).toBeGreaterThan(0);
      } catch (error) {
        heard.push((error as CodedError).code);
        throw error;
      }
    };
    const until = async (count: number): Promise<void> => {
      while (heard.length < count) await sleep(10);
    };
    const source = new Readable({ read: () => undefined });
    source.push(Buffer.alloc(10));
    setTimeout(() => source.destroy(new Error('client is gone')), 50);
    await expect(host().extractVolume('v', source, quiet())).rejects.toMatchObject({ code: 'cancelled' });
    await until(1);
    const stop = new AbortController();
    setTimeout(() => {
      stop.abort();
    }, 50);
    const silent = new Readable({ read: () => undefined });
    silent.push(Buffer.alloc(10));
    await expect(host().extractVolume('v', silent, stop.signal)).rejects.toMatchObject({ code: 'cancelled' });
    await until(2);
    const stalls = new Readable({ read: () => undefined });
    stalls.push(Buffer.alloc(10));
    await expect(host().extractVolume('v', stalls, quiet())).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect(heard).toEqual(['cancelled', 'cancelled', 'deadline_exceeded']);
  });

  it('waits from the moment it says so', async () => {
    const exit = Promise.withResolvers<{ exitCode: number; error?: string }>();
    let signal: AbortSignal | undefined;
    engine.containers['wait'] = (_: string, ref: string, __: string, given: AbortSignal) => ((signal = given), ref === 'one' ? exit.promise : Promise.reject(new CodedError('not_found', `No such container: ${ref}`)));
    await expect(host().waitContainer('two', 'not-running', quiet())).rejects.toMatchObject({ code: 'not_found' });
    const gone = new AbortController();
    const given = await host().waitContainer('one', 'next-exit', gone.signal);
    gone.abort();
    await expect(given.ended).rejects.toMatchObject({ code: 'cancelled' });
    while (signal?.aborted !== true) await sleep(5);
    const { ended } = await host().waitContainer('one', 'next-exit', quiet());
    exit.resolve({ exitCode: 137, error: 'oom' });
    expect(await ended).toEqual({ exitCode: 137, error: 'oom' });
    engine.containers['wait'] = () => sleep(20).then(() => Promise.reject(new CodedError('unavailable', 'later')));
    const later = await host().waitContainer('one', 'removed', quiet());
    await expect(later.ended).rejects.toMatchObject({ code: 'unavailable', message: 'later' });
  });

  it('hands logs on as they come, and events until nobody listens', async () => {
    engine.containers['logs'] = async function* () {
      yield await Promise.resolve({ stream: 'stdout', timeMs: 1_700_000_000_123, bytes: Buffer.from('out\0') });
      yield { stream: 'stderr', timeMs: 2, bytes: Buffer.alloc(0) };
    };
    const logs = [];
    for await (const chunk of host().logs('one', { stdout: true, stderr: true, follow: true }, quiet())) logs.push(chunk);
    expect(logs).toEqual([{ stream: 'stdout', timeMs: 1_700_000_000_123, bytes: Buffer.from('out\0') }, { stream: 'stderr', timeMs: 2, bytes: Buffer.alloc(0) }]);
    const ended = Promise.withResolvers<undefined>();
    engine.events['follow'] = async function* (_: string, since: bigint, signal: AbortSignal) {
      expect(since).toBe(12n);
      yield { timeNs: 13n, type: 'image', action: 'pull', id: 'x', attributes: {} };
      await new Promise((resolve) => {
        signal.addEventListener('abort', resolve);
      });
      ended.resolve(undefined);
    };
    const stop = new AbortController();
    const seen: unknown[] = [];
    await expect(async () => {
      for await (const event of host().events('12', stop.signal)) {
        seen.push(event);
        setTimeout(() => {
          stop.abort();
        }, 20);
      }
    }).rejects.toMatchObject({ code: 'cancelled' });
    expect(seen).toEqual([{ timeNs: '13', type: 'image', action: 'pull', id: 'x', attributes: {} }]);
    await ended.promise;
  });

  it('shows networks and who is on them, and tells of those that come and go', async () => {
    const told: unknown[] = [];
    const all = [networkNamed('bridge'), networkNamed('host')];
    const endpoint = { networkId: all[0]!.id, networkName: 'bridge', endpointId: 'e', interfaceName: 'eth0', macAddress: 'm', ipv4Address: '172.17.0.2', prefixLength: 16, gateway: '172.17.0.1', aliases: [], dnsNames: [], containerId: container.id, containerName: 'one' };
    engine.events['publish'] = (_: string, { type, action, attributes }: { type: string; action: string; attributes: object }) => told.push([type, action, attributes]);
    Object.assign(engine.networks, {
      list: () => Promise.resolve(all),
      get: (_: string, ref: string) => (ref === 'nope' ? Promise.reject(new CodedError('not_found', 'network nope not found')) : Promise.resolve(all.find(({ name }) => name === ref))),
      endpoints: (_: string, id: string) => (id === all[0]!.id ? [endpoint] : []),
      create: (_: string, given: { name: string }) => (asked.push(given), all.push(networkNamed(given.name)), Promise.resolve(networkNamed(given.name))),
      remove: () => Promise.resolve(),
      prune: (_: string, accept: (network: Network) => boolean) => Promise.resolve({ removed: all.filter((one) => accept(one)).map(({ name }) => name) }),
    });
    engine.containers['list'] = () => Promise.resolve([{ ...container, network: { mode: 'host', endpoints: [{ networkName: 'host' }], ports: [] } }]);
    const { networks } = host();
    expect(await networks.list()).toMatchObject([{ name: 'bridge', ipRange: null, containers: [{ id: container.id, name: 'one', endpointId: 'e', ipv4Address: '172.17.0.2' }] }, { name: 'host', containers: [{ name: 'one', endpointId: '' }] }]);
    await expect(networks.get('nope')).rejects.toMatchObject({ code: 'not_found', message: 'network nope not found' });
    const made = { name: 'own', internal: true, labels: {}, options: {} };
    expect(await networks.create({ ...made, subnet: '10.1.0.0/16' })).toMatchObject({ name: 'own' });
    expect(asked).toEqual([{ ...made, subnet: '10.1.0.0/16' }]);
    await expect(networks.create({ ...made, name: 'more' })).rejects.toMatchObject({ code: 'quota_exceeded' });
    await networks.remove('own');
    expect(await networks.prune({ labels: ['n=own'] })).toEqual({ removed: ['own'] });
    expect(told).toEqual(['create', 'destroy', 'destroy'].map((action) => ['network', action, { name: 'own', type: 'bridge' }]));
  });

  it('connects and disconnects containers, and starts them with the ports that their tenant may publish', async () => {
    engine.containers['connect'] = (_: string, ref: string, endpoint: unknown) => Promise.resolve(asked.push(['connect', ref, endpoint]));
    engine.containers['disconnect'] = (_: string, ...given: unknown[]) => Promise.resolve(asked.push(['disconnect', ...given]));
    engine.containers['start'] = (_: string, ...given: unknown[]) => (asked.push(['start', ...given]), Promise.resolve(true));
    await host().networks.connect('own', { container: 'one', aliases: ['a'], ipv4Address: '10.1.0.9' });
    await host().networks.disconnect('own', { container: 'one', force: true });
    await host().startContainer('one');
    expect(asked.filter((one) => Array.isArray(one) && one[0] !== 'disk')).toEqual([
      ['connect', 'one', { network: 'own', aliases: ['a'], ipv4Address: '10.1.0.9' }],
      ['disconnect', 'one', 'own', { force: true }],
      ['start', 'one', { publishOnNode: true }],
    ]);
  });

  it('drops everything of a tenant', async () => {
    await host().drop();
    expect(asked).toEqual(['containers.drop', 'networks.drop', 'volumes.drop', 'disks.remove', 'images.drop', 'builder.drop', 'cgroups.forget', 'events.forget', 'quotas.forget']);
  });
});

function* chunks(count: number): Generator<Buffer> {
  for (let made = 0; made < count; made += 1) yield Buffer.alloc(MiB, made);
}
