import { CodedError, type Logger, type TenantId } from '#kernel';
import { identifyProcess, isRunning, KeyedQueue } from '../../linux/index.js';
import { spaceLine } from '../net-helper.js';
import type { Attachment, AttachRequest, Endpoint, EndpointRequest, Network } from '../networks.js';
import type { AttachmentState } from '../attachment-state.js';
import type { NameResolver, PinnedAddress } from '../names/name-resolver.js';
import { isContainerId, type AttachmentFiles } from './attachment-files.js';
import { attachedElements, placeLines, portLines, removeLines, routeLines, sysctlLines } from './attachment-lines.js';
import { HOST_TABLE } from '../host-rules.js';
import type { Ipv4 } from '../ipv4.js';
import { pinnedElement, portElement, renewElements } from '../rule-elements.js';
import { attachmentOf, endpointOf, gatewayPlace, portTargets, TenantAttachments, type Attached, type Place } from './tenant-attachments.js';
import { TenantHost, type TenantHostParts } from './tenant-host.js';
import { TenantNames } from './tenant-names.js';
import type { BridgeNetwork, TenantNetworks } from './tenant-networks.js';

/** That answers of the resolver have opened to one container. */
const MOST_PINS = 2_048;

export interface TenantSideParts extends TenantHostParts {
  readonly networks: TenantNetworks;
  readonly files: AttachmentFiles;
  readonly logger: Logger;
  readonly resolver: NameResolver;
  /** Readies the node for an uplink. */
  readonly openGate: () => Promise<void>;
}

/** One tenant's containers on its networks. Changes of one container follow one another; containers do not wait for each other. */
export class TenantSide {
  readonly attachments: TenantAttachments;
  readonly #turns = new KeyedQueue();
  #host: Promise<TenantHost> | undefined;
  #open: TenantHost | undefined;
  #names: TenantNames | undefined;

  constructor(readonly parts: TenantSideParts) {
    this.attachments = new TenantAttachments(parts.networks);
  }

  get tenantId(): TenantId {
    return this.parts.tenantId;
  }

  get networks(): TenantNetworks {
    return this.parts.networks;
  }

  /** undefined: there is none yet. */
  get openHost(): TenantHost | undefined {
    return this.#open;
  }

