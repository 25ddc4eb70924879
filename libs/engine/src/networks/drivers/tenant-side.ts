import { CodedError, type Logger } from '#kernel';
import { identifyProcess, isRunning, KeyedQueue, type ProcessIdentity } from '../../linux/index.js';
import type { AttachmentState } from '../attachment-state.js';
import type { Ipv4 } from '../ipv4.js';
import type { NameResolver, PinnedAddress } from '../names/name-resolver.js';
import type { Attachment, AttachRequest, Endpoint, EndpointRequest, Network } from '../networks.js';
import type { NodePublisher } from '../publish/node-publisher.js';
import { AttachmentChanges } from './attachment-changes.js';
import { isContainerId, type AttachmentFiles } from './attachment-files.js';
import { attachedElements, sysctlLines } from './attachment-lines.js';
import { attachmentOf, endpointOf, failedProgramming, gatewayPlace, TenantAttachments, type Attached } from './tenant-attachments.js';
import { TenantHost, type TenantHostParts } from './tenant-host.js';
import { TenantNames } from './tenant-names.js';
import type { BridgeNetwork, TenantNetworks } from './tenant-networks.js';

/** A port that we choose may be taken on the node by somebody else. */
const MOST_PORT_TRIES = 32;

export interface TenantSideParts extends TenantHostParts {
  readonly networks: TenantNetworks;
  readonly files: AttachmentFiles;
  readonly resolver: NameResolver;
  readonly publisher: NodePublisher;
  readonly logger: Logger;
  /** Readies the node for an uplink. */
  readonly openGate: () => Promise<void>;
}

/** What there is once a tenant has a host name space. */
interface OpenHost {
  readonly host: TenantHost;
  readonly changes: AttachmentChanges;
  readonly names: TenantNames;
}

/** One tenant's containers on its networks. Changes of one container follow one another; containers do not wait for each other. */
export class TenantSide {
  readonly attachments: TenantAttachments;
  readonly #turns = new KeyedQueue();
  #opening: Promise<OpenHost> | undefined;
  #open: OpenHost | undefined;

  constructor(readonly parts: TenantSideParts) {
    this.attachments = new TenantAttachments(parts.networks);
  }

  get networks(): TenantNetworks {
    return this.parts.networks;
  }

  /** Takes up what a worker before has left; what no longer runs is swept. */
  async recover(): Promise<void> {
    const { holders, files, networks, tenantId, logger } = this.parts;
    const states = await files.load(tenantId);
    const holder = await holders.find(tenantId);
    for (const state of states) {
      if (holder !== undefined && state.whole && (await isRunning(state.process)) && this.#restore(state)) continue;
      logger.info({ tenant: tenantId, container: state.containerId }, 'networks: sweeping what a container has left');
      await files.remove(tenantId, state.containerId);
    }
    if (holder === undefined) return;
    const attached = this.attachments.all();
    const links = new Set(attached.flatMap(({ places }) => places.map(({ hostLink }) => hostLink)));
    const open = this.#opened(await TenantHost.adopt(this.parts, holder, { bridges: networks.bridges(), links, elements: attached.flatMap((one) => attachedElements(one)) }));
    await this.#listen(open);
    for (const one of attached) await this.#publishAgain(open, one);
  }

  /** The host name space, made with the first call. */
  async host(): Promise<TenantHost> {
    return (await this.#hostOpen()).host;
  }

  attach(request: AttachRequest): Promise<Attachment> {
    if (!isContainerId(request.containerId)) throw new CodedError('invalid_argument', 'that is no ID of a container', {});
    return this.#turns.run(request.containerId, async () => {
      const process = await identifyProcess(request.pid);
      if (process === undefined) throw new CodedError('failed_precondition', 'the sandbox has ended', { pid: request.pid });
      const sysctls = sysctlLines(request.sysctls);
      const open = await this.#hostOpen();
      const before = this.attachments.get(request.containerId);
      if (before !== undefined && before.process.pid === process.pid && before.process.startTicks === process.startTicks) {
        await this.#publishAgain(open, before);
        return attachmentOf(before);
      }
      if (before !== undefined) await this.#remove(before);
      const attached = await this.#reserve(request, process, open);
      try {
        for (const { bridge } of attached.places) await this.#ensureBridge(open, bridge);
        await this.#write(attached, false);
        await open.changes.make(attached, sysctls);
        await this.#write(attached, true);
        return attachmentOf(attached);
      } catch (error) {
        await this.#remove(attached);
        throw error;
      }
    });
  }

