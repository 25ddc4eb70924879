import { asError, CodedError, isCodedError, type TenantId } from '#kernel';
import type { Endpoint, EndpointRequest } from '../../networks/index.js';
import type { NetworkPin, SandboxMount, SandboxNetwork } from '../../runtime/index.js';
import type { ContainerNetwork as ContainerNetworkView, CreateContainer } from '../containers.js';
import { ContainerLinks, type LinkTargets } from './container-links.js';
import { domainHostnameOf, hostnameOf, isRunning, type ContainerRecord } from './container-record.js';
import type { TenantContainersOptions } from './container-services.js';
import type { ContainerStorage } from './container-storage.js';
import { withAddress, withEntry, withoutEntry, withoutName, type HostsEntry } from './hosts-file.js';
import { attachFailure } from './network-failures.js';
import { attachRequest, endpointRequest, NOWHERE, ownEntries, resolverOf, wantedHosts, whereaboutsOf, whereaboutsOfHost, type Whereabouts } from './network-settings.js';
import { refuseConnect, refuseDisconnect } from './network-connections.js';
import { NetworkFiles } from './network-files.js';
import { isAttached, kindOf, sharedContainer } from './network-mode.js';
import { planEndpoint, planNetwork, type PlannedNetwork } from './network-plan.js';
import type { NetworkPeers } from './network-peers.js';
import { networkView } from './network-view.js';
import { parseLink } from './network-words.js';

/** What a start gives the sandbox for its network. To be closed when the sandbox is made, or not. */
export interface OpenNetwork {
  readonly sandbox: SandboxNetwork;
  readonly mounts: readonly SandboxMount[];
  /** Of the sandbox: another's where the network is another's. */
  readonly hostname: string;
  readonly domainHostname: string;
  /** Of the container's links. */
  readonly env: readonly string[];
  close(): Promise<void>;
}

/**
 * A container's part in networks, from its request to its last address. Whatever is attached is detached by whoever ends the sandbox: detaching comes
 * before the record says that nothing runs, so that a crash in between is carried out by the next worker.
 */
export class ContainerNetwork {
  private readonly files: NetworkFiles;
  private readonly links: ContainerLinks;

  constructor(
    private readonly services: Pick<TenantContainersOptions, 'networks' | 'events' | 'logger'>,
    private readonly storage: ContainerStorage,
    private readonly peers: NetworkPeers,
  ) {
    this.files = new NetworkFiles(services.logger);
    this.links = new ContainerLinks(services.networks, peers);
  }

  /** @throws CodedError `invalid_argument` */
  plan(tenantId: TenantId, request: CreateContainer): Promise<PlannedNetwork> {
    const container = (text: string) => {
      const { record } = this.peers.find(tenantId, text);
      return { id: record.id, mode: record.network.mode };
    };
    return planNetwork(request, { tenantId, networks: this.services.networks, container });
  }

  /** @throws CodedError `conflict` (`cannot join network of a non running container: ID`), `not_found`, `invalid_argument` (links) */
  async open(record: ContainerRecord): Promise<OpenNetwork> {
    const shared = sharedContainer(record.network);
    if (shared !== undefined) return this.openShared(record, shared);
    const targets = this.links.targets(record);
    const folder = await this.storage.networkFolder(record);
    const onHost = kindOf(record.network.mode) === 'host';
    await this.writeFiles(record, folder, targets, onHost ? whereaboutsOfHost(await this.services.networks.get(record.tenantId, 'bridge')) : NOWHERE);
    const sandbox = onHost ? { join: await this.services.networks.hostNamespace(record.tenantId) } : 'none';
    return { sandbox, mounts: this.mounts(record, folder), hostname: hostnameOf(record), domainHostname: domainHostnameOf(record), env: targets.env, close: () => Promise.resolve() };
  }

