import { mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, isId, systemClock, type Clock, type Logger, type TenantId } from '#kernel';
import { bootId, KeyedQueue, type Spawner } from '../../linux/index.js';
import { holds, parseSubnet } from '../ipv4.js';
import { NameResolver } from '../names/name-resolver.js';
import { Upstream } from '../names/upstream.js';
import { NodePublisher, type NodePublisherOptions } from '../publish/node-publisher.js';
import { NetHelper } from '../net-helper.js';
import { NetworkRecords } from '../network-records.js';
import type { Attachment, AttachRequest, CreateNetwork, Endpoint, EndpointRequest, Network, Networks } from '../networks.js';
import { AttachmentFiles } from './attachment-files.js';
import { Holders } from './holders.js';
import { NodeGate } from './node-gate.js';
import { attachmentOf, endpointOf } from './attached.js';
import { TenantNetworks } from './tenant-networks.js';
import { TenantSide } from './tenant-side.js';

export interface LinuxNetworksOptions {
  /** A folder of its own, on the node's own file system. */
  readonly root: string;
  /** Tells this instance from others on the machine: the name of its cgroup. */
  readonly instance: string;
  /** The program `sandbar-net`. */
  readonly program: string;
  readonly spawner: Spawner;
  /** Private ranges (`10.1.0.0/16`) that the operator opens to all tenants. */
  readonly allowPrivateCidrs: readonly string[];
  /** Where ports of containers that are published on the node are opened. */
  readonly publish: NodePublisherOptions;
  /** Resolvers to ask for other names than containers': `address` or `address:port`. None: those of the node's /etc/resolv.conf. */
  readonly dnsServers?: readonly string[];
  readonly logger: Logger;
  readonly clock?: Clock;
}

/** Networks of bridges, pairs of virtual interfaces and nftables. */
export class LinuxNetworks implements Networks {
  readonly #options: LinuxNetworksOptions;
  readonly #helper: NetHelper;
  readonly #holders: Holders;
  readonly #gate: NodeGate;
  readonly #records: NetworkRecords;
  readonly #resolver: NameResolver;
  readonly #publisher: NodePublisher;
  readonly #sides = new Map<TenantId, TenantSide>();
  readonly #turns = new KeyedQueue();
  #files: AttachmentFiles | undefined;

  private constructor(options: LinuxNetworksOptions) {
    const { root, instance, program, spawner, logger } = options;
    this.#options = options;
    this.#helper = new NetHelper(spawner, program);
    this.#holders = new Holders(root, instance, this.#helper);
    const allowed = allowedSubnets(options.allowPrivateCidrs);
    this.#publisher = new NodePublisher(options.publish);
    this.#gate = new NodeGate({ instance, helper: this.#helper, allowed, logger });
    this.#resolver = new NameResolver({ upstream: new Upstream({ servers: options.dnsServers }), isAllowed: (address) => allowed.some((subnet) => holds(subnet, address)), logger });
    this.#records = new NetworkRecords(root, logger);
  }

  /** `recover()` is the caller's next step. @throws CodedError `invalid_argument` (an option) */
  static open(options: LinuxNetworksOptions): LinuxNetworks {
    return new LinuxNetworks(options);
  }

