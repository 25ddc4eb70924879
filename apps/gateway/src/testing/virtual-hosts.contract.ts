import { createHash } from 'node:crypto';
import { EventEmitter, on } from 'node:events';
import { Readable } from 'node:stream';
import type { BuildParcelBody, ContainerStatsView, ContainerView, CreateContainerBody, CreateVolumeBody, HostEventView, ImageDetail, OperationProgress, OperationView, ProgressLine, VolumeView } from '#contracts';
import { canonicalName, CodedError, familiarName, newId, parseReference, withDefaultTag } from '#kernel';
import { MemoryFiles } from './memory-files.contract.js';
import type { HostTenant, TenantHost, TenantHosts } from '../nodes/tenant-host.js';
import { MemoryNetworks } from './memory-networks.contract.js';
import { MemoryProcesses } from './memory-processes.contract.js';
import type { ImageOperations, OperationRequest } from '../protocols/docker/docker-backends.js';

const sha = (text: string): string => createHash('sha256').update(text).digest('hex');
const full = (name: string): string => canonicalName(withDefaultTag(parseReference(name)));

export function imageOf(tags: string[], created: string, more: Partial<ImageDetail> = {}): ImageDetail {
  const config = { architecture: 'amd64', os: 'linux', created, config: { Env: ['PATH=/bin'], Cmd: ['sh'] }, rootfs: { type: 'layers', diff_ids: [`sha256:${sha('layer')}`] }, history: [{ created, created_by: 'ADD rootfs', comment: 'made' }] };
  return { id: `sha256:${sha(tags.join() + created)}`, tags, digests: [], parent: null, createdAt: created, sizeBytes: 4_321_000, sharedBytes: null, containers: 0, labels: {}, taggedAt: Date.parse(created), addedAt: Date.parse(created), config, ...more };
}

/** A tenant's virtual host in memory, with the engine's words: programs are `true`, `echo WORDS`, `exit N` and `sleep`. */
export class MemoryHost {
  readonly images: ImageDetail[] = [imageOf(['docker.io/library/busybox:latest'], '2026-01-02T03:04:05.123456789Z')];
  readonly volumes: VolumeView[] = [];
  readonly containers: ContainerView[] = [];
  readonly output = new Map<string, { stream: 'stdout' | 'stderr'; timeMs: number; bytes: Buffer }[]>();
  readonly kept: HostEventView[] = [];
  /** Of queued builds, by their ids. */
  readonly parcels = new Map<string, BuildParcelBody>();
  /** Of all of its containers. */
  readonly files = new MemoryFiles((ref) => {
    this.container(ref);
  });
  readonly bell = new EventEmitter<{ event: [HostEventView]; ended: [string] }>();
  readonly processes: MemoryProcesses = new MemoryProcesses(this);
  /** Events after this moment are all there. */
  coveredSince = 0n;
  /** Bytes that came with the last load or import. */
  received = { bytes: 0, sha256: '' };
  /** Calls that are asserted on. */
  readonly calls: { readonly name: string; readonly given: unknown }[] = [];
  readonly networks = new MemoryNetworks(this);

  publish(type: HostEventView['type'], action: string, id: string, attributes: Record<string, string> = {}): void {
    const event = { timeNs: `${BigInt(Date.now()) * 1_000_000n + BigInt(this.kept.length)}`, type, action, id, attributes };
    this.kept.push(event);
    this.bell.emit('event', event);
  }

  image(ref: string): ImageDetail {
    const bare = ref.replace(/^sha256:/, '');
    const found = this.images.find(({ tags, id }) => id === `sha256:${bare}` || (/^[0-9a-f]{12}/.test(bare) && id.startsWith(`sha256:${bare}`)) || (!/^[0-9a-f]{64}$/.test(bare) && tags.includes(full(ref))));
    if (found === undefined) throw new CodedError('not_found', `No such image: ${ref}`);
    return found;
  }

