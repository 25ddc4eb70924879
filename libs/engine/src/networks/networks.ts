import type { TenantId } from '#kernel';

/**
 * A tenant's networks. A tenant's virtual host has a **host name space** of its own (a network name space that the node's root owns): its bridges, the
 * addresses of its containers, its published ports and its packet filter lie in there, so two tenants may use the same subnets and nothing of one
 * can be reached from another. One **uplink** leads out of it, through the node's own table of nftables rules, which lets nothing pass to private,
 * metadata, node or platform addresses whatever a tenant asks for. The host name space and what hangs on it outlive a restart of the worker.
 *
 * A **network** is a bridge in the host name space with a subnet. An **endpoint** is a container's place on a network: a pair of virtual interfaces, an
 * address, names. Records of networks lie on disk; endpoints live as long as their sandbox. Error messages are Docker's where its clients read them.
 */
export interface Networks {
  /** Finds host name spaces again, sweeps what no record names. To be awaited once before all else. */
  recover(): Promise<void>;

  /** `bridge`, `host` and `none` are always there; then the tenant's own, oldest first. */
  list(tenantId: TenantId): Promise<Network[]>;
  /** By name, ID or unique prefix of the ID. @throws CodedError `not_found` (`network X not found`), `invalid_argument` (ambiguous) */
  get(tenantId: TenantId, text: string): Promise<Network>;
  /** @throws CodedError `conflict` (`network with name X already exists`, `Pool overlaps with other one on this address space`), `invalid_argument`, `resource_exhausted` (no subnet left) */
  create(tenantId: TenantId, request: CreateNetwork): Promise<Network>;
  /** @throws CodedError `not_found`, `conflict` (`error while removing network: network X id Y has active endpoints`), `permission_denied` (`X is a pre-defined network and cannot be removed`) */
  remove(tenantId: TenantId, text: string): Promise<void>;
  prune(tenantId: TenantId, accepts: (network: Network) => boolean): Promise<{ readonly removed: readonly string[] }>;

  /**
   * The path of the tenant's host name space (`/proc/<pid>/ns/net`), made with the first call: for sandboxes with `--net host`. Holds until
   * `drop`. Their resolver is the gateway of the network `bridge`; a container's egress policy does not hold there.
   */
  hostNamespace(tenantId: TenantId): Promise<string>;
  /**
   * Gives a sandbox that has just been made its interfaces, addresses, routes and published ports. All or nothing. `pid`: of the sandbox's first
   * process, whose network name space it is. Idempotent for one `containerId` and `pid`.
   * @throws CodedError `not_found` (a network), `conflict` (`Bind for 0.0.0.0:80 failed: port is already allocated`, `Address already in use`), `resource_exhausted`
   */
  attach(tenantId: TenantId, request: AttachRequest): Promise<Attachment>;
  /** One more network for a running container. @throws as `attach`; CodedError `permission_denied` (`endpoint with name X already exists in network Y`) */
  connect(tenantId: TenantId, containerId: string, endpoint: EndpointRequest): Promise<Endpoint>;
  /** @throws CodedError `not_found` (`container X is not connected to network Y`) */
  disconnect(tenantId: TenantId, containerId: string, network: string): Promise<void>;
  /** The sandbox is gone, or goes: frees its addresses, ports and names. Idempotent. */
  detach(tenantId: TenantId, containerId: string): Promise<void>;
  /** A running container has a new name. Idempotent. */
  rename(tenantId: TenantId, containerId: string, name: string): Promise<void>;
  /** What a container has at this moment; undefined: nothing. */
  find(tenantId: TenantId, containerId: string): Attachment | undefined;
  /** Endpoints of a network, for `inspect`. */
  endpoints(tenantId: TenantId, networkId: string): readonly (Endpoint & { readonly containerId: string; readonly containerName: string })[];

  /** Everything of a tenant, its host name space too. No sandbox of it runs any more. Idempotent. */
  drop(tenantId: TenantId): Promise<void>;
  /** Takes down everything on this node: nothing of it is left. For when no sandbox runs any more. */
  close(): Promise<void>;
  /** The worker ends; what is set up stays, and the next one takes it up by `recover`. */
  release(): Promise<void>;
}

export interface Network {
  /** 64 hex digits. */
  readonly id: string;
  readonly name: string;
  readonly tenantId: TenantId;
  readonly createdAt: number;
  readonly driver: 'bridge' | 'host' | 'null';
  /** `172.17.0.0/16`; undefined for `host` and `none`. */
  readonly subnet: string | undefined;
  readonly gateway: string | undefined;
  /** Of the subnet, what addresses are taken from. */
  readonly ipRange: string | undefined;
  /** No way out, and none in but by its own members. */
  readonly internal: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
  /** Names are resolved (all but the default bridge). */
  readonly dns: boolean;
}

export interface CreateNetwork {
  readonly name: string;
  /** `bridge` only: others are `invalid_argument` (`could not find plugin X in v2 plugin registry: plugin "X" not found` is Docker's). */
  readonly driver?: string;
  readonly subnet?: string;
  readonly gateway?: string;
  readonly ipRange?: string;
  readonly internal: boolean;
  readonly labels: Readonly<Record<string, string>>;
  readonly options: Readonly<Record<string, string>>;
}

export interface EndpointRequest {
  /** Name or ID of the network. */
  readonly network: string;
  /** Names it has on this network beside its own and its short ID. */
  readonly aliases: readonly string[];
  readonly ipv4Address?: string;
  readonly macAddress?: string;
}

export interface PortRequest {
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp';
  /** '' or `0.0.0.0`: every address of the tenant's host; `127.0.0.1`: from within the tenant's host (and the node's loopback, where published there) only. */
  readonly hostIp: string;
  /** 0: a free one from 32768 up. */
  readonly hostPort: number;
}

/** What a container may reach outside of its networks. Private, metadata, node and platform addresses stay closed in each case. */
export type EgressPolicy =
  | { readonly kind: 'all' }
  | { readonly kind: 'none' }
  /** Domains (`example.org`, `*.example.org`): the answers that our resolver gave this container are open for their time to live. */
  | { readonly kind: 'allow'; readonly cidrs: readonly string[]; readonly domains: readonly string[] };

export interface AttachRequest {
  readonly containerId: string;
  readonly containerName: string;
  readonly pid: number;
  /** At least one. The first has the default route. */
  readonly endpoints: readonly EndpointRequest[];
  readonly ports: readonly PortRequest[];
  /** Also on the node's address, where the operator lets this tenant (see the driver's options). */
  readonly publishOnNode: boolean;
  readonly egress: EgressPolicy;
  /** `net.*` of the container's own name space, checked by the caller. */
  readonly sysctls: Readonly<Record<string, string>>;
}

export interface Endpoint {
  readonly networkId: string;
  readonly networkName: string;
  readonly endpointId: string;
  readonly interfaceName: string;
  readonly macAddress: string;
  readonly ipv4Address: string;
  readonly prefixLength: number;
  readonly gateway: string;
  readonly aliases: readonly string[];
  /** What the resolver knows it by. */
  readonly dnsNames: readonly string[];
}

export interface PublishedPort {
  readonly containerPort: number;
  readonly protocol: 'tcp' | 'udp';
  readonly hostIp: string;
  readonly hostPort: number;
}

export interface Attachment {
  readonly endpoints: readonly Endpoint[];
  readonly ports: readonly PublishedPort[];
  /** For `/etc/resolv.conf`: our resolver's addresses as the container sees them, at most three; each answers for all of its networks. */
  readonly nameservers: readonly string[];
}