  /** Before the process begins. @throws CodedError as `Networks.attach` */
  async attach(record: ContainerRecord, pid: number): Promise<void> {
    if (!isAttached(record.network)) {
      this.tellPlanned(record, 'connect');
      return;
    }
    const attachment = await this.services.networks.attach(record.tenantId, attachRequest(record, pid)).catch((error: unknown) => {
      throw attachFailure(record, error);
    });
    await this.writeFiles(record, await this.storage.networkFolder(record), this.links.targets(record), whereaboutsOf(attachment));
    for (const { networkId, networkName } of attachment.endpoints) this.tell(record, 'connect', { id: networkId, name: networkName });
    await this.tellFollowers(record);
  }

  /** For a container that another life of the worker has started. Never fails: it runs, whatever has become of its network. */
  async adopt(record: ContainerRecord, pid: number): Promise<void> {
    if (!isAttached(record.network)) return;
    try {
      await this.services.networks.attach(record.tenantId, attachRequest(record, pid));
    } catch (error) {
      this.services.logger.error({ err: asError(error), container: record.id }, 'containers: the network of a running container cannot be taken up again');
    }
  }

  /** The sandbox is gone, or goes. Never fails: what cannot be freed now is found by `Networks.recover`. */
  async detach(record: ContainerRecord): Promise<void> {
    const { networks, logger } = this.services;
    const { tenantId, id } = record;
    const endpoints = networks.find(tenantId, id)?.endpoints ?? [];
    try {
      await networks.detach(tenantId, id);
    } catch (error) {
      logger.error({ err: asError(error), container: id }, 'containers: the network of a container cannot be taken down');
    }
    for (const { networkId, networkName } of endpoints) this.tell(record, 'disconnect', { id: networkId, name: networkName });
    if (!isAttached(record.network) && isRunning(record)) this.tellPlanned(record, 'disconnect');
  }

  /** `pid`: of the sandbox, when it runs. @returns the plan with the network in it @throws CodedError */
  async connect(record: ContainerRecord, endpoint: EndpointRequest, pid: number | undefined): Promise<PlannedNetwork> {
    const { networks } = this.services;
    const { tenantId, id } = record;
    const planned = await planEndpoint(endpoint, { tenantId, networks });
    refuseConnect(record, planned, endpoint.network);
    const network = { ...record.network, endpoints: [...record.network.endpoints, planned] };
    if (pid === undefined) return network;
    // Of a container without any network so far nothing is there to be added to.
    if (networks.find(tenantId, id) === undefined) await this.attach({ ...record, network }, pid);
    else await this.added(record, await networks.connect(tenantId, id, endpointRequest(record, planned)));
    return network;
  }

  async disconnect(record: ContainerRecord, text: string, options: { readonly force: boolean }): Promise<PlannedNetwork> {
    const { networks } = this.services;
    const { tenantId, id, network } = record;
    const found = await networks.get(tenantId, text).catch((error: unknown) => {
      if (!options.force || !isCodedError(error, 'not_found')) throw error;
      return { name: text, id: '' };
    });
    refuseDisconnect(record, found.name);
    const endpoint = networks.find(tenantId, id)?.endpoints.find(({ networkName }) => networkName === found.name);
    if (endpoint !== undefined) {
      await networks.disconnect(tenantId, id, found.name);
      for (const entry of ownEntries(record, [endpoint])) await this.editHosts(record, (hosts) => withoutEntry(hosts, entry));
      this.tell(record, 'disconnect', { id: endpoint.networkId, name: found.name });
    }
    return { ...network, endpoints: network.endpoints.filter(({ network: name }) => name !== found.name) };
  }

  async rename(record: ContainerRecord): Promise<void> {
    const { networks } = this.services;
    if (networks.find(record.tenantId, record.id) !== undefined) await networks.rename(record.tenantId, record.id, record.name);
  }

  view({ tenantId, id, network }: ContainerRecord): ContainerNetworkView {
    return networkView(network, this.services.networks.find(tenantId, id));
  }

