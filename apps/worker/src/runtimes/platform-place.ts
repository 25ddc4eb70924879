import { availableParallelism, totalmem } from 'node:os';
import { tenantLimitsSchema } from '#contracts';
import type { HostServices } from '../host/host-services.js';
import { PLATFORM_TENANT } from './platform-tenant.js';

const GiB = 1024 ** 3;
/** For the files of one or two installations at a time. */
const DISK_BYTES = 12 * GiB;

/** A disk and a cgroup for the platform's builds while `work` goes on; they and the networks go with it. */
export async function withPlatformPlace<T>({ cgroups, disks, networks, volumes }: Pick<HostServices, 'cgroups' | 'disks' | 'networks' | 'volumes'>, work: () => Promise<T>): Promise<T> {
  await cgroups.ensure(PLATFORM_TENANT, tenantLimitsSchema.parse({ memoryBytes: totalmem(), cpuMillis: availableParallelism() * 1000 }));
  await disks.ensure(PLATFORM_TENANT, DISK_BYTES);
  try {
    return await work();
  } finally {
    await networks.drop(PLATFORM_TENANT);
    await volumes.drop(PLATFORM_TENANT);
    await disks.remove(PLATFORM_TENANT);
  }
}
