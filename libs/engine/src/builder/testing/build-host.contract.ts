import { mkdtemp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, silentLogger, systemClock, type TenantId } from '#kernel';
import { openContainerHost, type ContainerHost } from '../../containers/testing/container-host.js';
import { describeLeftovers } from '../../containers/testing/container-requests.js';
import type { GitSource } from '../../git/index.js';
import type { FsTenantImages } from '../../images/index.js';
import type { FetchedUrl, ImageTransfers } from '../../registry-client/index.js';
import { OverlaySnapshotter } from '../../snapshots/index.js';
import { readTar, writeTar, type TarEntryInput } from '../../tar/index.js';
import { HelperTrees } from '../../tree/index.js';
import { DockerfileBuilder, type BuildEvent, type BuildRequest } from '../index.js';

const NEVER = new AbortController().signal;
const DISK_BYTES = 256 * 1024 * 1024;

export interface Built {
  readonly imageId: string;
  readonly events: readonly BuildEvent[];
  readonly output: string;
  /** Numbers of the steps. */
  readonly cached: readonly number[];
}

export interface BuildCall extends Partial<BuildRequest> {
  readonly files?: readonly TarEntryInput[];
  readonly signal?: AbortSignal;
  readonly report?: (event: BuildEvent) => void | Promise<void>;
  readonly tenant?: TenantId;
}

/** What builds may reach of the world: nothing, unless a test says otherwise. */
export interface World {
  git: GitSource['fetch'];
  fetchUrl: (url: string, signal: AbortSignal) => Promise<FetchedUrl>;
  pull: ImageTransfers['pull'];
}

/** A builder on a node's engine in a temporary folder, every part the real one; a tenant with the image `busybox`. */
export class BuildHost {
  readonly world: World = {
    git: () => Promise.reject(new CodedError('unavailable', 'no repository here')),
    fetchUrl: () => Promise.reject(new CodedError('unavailable', 'no network here')),
    pull: () => Promise.reject(new CodedError('not_found', 'no registry here')),
  };

  private constructor(
    readonly host: ContainerHost,
    readonly tenant: TenantId,
    /** Of the builder. */
    readonly root: string,
    private readonly snapshots: OverlaySnapshotter,
    private readonly trees: HelperTrees,
  ) {}

  builder!: DockerfileBuilder;

  static async open(name = 'builder'): Promise<BuildHost> {
    const host = await openContainerHost(name);
    const tenant = await host.newTenant(DISK_BYTES);
    await host.importImage(tenant, 'busybox', 'true', { Cmd: ['sh'], Env: ['PATH=/bin'] });
    const trees = new HelperTrees({ program: join(host.base, 'sandbar-tree'), logger: silentLogger });
    const snapshots = await OverlaySnapshotter.open(join(host.base, 'snapshots'), { trees });
    const built = new BuildHost(host, tenant, await mkdtemp(join(host.base, 'builds-')), snapshots, trees);
    built.builder = built.opened();
    await built.builder.recover();
    return built;
  }

  get images(): FsTenantImages {
    return this.host.images;
  }

  close(): Promise<void> {
    return this.host.dispose();
  }

  async expectNothingLeft(tenants: readonly TenantId[] = [this.tenant]): Promise<void> {
    expect(await describeLeftovers(this.host, tenants)).toEqual([]);
    expect(await readdir(join(this.root, 'work'))).toEqual([]);
  }

  /** The context holds the Dockerfile and the files. */
  async build(dockerfile: string, { files = [], signal = NEVER, report, tenant = this.tenant, ...request }: BuildCall = {}): Promise<Built> {
    const events: BuildEvent[] = [];
    const whole: BuildRequest = { buildArgs: new Map(), labels: new Map(), tags: [], noCache: false, pull: false, network: 'none', limits: {}, authOf: () => undefined, ...request };
    const { imageId } = await this.builder.build(tenant, whole, writeTar([file('Dockerfile', dockerfile), ...files]), async (event) => {
      events.push(event);
      await report?.(event);
    }, signal);
    return { imageId, events, output: events.map((event) => (event.kind === 'log' ? event.text : '')).join(''), cached: events.flatMap((event) => (event.kind === 'cached' ? [event.step] : [])) };
  }

  /** `type mode uid:gid content` by path. */
  async filesOf(imageId: string, tenant = this.tenant): Promise<Map<string, string>> {
    const { chainId } = await this.images.resolve(tenant, imageId);
    const found = new Map<string, string>();
    for await (const entry of readTar(this.snapshots.packTree(chainId, undefined))) {
      found.set(entry.path.replace(/\/$/, ''), `${entry.type} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid} ${Buffer.concat(await collected(entry.content)).toString()}`);
    }
    return found;
  }

  private opened(): DockerfileBuilder {
    const { host, root, trees, snapshots, world } = this;
    return new DockerfileBuilder({
      root,
      images: host.images,
      transfers: { pull: (request) => world.pull(request) },
      snapshots,
      trees,
      containers: host.containers,
      processes: host.containers.processes,
      volumes: host.volumes,
      fetchUrl: (url, signal) => world.fetchUrl(url, signal),
      git: { fetch: (request, signal) => world.git(request, signal) },
      clock: systemClock,
      logger: silentLogger,
    });
  }
}

export function file(path: string, text: string, more: Partial<TarEntryInput> = {}): TarEntryInput {
  const bytes = Buffer.from(text);
  return { path, type: 'file', mode: 0o644, uid: 1234, gid: 1234, mtimeNs: 0n, size: bytes.length, content: [bytes], ...more };
}

export async function collected(bytes: AsyncIterable<Uint8Array>): Promise<Uint8Array[]> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of bytes) chunks.push(Buffer.from(chunk));
  return chunks;
}
