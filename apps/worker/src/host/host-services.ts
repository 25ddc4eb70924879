import type { TenantLimits } from '#contracts';
import type { Builder, ContainerFiles, ContainerPorts, ContainerProcesses, Containers, HostEvents, ImageArchives, ImageTransfers, Networks, TenantDisks, TenantImages, Volumes } from '#engine';
import type { TenantId } from '#kernel';
import type { TenantCgroups } from '../engine/tenant-cgroups.js';
import type { ExecDeadlines } from './exec-deadlines.js';
import type { ImageQuotas } from './image-quotas.js';

/** The parts of the engine that a tenant's virtual host is made of. A tenant's name space of images is its id. */
export interface HostServices {
  readonly images: TenantImages;
  readonly archives: ImageArchives;
  readonly transfers: ImageTransfers;
  readonly volumes: Volumes;
  readonly networks: Networks;
  readonly containers: Containers;
  readonly processes: ContainerProcesses;
  readonly ports: ContainerPorts;
  readonly deadlines: Pick<ExecDeadlines, 'set'>;
  readonly files: ContainerFiles;
  readonly builder: Builder;
  readonly disks: TenantDisks;
  readonly events: HostEvents;
  /** One for all that makes sandboxes, runs too: it remembers what each tenant was given. */
  readonly cgroups: Pick<TenantCgroups, 'ensure' | 'forget'>;
  readonly quotas: Pick<ImageQuotas, 'remember' | 'forget'>;
  /** What is behind an URL, under the registry policy (private addresses are refused). Absent: this node fetches none. */
  readonly fetchUrl?: (url: string, signal: AbortSignal) => AsyncIterable<Uint8Array>;
}

/** Before anything that writes on the tenant's disk. */
export async function ensureDisk({ disks }: Pick<HostServices, 'disks'>, tenantId: TenantId, limits: TenantLimits): Promise<void> {
  await disks.ensure(tenantId, limits.storageBytes);
}

/** Before anything of the tenant's runs, or is mounted for a while. */
export async function ensureTenant(services: Pick<HostServices, 'disks' | 'cgroups'>, tenantId: TenantId, limits: TenantLimits): Promise<void> {
  await ensureDisk(services, tenantId, limits);
  await services.cgroups.ensure(tenantId, limits);
}

/** Everything that a tenant has here. Idempotent: what an earlier try has removed is not missed. */
export async function dropTenant(services: HostServices, tenantId: TenantId): Promise<void> {
  const { builder, containers, networks, volumes, disks, images, events, quotas, cgroups } = services;
  await containers.drop(tenantId);
  await networks.drop(tenantId);
  await volumes.drop(tenantId);
  await disks.remove(tenantId);
  await images.drop(tenantId);
  await builder.drop(tenantId);
  await cgroups.forget(tenantId);
  events.forget(tenantId);
  quotas.forget(tenantId);
}