  container(ref: string): ContainerView {
    const found = this.containers.find(({ id, name }) => id.startsWith(ref) || name === ref.replace(/^\//, ''));
    if (found === undefined) throw new CodedError('not_found', `No such container: ${ref}`);
    return found;
  }

  create(request: CreateContainerBody): ContainerView {
    const known = this.containers.find(({ id }) => id === request.id);
    if (known !== undefined) return known;
    const image = this.image(request.image);
    const name = request.name ?? `name_${this.containers.length}`;
    const taken = this.containers.find((one) => one.name === name);
    if (taken !== undefined) throw new CodedError('conflict', `Conflict. The container name "/${name}" is already in use by container "${taken.id}". You have to remove (or rename) that container to be able to reuse that name.`);
    const { entrypoint, cmd } = request.process;
    const argv = [...(entrypoint ?? []), ...(cmd ?? ((entrypoint ?? []).length > 0 ? [] : ['sh']))];
    const view: ContainerView = {
      id: request.id ?? sha(`${name}${Math.random()}`),
      name,
      createdAt: Date.now() + this.containers.length,
      imageId: image.id,
      request,
      path: argv[0] ?? '',
      args: argv.slice(1),
      effective: { env: ['PATH=/bin', ...request.process.env], cmd: request.process.cmd, entrypoint: request.process.entrypoint, workingDir: request.process.workingDir, user: request.process.user, labels: request.labels, volumes: [], exposedPorts: [...new Set([...(request.exposedPorts ?? []), ...(request.network?.ports ?? []).map(({ containerPort, protocol }) => `${containerPort}/${protocol}`)])].sort() },
      state: { status: 'created', exitCode: 0, oomKilled: false, error: '', pid: 0, startedAt: null, finishedAt: null },
      mounts: request.mounts.map((mount) => ({ kind: mount.kind, ...(mount.kind === 'volume' ? { name: mount.name ?? sha('anonymous') } : {}), source: mount.kind === 'bind' ? mount.hostPath : '/v', destination: mount.destination, readOnly: mount.readOnly })),
      network: this.networks.viewOf(request),
      restartCount: 0,
      writableBytes: null,
      rootfsBytes: null,
    };
    this.containers.push(view);
    this.publish('container', 'create', view.id, { image: request.image, name });
    return view;
  }

  start(ref: string): boolean {
    const one = this.container(ref);
    if (one.state.status === 'running') return false;
    if (one.path === 'missing') throw new CodedError('invalid_argument', 'failed to create task for container: exec: "missing": executable file not found in $PATH', { exitCode: 127 });
    this.networks.attach(one);
    one.state = { ...one.state, status: 'running', pid: 42, startedAt: Date.now() };
    this.publish('container', 'start', one.id, { image: one.request.image, name: one.name });
    if (one.path === 'echo') this.output.set(one.id, [{ stream: 'stdout', timeMs: 1_700_000_000_123, bytes: Buffer.from(`${one.args.join(' ')}\n`) }, { stream: 'stderr', timeMs: 1_700_000_001_000, bytes: Buffer.from('oops\n') }]);
    this.processes.started(one);
    if (!['sleep', 'cat'].includes(one.path)) setTimeout(() => { this.end(one, one.path === 'exit' ? Number(one.args[0]) : 0); }, 50);
    return true;
  }

  end(one: ContainerView, exitCode: number): void {
    this.networks.detach(one);
    one.state = { ...one.state, status: 'exited', exitCode, pid: 0, finishedAt: Date.now() };
    this.publish('container', 'die', one.id, { exitCode: String(exitCode) });
    this.bell.emit('ended', one.id);
  }

  createVolume(body: CreateVolumeBody): VolumeView {
    const known = this.volumes.find(({ name }) => name === body.name);
    if (known !== undefined) return known;
    const view: VolumeView = { name: body.name ?? sha(`${Math.random()}`), driver: 'local', createdAt: Date.now(), labels: body.labels ?? {}, options: body.options ?? {}, anonymous: body.name === undefined, mountpoint: `/var/lib/docker/volumes/${body.name ?? 'x'}/_data`, usedBy: [], sizeBytes: null };
    this.volumes.push(view);
    this.publish('volume', 'create', view.name, { driver: 'local' });
    return view;
  }

  async receive(source: Readable): Promise<void> {
    const hash = createHash('sha256');
    let bytes = 0;
    for await (const chunk of source as AsyncIterable<Buffer>) {
      bytes += chunk.length;
      hash.update(chunk);
    }
    this.received = { bytes, sha256: hash.digest('hex') };
  }
}

export class MemoryHosts implements TenantHosts {
  private readonly hosts = new Map<string, MemoryHost>();

  memory(tenantId: string): MemoryHost {
    const host = this.hosts.get(tenantId) ?? new MemoryHost();
    this.hosts.set(tenantId, host);
    return host;
  }

  of(tenant: HostTenant): TenantHost {
    const host = this.memory(tenant.id);
    const gone = (): never => { throw new CodedError('unavailable', 'not simulated'); };
    const volume = (name: string): VolumeView => host.volumes.find((one) => one.name === name) ?? (() => { throw new CodedError('not_found', `get ${name}: no such volume`); })();
    return {
      networks: host.networks,
      builds: {
        build: gone,
        spool: (id, parcel) => {
          host.calls.push({ name: 'spool', given: { id, parcel } });
          host.parcels.set(id, parcel);
          return Promise.resolve();
        },
        spoolContext: () => Promise.resolve(),
        unspool: (id) => Promise.resolve(void host.parcels.delete(id)),
        cache: () => Promise.resolve([]),
        prune: () => Promise.resolve({ removed: [], reclaimedBytes: 0 }),
      },
      processes: host.processes,
      images: async () => Promise.resolve(host.images),
      image: async (ref) => Promise.resolve(host.image(ref)),
      imageHistory: async (ref) => Promise.resolve([{ id: host.image(ref).id, createdAt: host.image(ref).createdAt, createdBy: 'ADD rootfs', comment: '', sizeBytes: 1, tags: host.image(ref).tags }]),
      tagImage: async (source, name) => {
        const image = host.image(source);
        for (const other of host.images) other.tags = other.tags.filter((tag) => tag !== full(name));
        image.tags = [...image.tags, full(name)].sort();
        host.publish('image', 'tag', image.id, { name: familiarName(parseReference(name)) });
        return Promise.resolve();
      },
      removeImage: async (ref) => {
        const image = host.image(ref);
        const used = host.containers.find(({ imageId }) => imageId === image.id);
        if (used !== undefined) throw new CodedError('conflict', `conflict: unable to remove repository reference "${ref}" (must force) - container ${used.id.slice(0, 12)} is using its referenced image ${image.id.slice(7, 19)}`);
        const name = full(ref);
        image.tags = image.tags.filter((tag) => tag !== name);
        if (image.tags.length > 0) return Promise.resolve([{ kind: 'untagged' as const, name }]);
        host.images.splice(host.images.indexOf(image), 1);
        return Promise.resolve([{ kind: 'untagged' as const, name }, { kind: 'deleted' as const, id: image.id }]);
      },
      pruneImages: async (filter) => {
        host.calls.push({ name: 'pruneImages', given: filter });
        return Promise.resolve({ removals: [], reclaimedBytes: 0 });
      },
      saveImages: async (names) => {
        const ids = names.map((name) => host.image(name).id);
        return Promise.resolve(Readable.from((function* () { for (const id of ids) yield Buffer.from(`archive of ${id}`.padEnd(512, '\0')); })(), { objectMode: false }));
      },
      loadImages: async function* (archive): AsyncGenerator<ProgressLine> {
        for await (const chunk of archive.iterator({ destroyOnReturn: false })) {
          if ((chunk as Buffer).toString('latin1', 0, 6) !== 'REJECT') archive.unshift(chunk);
          else {
            archive.destroy();
            yield { error: { code: 'invalid_argument', message: 'archive/tar: invalid tar header' } };
            return;
          }
          break;
        }
        await host.receive(archive);
        if (host.received.bytes < 10) {
          yield { error: { code: 'invalid_argument', message: 'invalid tar header' } };
          return;
        }
        yield { id: 'abc', status: 'Loading layer', current: 5, total: 10 };
        const image = imageOf(['docker.io/library/loaded:1'], '2026-02-01T00:00:00Z');
        host.images.push(image);
        yield { aux: { images: [{ id: image.id, tags: image.tags }] } };
      },
      importImage: async function* (source, request): AsyncGenerator<ProgressLine> {
        host.calls.push({ name: 'import', given: { ...request, ...(source instanceof Readable ? {} : { url: source.url }) } });
        if (source instanceof Readable) await host.receive(source);
        const image = imageOf(request.name === undefined ? [] : [request.name], new Date().toISOString());
        host.images.push(image);
        yield { aux: { imageId: image.id } };
      },
      commitContainer: async (request) => {
        host.container(request.container);
        host.calls.push({ name: 'commit', given: request });
        const image = imageOf(request.name === undefined ? [] : [request.name], new Date().toISOString(), { parent: host.images[0]?.id ?? null });
        host.images.push(image);
        return Promise.resolve({ imageId: image.id });
      },
      login: async (_address, auth) => {
        if (auth.password !== 'right') throw new CodedError('unauthenticated', 'Get "http://127.0.0.1:5000/v2/": unauthorized: incorrect username or password');
        return Promise.resolve({});
      },
      search: async () => Promise.resolve([{ name: 'busybox', description: 'tools', stars: 3, official: true }, { name: 'me/box', description: 'more', stars: 1, official: false }]),
      volumes: async () => Promise.resolve(host.volumes),
      volume: async (name) => Promise.resolve(volume(name)),
      createVolume: async (request) => Promise.resolve(host.createVolume(request)),
      removeVolume: async (name, { force }) => {
        if (force && !host.volumes.some((one) => one.name === name)) return Promise.resolve();
        host.volumes.splice(host.volumes.indexOf(volume(name)), 1);
        return Promise.resolve();
      },
      pruneVolumes: async (filter) => {
        host.calls.push({ name: 'pruneVolumes', given: filter });
        return Promise.resolve({ removed: host.volumes.splice(0).map(({ name }) => name), reclaimedBytes: 7 });
      },
      packVolume: gone,
      extractVolume: gone,
      containers: async (options) => Promise.resolve(options?.size === true ? host.containers.map((one) => ({ ...one, writableBytes: 1, rootfsBytes: 2 })) : host.containers),
      container: async (ref, options) => Promise.resolve({ ...host.container(ref), ...(options?.size === true ? { writableBytes: 1, rootfsBytes: 2 } : {}) }),
      createContainer: async (request) => {
        host.calls.push({ name: 'create', given: request });
        return Promise.resolve({ id: host.create(request).id, warnings: [] });
      },
      startContainer: async (ref) => Promise.resolve(host.start(ref)),
      stopContainer: async (ref) => {
        const one = host.container(ref);
        if (one.state.status !== 'running') return Promise.resolve(false);
        host.end(one, 143);
        return Promise.resolve(true);
      },
      restartContainer: async (ref) => {
        const one = host.container(ref);
        if (one.state.status === 'running') host.end(one, 143);
        host.start(ref);
        return Promise.resolve();
      },
      updateContainer: async (ref, change) => {
        const one = host.container(ref);
        host.calls.push({ name: 'update', given: change });
        one.request = { ...one.request, limits: { ...one.request.limits, ...change.limits } };
        return Promise.resolve({ warnings: [] });
      },
      containerTop: async (ref, psArgs) => {
        host.calls.push({ name: 'top', given: { ref: host.container(ref).name, psArgs } });
        return Promise.resolve({ titles: ['PID', 'CMD'], processes: [['1', 'sh']] });
      },
      containerStats: async function* (ref, { once }, signal) {
        const { id, name, state } = host.container(ref);
        for (let second = 0; !signal.aborted; second += 1) {
          yield await Promise.resolve(statsOf({ id, name }, state.status === 'running' ? second + 1 : 0));
          if (once) return;
          await new Promise((resolve) => setTimeout(resolve, 5));
        }
      },
      killContainer: async (ref) => {
        const one = host.container(ref);
        if (one.state.status !== 'running') throw new CodedError('conflict', `Container ${one.id} is not running`);
        host.end(one, 137);
        return Promise.resolve();
      },
      pauseContainer: async (ref) => { const one = host.container(ref); one.state = { ...one.state, status: 'paused' }; host.publish('container', 'pause', one.id); return Promise.resolve(); },
      unpauseContainer: async (ref) => { const one = host.container(ref); one.state = { ...one.state, status: 'running' }; return Promise.resolve(); },
      removeLink: async () => Promise.resolve(gone()),
      renameContainer: async (ref, name) => { host.container(ref).name = name; return Promise.resolve(); },
      removeContainer: async (ref, options) => {
        const one = host.container(ref);
        if (one.state.status === 'running' && !options.force) throw new CodedError('conflict', `cannot remove container "/${one.name}": container is running: stop the container before removing or force remove`);
        host.calls.push({ name: 'remove', given: options });
        host.containers.splice(host.containers.indexOf(one), 1);
        host.publish('container', 'destroy', one.id);
        return Promise.resolve();
      },
      pruneContainers: async () => Promise.resolve({ removed: host.containers.splice(0).map(({ id }) => id), reclaimedBytes: 0 }),
      waitContainer: async (ref, condition, signal) => {
        const one = host.container(ref);
        const ended = async (): Promise<{ exitCode: number }> => {
          if (condition !== 'not-running' || one.state.status === 'running') for await (const [id] of on(host.bell, 'ended', { signal })) if (id === one.id) break;
          return { exitCode: one.state.exitCode };
        };
        return Promise.resolve({ ended: ended() });
      },
      logs: async function* (ref, options) {
        const one = host.container(ref);
        for (const chunk of host.output.get(one.id) ?? []) if (options[chunk.stream]) yield await Promise.resolve(chunk);
        while (options.follow && one.state.status === 'running') await new Promise((resolve) => setTimeout(resolve, 10));
      },
      changes: async (ref) => {
        host.container(ref);
        return Promise.resolve([{ path: '/etc', kind: 'modified' as const }, { path: '/etc/new', kind: 'added' as const }, { path: '/old', kind: 'deleted' as const }]);
      },
      exportContainer: async (ref) => Promise.resolve(Readable.from([Buffer.from(`tar of ${host.container(ref).name}`)], { objectMode: false })),
      files: host.files,
      diskUsage: async () => Promise.resolve({ layersBytes: 100, images: host.images, containers: host.containers.map(({ id }) => ({ id, writableBytes: 5, rootfsBytes: 50 })), volumes: host.volumes.map((one) => ({ ...one, sizeBytes: 9 })), disk: null }),
      events: async function* (sinceNs, signal) {
        const live = on(host.bell, 'event', { signal });
        if (sinceNs !== undefined) yield* host.kept.filter(({ timeNs }) => BigInt(timeNs) > BigInt(sinceNs));
        for await (const [event] of live) yield event as HostEventView;
      },
      runtimeImage: async (name) => {
        if (name !== 'python') throw new CodedError('not_found', `no runtime "${name}": see GET /v1/runtimes`);
        const image = imageOf(['runtimes.sandbar/python:latest'], '2026-01-01T00:00:00Z');
        if (!host.images.some(({ id }) => id === image.id)) host.images.push(image);
        return Promise.resolve({ image: 'runtimes.sandbar/python:latest', env: { LANG: 'C.UTF-8' } });
      },
      containerReached: async (ref, condition, signal) => {
        const one = host.container(ref);
        const status = { running: 'running', paused: 'paused', stopped: 'exited', healthy: '', removed: '' }[condition];
        if (one.state.status === status) return one;
        for await (const [event] of on(host.bell, 'event', { signal })) {
          if ((event as HostEventView).id !== one.id) continue;
          if (one.state.status === status) break;
          if (!host.containers.includes(one)) return undefined;
        }
        return one;
      },
      resumeEvents: async (after, signal) => {
        const live = on(host.bell, 'event', { signal });
        const past = host.kept.filter(({ timeNs }) => after !== undefined && BigInt(timeNs) > BigInt(after));
        if (after !== undefined && BigInt(after) < host.coveredSince) throw new CodedError('gone', 'the events after that one are not kept any more');
        const events = async function* (): AsyncGenerator<HostEventView> {
          yield* past;
          for await (const [event] of live) yield event as HostEventView;
        };
        return Promise.resolve({ position: after ?? host.kept.at(-1)?.timeNs ?? '0', events: events() });
      },
      drop: gone,
    };
  }
}

/** @param second 0: it does not run */
function statsOf({ id, name }: { readonly id: string; readonly name: string }, second: number): ContainerStatsView {
  return {
    id,
    name,
    readAt: second * 1000,
    cgroupVersion: 2,
    cpu: { totalNs: second * 500, userNs: second * 300, kernelNs: second * 200, perCpuNs: [], systemNs: second * 4000, onlineCpus: 2, throttling: { periods: 1, throttledPeriods: 0, throttledNs: 0 } },
    memory: { usageBytes: 4096, peakBytes: 8192, failures: 0, limitBytes: 65_536, counters: { inactive_file: 96 } },
    pids: { current: 1, limit: 0 },
    io: [{ major: 8, minor: 0, readBytes: 1, writtenBytes: 2, reads: 3, writes: 4 }],
    networks: { eth0: { rxBytes: 1, rxPackets: 2, rxErrors: 3, rxDropped: 4, txBytes: 5, txPackets: 6, txErrors: 7, txDropped: 8 } },
  };
}

/** Pulls and pushes that say what they were asked. `missing` is in no registry, `broken` breaks in the middle, `endless` never ends. */
export class MemoryOperations implements ImageOperations {
  readonly asked: (OperationRequest & { readonly kind: 'pull' | 'push' })[] = [];
  readonly cancelled: string[] = [];
  private readonly references = new Map<string, string>();

  constructor(private readonly hosts: MemoryHosts) {}

  pull = (_caller: unknown, request: OperationRequest): Promise<OperationView> => this.begin('pull', request);
  push = (_caller: unknown, request: OperationRequest): Promise<OperationView> => this.begin('push', request);

  cancel(_caller: unknown, id: string): Promise<void> {
    this.cancelled.push(id);
    return Promise.resolve();
  }

  async *follow(tenant: string, id: string, _after: number, signal: AbortSignal): AsyncGenerator<OperationProgress> {
    const reference = this.references.get(id) ?? '';
    if (reference.includes('missing')) {
      yield { seq: 1, error: { code: 'not_found', message: `pull access denied for ${reference}, repository does not exist or may require 'docker login'` }, end: true };
      return;
    }
    yield { seq: 1, id: 'latest', status: `Pulling from ${parseReference(reference).path}` };
    yield { seq: 2, id: 'abc', status: 'Downloading', current: 512, total: 1024 };
    if (reference.includes('endless')) await new Promise((resolve) => { signal.addEventListener('abort', resolve); });
    if (signal.aborted) return;
    if (reference.includes('broken')) {
      yield { seq: 3, error: { code: 'unavailable', message: 'unexpected EOF' }, end: true };
      return;
    }
    this.hosts.memory(tenant).images.push(imageOf([reference], '2026-03-01T00:00:00Z'));
    yield { seq: 3, status: `Digest: sha256:${sha(reference)}` };
    yield { seq: 4, status: `Status: Downloaded newer image for ${reference}`, aux: { digest: `sha256:${sha(reference)}`, tag: 'latest', sizeBytes: 3 }, end: true };
  }

  private begin(kind: 'pull' | 'push', request: OperationRequest): Promise<OperationView> {
    const { requestId, ...rest } = request;
    if (requestId === undefined) throw new Error('no request id');
    this.asked.push({ kind, ...rest });
    const id = newId('operation');
    this.references.set(id, request.reference);
    return Promise.resolve({ id, kind: `image.${kind}`, state: 'queued', reference: request.reference, result: null, error: null, createdAt: new Date().toISOString(), startedAt: null, finishedAt: null });
  }
}
