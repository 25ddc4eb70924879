import { spawn, type ChildProcess } from 'node:child_process';
import { createHash } from 'node:crypto';
import { CodedError, type TenantId } from '#kernel';
import type { AttachRequest, Attachment, Endpoint, EndpointRequest, Network, Networks, PublishedPort } from '../../networks/index.js';

const sha = (text: string): string => createHash('sha256').update(text).digest('hex');

/** Networks on paper: addresses, ports and names are kept as the real ones keep them, and no interface is made. A restart of the worker loses none. */
export class MemoryNetworks implements Pick<Networks, 'get' | 'hostNamespace' | 'attach' | 'connect' | 'disconnect' | 'detach' | 'rename' | 'find'> {
  readonly attached = new Map<string, Attachment & { readonly request: AttachRequest }>();
  readonly own = new Map<string, string>();
  /** Of what is asked to be attached, in order. */
  readonly asked: AttachRequest[] = [];
  private addresses = 1;
  private host: ChildProcess | undefined;

  get(tenantId: TenantId, text: string): Promise<Network> {
    for (const name of ['bridge', 'host', 'none', ...this.own.keys()]) if (name === text || this.idOf(tenantId, name).startsWith(text)) return Promise.resolve(this.network(tenantId, name));
    return Promise.reject(new CodedError('not_found', `network ${text} not found`));
  }

  hostNamespace(): Promise<string> {
    this.host ??= spawn('unshare', ['--net', 'sleep', 'infinity'], { stdio: 'ignore' });
    return new Promise((resolve) => setTimeout(() => { resolve(`/proc/${this.host?.pid ?? 0}/ns/net`); }, 200));
  }

  async attach(tenantId: TenantId, request: AttachRequest): Promise<Attachment> {
    this.asked.push(request);
    const key = `${tenantId}/${request.containerId}`;
    const known = this.attached.get(key);
    if (known?.request.pid === request.pid) return known;
    const endpoints: Endpoint[] = [];
    for (const endpoint of request.endpoints) endpoints.push(await this.endpoint(tenantId, request, endpoint));
    const ports: PublishedPort[] = [];
    for (const port of request.ports) ports.push(this.publish(tenantId, port, ports));
    const attachment = { request, endpoints, ports, nameservers: ['127.0.0.11'] };
    this.attached.set(key, attachment);
    return attachment;
  }

  async connect(tenantId: TenantId, containerId: string, endpoint: EndpointRequest): Promise<Endpoint> {
    const key = `${tenantId}/${containerId}`;
    const attachment = this.attached.get(key);
    if (attachment === undefined) throw new CodedError('not_found', 'not attached');
    const made = await this.endpoint(tenantId, attachment.request, endpoint);
    this.attached.set(key, { ...attachment, endpoints: [...attachment.endpoints, made] });
    return made;
  }

  disconnect(tenantId: TenantId, containerId: string, network: string): Promise<void> {
    const key = `${tenantId}/${containerId}`;
    const attachment = this.attached.get(key);
    if (attachment === undefined) throw new CodedError('not_found', `container ${containerId} is not connected to network ${network}`);
    this.attached.set(key, { ...attachment, endpoints: attachment.endpoints.filter(({ networkName }) => networkName !== network) });
    return Promise.resolve();
  }

  detach(tenantId: TenantId, containerId: string): Promise<void> {
    this.attached.delete(`${tenantId}/${containerId}`);
    return Promise.resolve();
  }

  rename(): Promise<void> {
    return Promise.resolve();
  }

  find(tenantId: TenantId, containerId: string): Attachment | undefined {
    return this.attached.get(`${tenantId}/${containerId}`);
  }

  close(): void {
    this.host?.kill('SIGKILL');
  }

  private async endpoint(tenantId: TenantId, { containerId, containerName }: AttachRequest, request: EndpointRequest): Promise<Endpoint> {
    const { id, name } = await this.get(tenantId, request.network);
    this.addresses += 1;
    const ipv4Address = request.ipv4Address ?? `172.17.0.${this.addresses}`;
    return {
      networkId: id, networkName: name, endpointId: sha(`${containerId}${name}`), interfaceName: 'eth0', macAddress: request.macAddress ?? '02:42:ac:11:00:02',
      ipv4Address, prefixLength: 16, gateway: '172.17.0.1', aliases: request.aliases, dnsNames: [containerName, ...request.aliases, containerId.slice(0, 12)],
    };
  }

  private publish(tenantId: TenantId, { containerPort, protocol, hostIp, hostPort }: PublishedPort, others: readonly PublishedPort[]): PublishedPort {
    const taken = new Set([...[...this.attached].filter(([key]) => key.startsWith(tenantId)).flatMap(([, { ports }]) => ports), ...others].map((port) => port.hostPort));
    let free = 32_768;
    while (taken.has(free)) free += 1;
    if (taken.has(hostPort)) throw new CodedError('conflict', `Bind for ${hostIp || '0.0.0.0'}:${hostPort} failed: port is already allocated`);
    return { containerPort, protocol, hostIp: hostIp === '' ? '0.0.0.0' : hostIp, hostPort: hostPort === 0 ? free : hostPort };
  }

  private idOf(tenantId: TenantId, name: string): string {
    return sha(`${tenantId}${name}`);
  }

  private network(tenantId: TenantId, name: string): Network {
    const driver = name === 'host' ? 'host' : name === 'none' ? 'null' : 'bridge';
    return { id: this.idOf(tenantId, name), name, tenantId, createdAt: 0, driver, subnet: '172.17.0.0/16', gateway: '172.17.0.1', ipRange: undefined, internal: false, labels: {}, options: {}, dns: name !== 'bridge' };
  }
}
