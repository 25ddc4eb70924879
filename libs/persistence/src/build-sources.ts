import type { BuildDeliveryView, BuildSourceSpec, Page } from '#contracts';
import type { BuildId, BuildSourceId, DeliveryId, TenantId } from '#kernel';
import type { Tenant } from './tenant.js';

export interface BuildSource {
  readonly id: BuildSourceId;
  readonly tenantId: TenantId;
  /** One of the tenant's. */
  readonly name: string;
  /** What the address of its webhook ends with. */
  readonly hook: string;
  readonly spec: BuildSourceSpec;
  /** Opaque here: the gateway has the key. */
  readonly sealedValues: Buffer;
  readonly sealedSecret: Buffer;
  /** Rises with each change. */
  readonly revision: number;
  readonly createdAt: Date;
  readonly lastDeliveryAt: Date | null;
  readonly lastBuildId: BuildId | null;
}

export type NewBuildSource = Pick<BuildSource, 'id' | 'name' | 'hook' | 'spec' | 'sealedValues' | 'sealedSecret' | 'createdAt'>;

export interface BuildSourceRepository {
  /** @throws CodedError `already_exists` (name, hook or id taken), `quota_exceeded` (there are `max`), `not_found` (no such tenant) */
  create(tenantId: TenantId, source: NewBuildSource, options: { readonly max: number }): Promise<BuildSource>;
  find(tenantId: TenantId, by: { readonly id: BuildSourceId } | { readonly name: string }): Promise<BuildSource | undefined>;
  /** Reads without a tenant: it is what finds the tenant. */
  findByHook(hook: string): Promise<{ readonly source: BuildSource; readonly tenant: Tenant } | undefined>;
  /** Oldest first. @throws CodedError `invalid_argument` (a cursor that is none) */
  list(tenantId: TenantId, query: { readonly limit: number; readonly cursor?: string | undefined }): Promise<Page<BuildSource>>;
  /** @throws CodedError `not_found`, `conflict` (it has another revision by now) */
  update(tenantId: TenantId, id: BuildSourceId, revision: number, change: Partial<Pick<BuildSource, 'spec' | 'sealedValues' | 'sealedSecret'>>): Promise<BuildSource>;
  /** Notes a build that no delivery asked for. */
  noteBuild(tenantId: TenantId, id: BuildSourceId, buildId: BuildId): Promise<void>;
  /** With its deliveries; its builds stay. @throws CodedError `not_found` */
  delete(tenantId: TenantId, id: BuildSourceId): Promise<void>;
}

export interface BuildDelivery {
  readonly id: DeliveryId;
  readonly tenantId: TenantId;
  readonly sourceId: BuildSourceId;
  readonly key: string;
  readonly digest: Buffer | null;
  readonly event: string;
  readonly ref: string | null;
  readonly commit: string | null;
  readonly state: BuildDeliveryView['state'];
  readonly reason: string | null;
  readonly buildId: BuildId | null;
  readonly receivedAt: Date;
}

export type NewBuildDelivery = Omit<BuildDelivery, 'tenantId' | 'sourceId'>;

export interface BuildDeliveryRepository {
  /**
   * Inserts it, or gives back the earlier one that has its key or its digest. The oldest beyond `keep` of the source go.
   * @throws CodedError `not_found` (no such source)
   */
  record(tenantId: TenantId, sourceId: BuildSourceId, delivery: NewBuildDelivery, options: { readonly keep: number }): Promise<{ readonly delivery: BuildDelivery; readonly created: boolean }>;
  /** What became of it; one that was built stays so. A build is noted at its source too. */
  settle(tenantId: TenantId, id: DeliveryId, end: Pick<BuildDelivery, 'state' | 'reason' | 'buildId'>): Promise<void>;
  /** Newest first. @throws CodedError `invalid_argument` (a cursor that is none) */
  list(tenantId: TenantId, sourceId: BuildSourceId, query: { readonly limit: number; readonly cursor?: string | undefined }): Promise<Page<BuildDelivery>>;
}
