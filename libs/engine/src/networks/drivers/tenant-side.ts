import { CodedError } from '#kernel';
import { identifyProcess, isRunning, KeyedQueue, type ProcessIdentity } from '../../linux/index.js';
import type { AttachmentState } from '../attachment-state.js';
import type { Ipv4 } from '../ipv4.js';
import type { PinnedAddress } from '../names/name-resolver.js';
import type { Attachment, AttachRequest, Endpoint, EndpointRequest, Network } from '../networks.js';
import { isContainerId, type AttachmentFiles } from './attachment-files.js';
import { attachedElements, sysctlLines } from './attachment-lines.js';
import { attachmentOf, endpointOf, gatewayPlace, type Attached } from './attached.js';
import { failedProgramming, TenantAttachments } from './tenant-attachments.js';
import { TenantHost } from './tenant-host.js';
import type { TenantNetworks } from './tenant-networks.js';
import { TenantOpening, type OpenHost, type TenantOpeningParts } from './tenant-opening.js';

/** A port that we choose may be taken on the node by somebody else. */
const MOST_PORT_TRIES = 32;

export interface TenantSideParts extends Omit<TenantOpeningParts, 'attachments' | 'pin'> {
  readonly files: AttachmentFiles;
}

/** One tenant's containers on its networks. Changes of one container follow one another; containers do not wait for each other. */
export class TenantSide {
  readonly attachments: TenantAttachments;
  readonly #turns = new KeyedQueue();
  readonly #opening: TenantOpening;

  constructor(readonly parts: TenantSideParts) {
    this.attachments = new TenantAttachments(parts.networks);
    this.#opening = new TenantOpening({ ...parts, attachments: this.attachments, pin: (source, addresses) => this.#pin(source, addresses) });
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
    const open = await this.#opening.adopt(await TenantHost.adopt(this.parts, holder, { bridges: networks.bridges(), links, elements: attached.flatMap((one) => attachedElements(one)) }));
    for (const one of attached) await this.#publishAgain(open, one);
  }

  /** The host name space, made with the first call. */
  async host(): Promise<TenantHost> {
    return (await this.#opening.ensure()).host;
  }

  attach(request: AttachRequest): Promise<Attachment> {
    if (!isContainerId(request.containerId)) throw new CodedError('invalid_argument', 'that is no ID of a container', {});
    return this.#turns.run(request.containerId, async () => {
      const process = await identifyProcess(request.pid);
      if (process === undefined) throw new CodedError('failed_precondition', 'the sandbox has ended', { pid: request.pid });
      const sysctls = sysctlLines(request.sysctls);
      const open = await this.#opening.ensure();
      const before = this.attachments.get(request.containerId);
      if (before !== undefined && before.process.pid === process.pid && before.process.startTicks === process.startTicks) {
        await this.#publishAgain(open, before);
        return attachmentOf(before);
      }
      if (before !== undefined) await this.#remove(before);
      const attached = await this.#reserve(request, process, open);
      try {
        for (const { bridge } of attached.places) await this.#opening.ensureBridge(open, bridge);
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
      const open = await this.#opening.ensure();
      const hadGateway = gatewayPlace(attached) !== undefined;
      const place = this.attachments.place(attached, request);
      try {
        await this.#opening.ensureBridge(open, place.bridge);
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
      const open = await this.#opening.ensure();
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
  removeBridge(network: Network): Promise<void> {
    return this.#opening.removeBridge(network);
  }

  /** Everything. No sandbox runs any more. */
  async drop(): Promise<void> {
    await this.#turns.idle();
    for (const attached of this.attachments.all()) this.attachments.release(attached);
    await this.#opening.drop();
    await this.parts.files.drop(this.parts.tenantId);
  }

  /** Of what this process does for them; what is set up stays. */
  release(): Promise<void> {
    return this.#opening.release();
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
      const open = this.#opening.open;
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

  /** What is written goes last: until then a restart finds it and sweeps. */
  async #remove(attached: Attached): Promise<void> {
    await this.#opening.open?.changes.takeAway(attached);
    this.attachments.release(attached);
    await this.parts.files.remove(this.parts.tenantId, attached.containerId);
  }

  #write(attached: Attached, whole: boolean): Promise<void> {
    return this.parts.files.write(this.parts.tenantId, attached, { whole });
  }
}