  private async added(record: ContainerRecord, endpoint: Endpoint): Promise<void> {
    for (const entry of ownEntries(record, [endpoint])) await this.editHosts(record, (text) => withEntry(text, entry));
    this.tell(record, 'connect', { id: endpoint.networkId, name: endpoint.networkName });
  }

  private async openShared(record: ContainerRecord, text: string): Promise<OpenNetwork> {
    const { record: other, sandbox } = this.peers.find(record.tenantId, text);
    if (other.id === record.id) throw new CodedError('invalid_argument', 'cannot join own network namespace');
    if (other.status === 'restarting') throw new CodedError('conflict', `Container ${other.id} is restarting, wait until the container is running`);
    if (!isRunning(other) || sandbox === undefined) throw new CodedError('conflict', `cannot join network of a non running container: ${other.id}`);
    const pin: NetworkPin = await sandbox.pinNetwork();
    const owner = this.ownerOf(other);
    return { sandbox: { join: pin.path }, mounts: this.mounts(record, await this.storage.networkFolder(owner)), hostname: hostnameOf(owner), domainHostname: domainHostnameOf(owner), env: [], close: () => pin.release() };
  }

  /** The record without a link, whose line in the hosts file goes at once. @throws CodedError `not_found` */
  async unlink(record: ContainerRecord, alias: string): Promise<Pick<ContainerRecord, 'network' | 'request'>> {
    const { network, request } = record;
    if (!network.links.some((link) => link.alias === alias)) throw new CodedError('not_found', `No such link: /${record.name}/${alias}`);
    if (isRunning(record)) await this.editHosts(record, (text) => withoutName(text, alias));
    const kept = (text: string): boolean => parseLink(text).alias !== alias;
    return {
      network: { ...network, links: network.links.filter((link) => link.alias !== alias) },
      request: request.network === undefined ? request : { ...request, network: { ...request.network, links: request.network.links.filter(kept) } },
    };
  }

  /** Whose files a container shows that may itself share another's. */
  private ownerOf(record: ContainerRecord): ContainerRecord {
    const shared = sharedContainer(record.network);
    return shared === undefined ? record : this.ownerOf(this.peers.find(record.tenantId, shared).record);
  }

  private mounts({ mounts, request }: ContainerRecord, folder: string): SandboxMount[] {
    return this.files.mounts(folder, { readOnly: request.readOnlyRootfs, taken: new Set(mounts.map(({ destination }) => destination)) });
  }

  private async writeFiles(record: ContainerRecord, folder: string, { hosts }: LinkTargets, where: Whereabouts): Promise<void> {
    const entries: HostsEntry[] = [...wantedHosts(record, where), ...hosts, ...ownEntries(record, where.endpoints)];
    await this.files.write(folder, { hosts: entries, hostname: hostnameOf(record), resolver: resolverOf(record, where) });
  }

  private async tellFollowers(record: ContainerRecord): Promise<void> {
    for (const { peer, entry } of this.links.followers(record)) {
      await this.editHosts(peer.record, (text) => withAddress(text, entry.names[0] ?? '', entry.address));
    }
  }

  private async editHosts(record: ContainerRecord, edit: (text: string) => string): Promise<void> {
    await this.files.editHosts(await this.storage.networkFolder(record), edit);
  }

  /** Of networks that give no interface. */
  private tellPlanned(record: ContainerRecord, action: 'connect' | 'disconnect'): void {
    for (const { networkId, network } of record.network.endpoints) if (networkId !== '') this.tell(record, action, { id: networkId, name: network });
  }

  private tell({ tenantId, id }: ContainerRecord, action: 'connect' | 'disconnect', { id: networkId, name }: { readonly id: string; readonly name: string }): void {
    const type = name === 'host' ? 'host' : name === 'none' ? 'null' : 'bridge';
    this.services.events.publish(tenantId, { type: 'network', action, id: networkId, attributes: { container: id, name, type } });
  }
}
