import type { Logger } from '#kernel';
import type { NameResolver } from '../names/name-resolver.js';
import type { Network } from '../networks.js';
import type { NodePublisher } from '../publish/node-publisher.js';
import { AttachmentChanges } from './attachment-changes.js';
import type { TenantAttachments } from './tenant-attachments.js';
import { TenantHost, type TenantHostParts } from './tenant-host.js';
import { TenantNames, type TenantNamesParts } from './tenant-names.js';
import type { BridgeNetwork, TenantNetworks } from './tenant-networks.js';

export interface TenantOpeningParts extends TenantHostParts {
  readonly networks: TenantNetworks;
  readonly attachments: TenantAttachments;
  readonly resolver: NameResolver;
  readonly publisher: NodePublisher;
  readonly pin: TenantNamesParts['pin'];
  /** Readies the node for an uplink. */
  readonly openGate: () => Promise<void>;
  readonly logger: Logger;
}

/** What there is once a tenant has a host name space. */
export interface OpenHost {
  readonly host: TenantHost;
  readonly changes: AttachmentChanges;
  readonly names: TenantNames;
}

/** A tenant's host name space and what this process does for it, from the first call that needs it. */
export class TenantOpening {
  readonly #parts: TenantOpeningParts;
  #opening: Promise<OpenHost> | undefined;
  #open: OpenHost | undefined;

  constructor(parts: TenantOpeningParts) {
    this.#parts = parts;
  }

  /** undefined: there is none yet. */
  get open(): OpenHost | undefined {
    return this.#open;
  }

  ensure(): Promise<OpenHost> {
    this.#opening ??= this.#make().catch((error: unknown) => {
      this.#opening = undefined;
      throw error;
    });
    return this.#opening;
  }

  /** One that a worker before has made. */
  async adopt(host: TenantHost): Promise<OpenHost> {
    const open = this.#opened(host);
    await this.#listen(open);
    return open;
  }

  async ensureBridge(open: OpenHost, bridge: BridgeNetwork): Promise<void> {
    if (await open.host.ensureBridge(bridge)) await this.#listen(open);
  }

  async removeBridge(network: Network): Promise<void> {
    const open = this.#open;
    if (open === undefined) return;
    await open.host.removeBridge(network);
    await this.#listen(open);
  }

  /** What this process does ends; what is set up stays. */
  async release(): Promise<void> {
    const open = this.#open;
    this.#opening = undefined;
    this.#open = undefined;
    open?.names.close();
    await open?.changes.close();
  }

  /** With everything in it. Idempotent. */
  async drop(): Promise<void> {
    const open = await this.#opening;
    await this.release();
    await open?.host.drop();
  }

  /** With the default bridge: its gateway answers for names to the sandboxes of the tenant's host. */
  async #make(): Promise<OpenHost> {
    await this.#parts.openGate();
    const open = this.#opened(await TenantHost.make(this.#parts));
    try {
      const [bridge] = this.#parts.networks.bridges();
      if (bridge !== undefined) await this.ensureBridge(open, bridge);
      return open;
    } catch (error) {
      await this.release();
      await open.host.drop();
      throw error;
    }
  }

  #opened(host: TenantHost): OpenHost {
    const { holders, helper, publisher, networks, attachments, resolver, pin, logger } = this.#parts;
    const names = new TenantNames({ socketPath: holders.socketOf(host.holder.uplink), networks, attachments, resolver, pin, logger });
    const open = { host, names, changes: new AttachmentChanges(host, helper, publisher) };
    this.#open = open;
    this.#opening ??= Promise.resolve(open);
    return open;
  }

  async #listen({ host, names }: OpenHost): Promise<void> {
    await names.listen(host.gateways(this.#parts.networks.bridges()));
  }
}
