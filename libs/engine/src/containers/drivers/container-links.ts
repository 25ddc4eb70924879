import { CodedError, isCodedError, type TenantId } from '#kernel';
import type { Networks } from '../../networks/index.js';
import { hostnameOf, isRunning, type ContainerRecord } from './container-record.js';
import type { HostsEntry } from './hosts-file.js';
import { linkEnvironment } from './link-environment.js';
import { kindOf } from './network-mode.js';
import type { PlannedLink } from './network-plan.js';
import type { NetworkPeer, NetworkPeers } from './network-peers.js';

/** What a container with links finds of those it is linked to. */
export interface LinkTargets {
  readonly env: readonly string[];
  readonly hosts: readonly HostsEntry[];
}

const DEFAULT_BRIDGE = 'bridge';

/** `--link`: who is linked to whom, and where they are. On a network of its own a link is a name; on the default bridge it is the environment as well. */
export class ContainerLinks {
  constructor(
    private readonly networks: Pick<Networks, 'find'>,
    private readonly peers: NetworkPeers,
  ) {}

  /** @throws CodedError `invalid_argument` (`Cannot link to a non running container: /db AS /web/db`) */
  targets(record: ContainerRecord): LinkTargets {
    const { mode, links } = record.network;
    const env: string[] = [];
    const hosts: HostsEntry[] = [];
    for (const link of links) {
      const peer = this.peerOf(record.tenantId, link);
      if (kindOf(mode) === 'bridge') {
        const address = this.requireAddress(record, link, peer);
        env.push(...linkEnvironment({ alias: link.alias, parentName: record.name, address, ports: peer?.record.effective.exposedPorts ?? [], env: peer?.record.effective.env ?? [] }));
      }
      const address = peer === undefined ? undefined : this.addressOf(record, peer);
      if (peer !== undefined && address !== undefined) hosts.push({ address, names: namesOf(link, peer.record) });
    }
    return { env, hosts };
  }

  /** Running containers that are linked to this one, and the entry that each has for it. */
  *followers(record: ContainerRecord): Generator<{ readonly peer: NetworkPeer; readonly entry: HostsEntry }> {
    for (const peer of this.peers.of(record.tenantId)) {
      if (!isRunning(peer.record)) continue;
      for (const link of peer.record.network.links) {
        if (link.containerId !== record.id) continue;
        const address = this.addressOf(peer.record, { record });
        if (address !== undefined) yield { peer, entry: { address, names: namesOf(link, record) } };
      }
    }
  }

  private requireAddress(record: ContainerRecord, { alias, containerId }: PlannedLink, peer: NetworkPeer | undefined): string {
    const name = peer?.record.name ?? containerId;
    if (peer === undefined || !isRunning(peer.record)) throw new CodedError('invalid_argument', `Cannot link to a non running container: /${name} AS /${record.name}/${alias}`);
    const address = this.addressOf(record, peer);
    if (address === undefined) throw new CodedError('invalid_argument', `Cannot link to /${name}, as it does not belong to the default network`);
    return address;
  }

  /** Of the target, on the network of the one that has the link. */
  private addressOf(from: ContainerRecord, { record: { tenantId, id } }: Pick<NetworkPeer, 'record'>): string | undefined {
    const network = kindOf(from.network.mode) === 'bridge' ? DEFAULT_BRIDGE : from.network.mode;
    return this.networks.find(tenantId, id)?.endpoints.find(({ networkName }) => networkName === network)?.ipv4Address;
  }

  /** Undefined: it is no more. */
  private peerOf(tenantId: TenantId, { containerId }: PlannedLink): NetworkPeer | undefined {
    try {
      return this.peers.find(tenantId, containerId);
    } catch (error) {
      if (isCodedError(error, 'not_found')) return undefined;
      throw error;
    }
  }
}

function namesOf({ alias }: PlannedLink, target: ContainerRecord): string[] {
  return [...new Set([alias, hostnameOf(target), target.name])];
}