  async recover(): Promise<void> {
    const { root, logger } = this.#options;
    await mkdir(root, { recursive: true, mode: 0o700 });
    this.#files = new AttachmentFiles(root, await bootId());
    const tenants = (await readdir(root)).filter((name) => isId('tenant', name));
    const holders = new Map((await Promise.all(tenants.map(async (tenantId) => [tenantId, await this.#holders.find(tenantId)] as const))).flatMap(([tenantId, holder]) => (holder === undefined ? [] : [[tenantId, holder]])));
    const swept = await this.#holders.sweep(new Set([...holders.values()].map(({ identity }) => identity.pid)));
    await this.#gate.recover([...holders.values()].map(({ uplink }) => uplink));
    for (const tenantId of tenants) {
      const side = await this.#side(tenantId);
      await side.recover();
    }
    logger.info({ tenants: tenants.length, hosts: holders.size, swept }, 'networks: recovered');
  }

  async list(tenantId: TenantId): Promise<Network[]> {
    return (await this.#side(tenantId)).networks.list();
  }

  async get(tenantId: TenantId, text: string): Promise<Network> {
    return (await this.#side(tenantId)).networks.get(text);
  }

  create(tenantId: TenantId, request: CreateNetwork): Promise<Network> {
    return this.#turns.run(tenantId, async () => {
      const { networks } = await this.#side(tenantId);
      const network = networks.create(request, (this.#options.clock ?? systemClock).now());
      try {
        await this.#records.write(network);
      } catch (error) {
        networks.remove(network.id);
        throw error;
      }
      return network;
    });
  }

  remove(tenantId: TenantId, text: string): Promise<void> {
    return this.#turns.run(tenantId, async () => {
      const side = await this.#side(tenantId);
      // Gone at once: nothing can be attached to it while its record goes.
      const network = side.networks.remove(text);
      try {
        await this.#records.remove(network);
      } catch (error) {
        side.networks.restore(network);
        throw error;
      }
      await side.removeBridge(network);
    });
  }

  async prune(tenantId: TenantId, accepts: (network: Network) => boolean): Promise<{ readonly removed: readonly string[] }> {
    const removed: string[] = [];
    for (const network of await this.list(tenantId)) {
      if (network.driver !== 'bridge' || network.name === 'bridge' || !accepts(network)) continue;
      try {
        await this.remove(tenantId, network.id);
        removed.push(network.name);
      } catch (error) {
        // One that is in use stays.
        if (!(error instanceof CodedError) || (error.code !== 'conflict' && error.code !== 'not_found')) throw error;
      }
    }
    return { removed };
  }

  async hostNamespace(tenantId: TenantId): Promise<string> {
    return (await (await this.#side(tenantId)).host()).path;
  }

  async attach(tenantId: TenantId, request: AttachRequest): Promise<Attachment> {
    return (await this.#side(tenantId)).attach(request);
  }

  async connect(tenantId: TenantId, containerId: string, endpoint: EndpointRequest): Promise<Endpoint> {
    return (await this.#side(tenantId)).connect(containerId, endpoint);
  }

  async disconnect(tenantId: TenantId, containerId: string, network: string): Promise<void> {
    await (await this.#side(tenantId)).disconnect(containerId, network);
  }

  async detach(tenantId: TenantId, containerId: string): Promise<void> {
    await (await this.#side(tenantId)).detach(containerId);
  }

  async rename(tenantId: TenantId, containerId: string, name: string): Promise<void> {
    await (await this.#side(tenantId)).rename(containerId, name);
  }

  find(tenantId: TenantId, containerId: string): Attachment | undefined {
    const attached = this.#sides.get(tenantId)?.attachments.get(containerId);
    return attached === undefined ? undefined : attachmentOf(attached);
  }

  endpoints(tenantId: TenantId, networkId: string): readonly (Endpoint & { readonly containerId: string; readonly containerName: string })[] {
    const attached = this.#sides.get(tenantId)?.attachments.all() ?? [];
    return attached.flatMap((one) =>
      one.places.filter(({ bridge }) => bridge.network.id === networkId).map((place) => ({ ...endpointOf(place), containerId: one.containerId, containerName: one.containerName })),
    );
  }

  async drop(tenantId: TenantId): Promise<void> {
    await this.#turns.run(tenantId, async () => {
      await (await this.#side(tenantId)).drop();
      this.#sides.delete(tenantId);
      await rm(join(this.#options.root, tenantId), { recursive: true, force: true });
    });
  }

  async close(): Promise<void> {
    await this.#turns.idle();
    for (const side of this.#sides.values()) await side.drop();
    await this.release();
    await this.#holders.sweep(new Set());
    await this.#gate.close();
  }

  async release(): Promise<void> {
    for (const side of this.#sides.values()) await side.release();
    this.#sides.clear();
    this.#files = undefined;
  }

  async #side(tenantId: TenantId): Promise<TenantSide> {
    const known = this.#sides.get(tenantId);
    if (known !== undefined) return known;
    const files = this.#files;
    if (files === undefined) throw new CodedError('failed_precondition', 'recover() was not awaited');
    const own = await this.#records.load(tenantId);
    const side = new TenantSide({
      tenantId,
      networks: new TenantNetworks(tenantId, own),
      files,
      holders: this.#holders,
      gate: this.#gate,
      helper: this.#helper,
      logger: this.#options.logger,
      resolver: this.#resolver,
      publisher: this.#publisher,
      // One at a time: each writes the same table.
      openGate: () => this.#turns.run('', () => this.#gate.open()),
    });
    // Two calls may have looked at once.
    const raced = this.#sides.get(tenantId);
    if (raced !== undefined) return raced;
    this.#sides.set(tenantId, side);
    return side;
  }

}

function allowedSubnets(texts: readonly string[]): ReturnType<typeof subnet>[] {
  return texts.map(subnet);
}

function subnet(text: string): NonNullable<ReturnType<typeof parseSubnet>> {
  const parsed = parseSubnet(text);
  if (parsed === undefined) throw new CodedError('invalid_argument', `${text} is no IPv4 network`, { text });
  return parsed;
}
