import type { Logger } from '#kernel';
import { holds, type Ipv4 } from '../ipv4.js';
import type { NameResolver, PinnedAddress } from '../names/name-resolver.js';
import { NameRelay, type RelayedQuestion } from '../names/name-relay.js';
import type { NameScope } from '../names/name-scope.js';
import type { TenantAttachments } from './tenant-attachments.js';
import type { TenantNetworks } from './tenant-networks.js';

export interface TenantNamesParts {
  readonly socketPath: string;
  readonly networks: TenantNetworks;
  readonly attachments: TenantAttachments;
  readonly resolver: NameResolver;
  /** Opens addresses to whoever asked, as long as it has the address that it asked with. */
  readonly pin: (source: Ipv4, addresses: readonly PinnedAddress[]) => Promise<void>;
  readonly logger: Logger;
}

/** What a tenant's containers are answered when they ask for names. */
export class TenantNames {
  readonly #parts: TenantNamesParts;
  readonly #relay: NameRelay;

  constructor(parts: TenantNamesParts) {
    this.#parts = parts;
    this.#relay = new NameRelay({ path: parts.socketPath, answer: (question) => this.#answer(question), logger: parts.logger });
  }

  listen(gateways: readonly Ipv4[]): Promise<void> {
    return this.#relay.listen(gateways);
  }

  close(): void {
    this.#relay.close();
  }

  #answer({ source, transport, message }: RelayedQuestion): Promise<Buffer | undefined> {
    const { resolver, pin } = this.#parts;
    return resolver.answer({ message, transport, scope: this.#scopeOf(source), pin: (addresses) => pin(source, addresses) });
  }

  /** Of a container; or of the tenant's host itself, whose sandboxes know no members and go out freely. */
  #scopeOf(source: Ipv4): NameScope {
    const { networks, attachments } = this.#parts;
    const attached = attachments.at(source);
    if (attached === undefined) {
      // One that has just been detached is nobody any more.
      const gone = networks.bridges().some(({ subnet, gateway }) => holds(subnet, source) && source !== gateway);
      return { egress: gone ? { kind: 'none' } : { kind: 'all' }, known: [] };
    }
    const shared = attached.places.map(({ bridge }) => bridge).filter(({ network }) => network.dns);
    return {
      egress: attached.egress,
      known: shared.flatMap(({ network, members }) => [...members].map(({ address, owner, names }) => ({ address, containerName: owner.containerName, networkName: network.name, names: names() }))),
    };
  }
}