  /** Takes up what a worker before has left; what no longer runs is swept. */
  async recover(): Promise<void> {
    const { holders, files, networks, tenantId, logger } = this.parts;
    const states = await files.load(tenantId);
    const holder = await holders.find(tenantId);
    if (holder === undefined) {
      for (const { containerId } of states) await files.remove(tenantId, containerId);
      return;
    }
    for (const state of states) {
      if (state.whole && (await isRunning(state.process)) && this.#restore(state)) continue;
      logger.info({ tenant: tenantId, container: state.containerId }, 'networks: sweeping what a container has left');
      await files.remove(tenantId, state.containerId);
    }
    const attached = this.attachments.all();
    const links = new Set(attached.flatMap(({ places }) => places.map(({ hostLink }) => hostLink)));
    const host = await TenantHost.adopt(this.parts, holder, { bridges: networks.bridges(), links, elements: attached.flatMap(attachedElements) });
    this.#opened(host);
    await this.#listen(host);
  }

  /** Made with the first call. */
  host(): Promise<TenantHost> {
    this.#host ??= this.#makeHost().catch((error: unknown) => {
      this.#host = undefined;
      throw error;
    });
    return this.#host;
  }

  attach(request: AttachRequest): Promise<Attachment> {
    if (!isContainerId(request.containerId)) throw new CodedError('invalid_argument', 'that is no ID of a container', {});
    return this.#turns.run(request.containerId, async () => {
      const process = await identifyProcess(request.pid);
      if (process === undefined) throw new CodedError('failed_precondition', 'the sandbox has ended', { pid: request.pid });
      const before = this.attachments.get(request.containerId);
      if (before !== undefined && before.process.pid === process.pid && before.process.startTicks === process.startTicks) return attachmentOf(before);
      if (before !== undefined) await this.#remove(before);
      const sysctls = sysctlLines(request.sysctls);
      const host = await this.host();
      const attached = this.attachments.reserve(request, process, (address) => host.isLocal(address, this.networks.bridges()));
      return this.#undoOnFailure(attached, async () => {
        for (const { bridge } of attached.places) await this.#ensureBridge(host, bridge);
        await this.#write(attached, false);
        await this.parts.helper.apply([
          host.spaceLine(),
          spaceLine('guest', process),
          'up guest lo',
          ...attached.places.flatMap((place) => placeLines(attached, place, host.mtu)),
          ...routeLines(attached),
          ...sysctls,
          ...portLines(attached),
        ]);
        await this.#write(attached, true);
        return attachmentOf(attached);
      });
    });
  }

  connect(containerId: string, request: EndpointRequest): Promise<Endpoint> {
    return this.#turns.run(containerId, async () => {
      const attached = this.#attachedOrFail(containerId, request.network);
      const host = await this.host();
      const before = gatewayPlace(attached);
      const place = this.attachments.place(attached, request);
      try {
        await this.#ensureBridge(host, place.bridge);
        await this.#write(attached, false);
        await this.parts.helper.apply([host.spaceLine(), spaceLine('guest', attached.process), ...placeLines(attached, place, host.mtu), ...(before === undefined ? routeLines(attached) : [])]);
        await this.#write(attached, true);
        return endpointOf(place);
      } catch (error) {
        await this.#takeAway(attached, [place]);
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
      const host = await this.host();
      const ports = portTargets(attached).map(portElement);
      const [gateway, first] = [gatewayPlace(attached), attached.places[0]];
      await this.#write(attached, false);
      await this.parts.helper.apply([host.spaceLine(), ...removeLines(attached, [place], gateway === place ? ports : [])]);
      this.attachments.unplace(attached, place);
      if (gateway === place && first !== undefined) await this.parts.helper.apply([host.spaceLine(), spaceLine('guest', attached.process), ...routeLines(attached), ...portLines(attached)]);
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
    const host = this.#open;
    if (host === undefined) return;
    await host.removeBridge(network);
    await this.#listen(host);
  }

  /** Everything. No sandbox runs any more. */
  async drop(): Promise<void> {
    await this.#turns.idle();
    const host = await this.#host;
    for (const attached of this.attachments.all()) this.attachments.release(attached);
    this.release();
    await host?.drop();
    await this.parts.files.drop(this.tenantId);
  }

  /** Of what is in memory; what is set up stays. */
  release(): void {
    this.#names?.close();
    this.#names = undefined;
    this.#open = undefined;
    this.#host = undefined;
  }

  /** Written down like everything else that is open: whoever takes it away must know of it. */
  async #pin(source: Ipv4, addresses: readonly PinnedAddress[]): Promise<void> {
    const asking = this.attachments.at(source);
    if (asking === undefined) return;
    await this.#turns.run(asking.containerId, async () => {
      if (this.attachments.at(source) !== asking) return;
      const now = Date.now();
      for (const [address, until] of asking.pins) if (until <= now) asking.pins.delete(address);
      if (asking.pins.size + addresses.length > MOST_PINS) throw new CodedError('resource_exhausted', `a container has at most ${MOST_PINS} open addresses`, {});
      for (const { address, seconds } of addresses) asking.pins.set(address, Math.max(asking.pins.get(address) ?? 0, now + seconds * 1000));
      await this.#write(asking, true);
      const elements = asking.places.flatMap((place) => addresses.map(({ address }) => pinnedElement(place.address, address, (asking.pins.get(address) ?? now) - now)));
      const host = await this.host();
      await this.parts.helper.apply([host.spaceLine(), ...renewElements('host', HOST_TABLE, elements)]);
    });
  }

  #restore(state: AttachmentState): boolean {
    try {
      this.attachments.restore(state);
      return true;
    } catch (error) {
      this.parts.logger.error({ err: error, tenant: this.tenantId, container: state.containerId }, 'networks: a container has what is not its own');
      return false;
    }
  }

  async #makeHost(): Promise<TenantHost> {
    await this.parts.openGate();
    const host = await TenantHost.make(this.parts);
    this.#opened(host);
    const [bridge] = this.networks.bridges();
    if (bridge !== undefined) await this.#ensureBridge(host, bridge);
    return host;
  }

  #opened(host: TenantHost): void {
    this.#open = host;
    this.#host = Promise.resolve(host);
    const { holders, resolver, logger } = this.parts;
    this.#names = new TenantNames({ socketPath: holders.socketOf(host.holder.uplink), networks: this.networks, attachments: this.attachments, resolver, pin: (source, addresses) => this.#pin(source, addresses), logger });
  }

  async #ensureBridge(host: TenantHost, bridge: BridgeNetwork): Promise<void> {
    if (await host.ensureBridge(bridge)) await this.#listen(host);
  }

  async #listen(host: TenantHost): Promise<void> {
    await this.#names?.listen(host.gateways(this.networks.bridges()));
  }

  async #undoOnFailure<T>(attached: Attached, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (error) {
      await this.#remove(attached);
      throw error;
    }
  }

  /** What is written goes last: until then a restart finds it and sweeps. */
  async #remove(attached: Attached): Promise<void> {
    await this.#takeAway(attached, attached.places);
    this.attachments.release(attached);
    await this.parts.files.remove(this.tenantId, attached.containerId);
  }

  async #takeAway(attached: Attached, places: readonly Place[]): Promise<void> {
    const host = this.#open;
    const ports = places === attached.places ? portTargets(attached).map(portElement) : [];
    if (host !== undefined) await this.parts.helper.apply([host.spaceLine(), ...removeLines(attached, places, ports)]);
  }

  #write(attached: Attached, whole: boolean): Promise<void> {
    return this.parts.files.write(this.tenantId, attached, { whole });
  }

  #attachedOrFail(containerId: string, network: string): Attached {
    const attached = this.attachments.get(containerId);
    if (attached === undefined) throw new CodedError('conflict', `container ${containerId} is not attached to a network, so it cannot be connected to ${network.slice(0, 100)}`, {});
    return attached;
  }
}
