import { Inject, Injectable } from '@nestjs/common';
import { tenantLimitsSchema } from '#contracts';
import { isCodedError, type Logger } from '#kernel';
import type { HostDrop, Repositories } from '#persistence';
import { LOGGER, REPOSITORIES } from '../platform/platform.js';
import { RemoteTenantHosts } from './remote-tenant-hosts.service.js';

const BATCH = 100;

/** Has nodes remove the virtual hosts of deleted tenants. A row says what is left to do, so nothing is forgotten while a node is away. */
@Injectable()
export class HostDrops {
  private running: Promise<void> | undefined;

  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    private readonly hosts: RemoteTenantHosts,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /** At once, without being waited for. What fails is the reconciler's. */
  soon(): void {
    this.round().catch((error: unknown) => {
      this.logger.warn({ err: error }, 'could not drop the hosts of deleted tenants');
    });
  }

  /** One at a time here; a second gateway that does the same does no harm. */
  round(): Promise<void> {
    this.running ??= this.dropAll().finally(() => {
      this.running = undefined;
    });
    return this.running;
  }

  private async dropAll(): Promise<void> {
    for (const drop of await this.repositories.tenants.listDrops(BATCH)) await this.drop(drop);
  }

  private async drop({ tenantId, nodeId }: HostDrop): Promise<void> {
    try {
      await this.hosts.at(nodeId, { id: tenantId, limits: tenantLimitsSchema.parse({}) }).drop();
      await this.repositories.tenants.forgetDrop(tenantId);
      this.logger.info({ tenantId, nodeId }, 'dropped the host of a deleted tenant');
    } catch (error) {
      if (isCodedError(error, 'unavailable')) this.logger.debug({ tenantId, nodeId }, 'the host of a deleted tenant is still to be dropped: its node is away');
      else this.logger.warn({ err: error, tenantId, nodeId }, 'the host of a deleted tenant could not be dropped');
    }
  }
}