  connect(containerId: string, request: EndpointRequest): Promise<Endpoint> {
    return this.#turns.run(containerId, async () => {
      const attached = this.attachments.get(containerId);
      if (attached === undefined) throw new CodedError('conflict', `container ${containerId} has no networks of its own`, { network: request.network.slice(0, 100) });
      const open = await this.#hostOpen();
      const hadGateway = gatewayPlace(attached) !== undefined;
      const place = this.attachments.place(attached, request);
      try {
        await this.#ensureBridge(open, place.bridge);
        await this.#write(attached, false);
        await open.changes.addPlace(attached, place, !hadGateway);
        await this.#write(attached, true);
        return endpointOf(place);
      } catch (error) {
        await open.changes.undoPlace(attached, place);
        this.attachments.unplace(attached, place);
        await this.#write(attached, true);
        throw error;
      }
    });
  }

  disconnect(containerId: string, text: string): Promise<void> {
    return this.#turns.run(containerId, async () => {
      const { network } = this.networks.bridge(text);
      const attached = this.attachments.get(containerId);
      const place = attached?.places.find(({ bridge }) => bridge.network.id === network.id);
      if (attached === undefined || place === undefined) throw new CodedError('not_found', `container ${containerId} is not connected to network ${network.name}`, { network: network.name });
      const open = await this.#hostOpen();
      await this.#write(attached, false);
      await open.changes.removePlace(attached, place);
      this.attachments.unplace(attached, place);
      await this.#write(attached, true);
    });
  }

  detach(containerId: string): Promise<void> {
    return this.#turns.run(containerId, async () => {
      const attached = this.attachments.get(containerId);
      if (attached !== undefined) await this.#remove(attached);
    });
  }

  rename(containerId: string, name: string): Promise<void> {
    return this.#turns.run(containerId, async () => {
      const attached = this.attachments.get(containerId);
      if (attached === undefined || attached.containerName === name) return;
      attached.containerName = name;
      await this.#write(attached, true);
    });
  }

  /** Of a network that has been removed. */
  async removeBridge(network: Network): Promise<void> {
    const open = this.#open;
    if (open === undefined) return;
    await open.host.removeBridge(network);
    await this.#listen(open);
  }

  /** Everything. No sandbox runs any more. */
  async drop(): Promise<void> {
    await this.#turns.idle();
    const open = await this.#opening;
    for (const attached of this.attachments.all()) this.attachments.release(attached);
    await this.release();
    await open?.host.drop();
    await this.parts.files.drop(this.parts.tenantId);
  }

  /** Of what this process does for them; what is set up stays. */
  async release(): Promise<void> {
    const open = this.#open;
    this.#opening = undefined;
    this.#open = undefined;
    open?.names.close();
    await open?.changes.close();
  }

  /** Ports of the node too: another program may have taken one that we would choose. */
  async #reserve(request: AttachRequest, process: ProcessIdentity, { host, changes }: OpenHost): Promise<Attached> {
    const chosen = request.ports.some(({ hostPort }) => hostPort === 0);
    const isLocal = (address: Ipv4): boolean => host.isLocal(address, this.networks.bridges());
    const dynamicPorts = request.publishOnNode ? this.parts.publisher.dynamicPorts : undefined;
    for (let tries = 1; ; tries += 1) {
      const attached = this.attachments.reserve(request, process, { isLocal, dynamicPorts });
      try {
        await changes.publish(attached);
        return attached;
      } catch (error) {
        const failure = failedProgramming(error, attached);
        this.attachments.release(attached);
        if (!chosen || tries >= MOST_PORT_TRIES || !(error instanceof CodedError) || error.code !== 'conflict') throw failure;
      }
    }
  }

  async #publishAgain({ changes }: OpenHost, attached: Attached): Promise<void> {
    try {
      await changes.publish(attached);
    } catch (error) {
      this.parts.logger.error({ err: error, tenant: this.parts.tenantId, container: attached.containerId }, 'networks: ports of a running container cannot be opened on the node');
    }
  }

  /** Written down like everything else that is open: whoever takes it away must know of it. */
  async #pin(source: Ipv4, addresses: readonly PinnedAddress[]): Promise<void> {
    const asking = this.attachments.at(source);
    if (asking === undefined) return;
    await this.#turns.run(asking.containerId, async () => {
      const open = this.#open;
      // By now it may be somebody else's address.
      if (open === undefined || this.attachments.at(source) !== asking) return;
      const now = Date.now();
      open.changes.notePins(asking, addresses, now);
      await this.#write(asking, true);
      await open.changes.openPins(asking, addresses, now);
    });
  }

  #restore(state: AttachmentState): boolean {
    try {
      this.attachments.restore(state);
      return true;
    } catch (error) {
      this.parts.logger.error({ err: error, tenant: this.parts.tenantId, container: state.containerId }, 'networks: a container has what is not its own');
      return false;
    }
  }

  #hostOpen(): Promise<OpenHost> {
    this.#opening ??= this.#makeHost().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  /** With the default bridge: its gateway answers for names to the sandboxes of the tenant's host. */
  async #makeHost(): Promise<OpenHost> {
    await this.parts.openGate();
    const open = this.#opened(await TenantHost.make(this.parts));
    try {
      const [bridge] = this.networks.bridges();
      if (bridge !== undefined) await this.#ensureBridge(open, bridge);
      return open;
    } catch (error) {
      await this.release();
      await open.host.drop();
      throw error;
    }
  }

  #opened(host: TenantHost): OpenHost {
    const { holders, helper, publisher, resolver, logger } = this.parts;
    const names = new TenantNames({
      socketPath: holders.socketOf(host.holder.uplink),
      networks: this.networks,
      attachments: this.attachments,
      resolver,
      pin: (source, addresses) => this.#pin(source, addresses),
      logger,
    });
    const open = { host, names, changes: new AttachmentChanges(host, helper, publisher) };
    this.#open = open;
    this.#opening = Promise.resolve(open);
    return open;
  }

  async #ensureBridge(open: OpenHost, bridge: BridgeNetwork): Promise<void> {
    if (await open.host.ensureBridge(bridge)) await this.#listen(open);
  }

  async #listen({ host, names }: OpenHost): Promise<void> {
    await names.listen(host.gateways(this.networks.bridges()));
  }

  /** What is written goes last: until then a restart finds it and sweeps. */
  async #remove(attached: Attached): Promise<void> {
    await this.#open?.changes.takeAway(attached);
    this.attachments.release(attached);
    await this.parts.files.remove(this.parts.tenantId, attached.containerId);
  }

  #write(attached: Attached, whole: boolean): Promise<void> {
    return this.parts.files.write(this.parts.tenantId, attached, { whole });
  }
}
