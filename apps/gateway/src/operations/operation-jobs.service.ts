import { Inject, Injectable } from '@nestjs/common';
import type { RegistryAuthBody, TenantLimits } from '#contracts';
import type { Clock } from '#kernel';
import type { Operation } from '#persistence';
import { SealedAuth, type OperationQueue } from '#queue';
import { OperationFinisher } from '../control/operation-finisher.service.js';
import { NodeJobs } from '../nodes/node-jobs.service.js';
import { CLOCK, OPERATION_QUEUE, SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';

/** The job behind an operation's row: put into its node's queue, taken out of it, ended where it is executed. */
@Injectable()
export class OperationJobs {
  private readonly sealed: SealedAuth;

  constructor(
    @Inject(OPERATION_QUEUE) private readonly queue: OperationQueue,
    @Inject(SETTINGS) settings: GatewaySettings,
    private readonly finisher: OperationFinisher,
    private readonly nodes: NodeJobs,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {
    this.sealed = new SealedAuth(settings.nodeRpcToken);
  }

  /** Idempotent. */
  async enqueue(operation: Operation, limits: Pick<TenantLimits, 'concurrentOperations' | 'imageBytes'>, auth?: RegistryAuthBody): Promise<void> {
    const { id, tenantId, requestId, kind, reference, platform, nodeId } = operation;
    await this.queue.enqueue(nodeId, {
      operationId: id,
      tenantId,
      requestId,
      kind,
      reference,
      concurrentOperations: limits.concurrentOperations,
      imageBytes: limits.imageBytes,
      ...(platform === null ? {} : { platform }),
      ...(auth === undefined ? {} : { sealedAuth: this.sealed.seal(id, auth) }),
    });
  }

  has({ nodeId, id }: Pick<Operation, 'nodeId' | 'id'>): Promise<boolean> {
    return this.queue.has(nodeId, id);
  }

  /** The wish is in the row. Also the reconciler's: repeats a cancel that its node did not hear. */
  async cancel(operation: Operation): Promise<void> {
    if (await this.queue.remove(operation.nodeId, operation.id)) await this.endCancelled(operation);
    else await this.nodes.cancel('operations', operation.nodeId, operation.id);
  }

  async endCancelled({ tenantId, id }: Operation): Promise<void> {
    await this.finisher.finish(tenantId, id, new Date(this.clock.now()), { state: 'cancelled', result: null, error: { code: 'cancelled', message: 'the operation was cancelled' } });
  }

  async fail({ tenantId, id }: Operation, message: string): Promise<void> {
    await this.finisher.finish(tenantId, id, new Date(this.clock.now()), { state: 'failed', result: null, error: { code: 'unavailable', message } });
  }
}
