import { Inject, Injectable } from '@nestjs/common';
import type { RegistryAuthBody, TenantLimits } from '#contracts';
import { isCodedError, type Clock, type Logger, type OperationId } from '#kernel';
import type { Operation } from '#persistence';
import { SealedAuth, type OperationQueue } from '#queue';
import { OperationFinisher } from '../control/operation-finisher.service.js';
import { HomeNodes } from '../nodes/home-nodes.service.js';
import { NodeRpcClient } from '../nodes/node-rpc.client.js';
import { CLOCK, LOGGER, OPERATION_QUEUE, SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';

/** The nodes that execute operations. */
@Injectable()
export class OperationNodes {
  constructor(
    private readonly homes: HomeNodes,
    private readonly rpc: NodeRpcClient,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async cancel(nodeId: Operation['nodeId'], id: OperationId): Promise<void> {
    try {
      await this.rpc.cancelOperation(await this.homes.rpcUrlOf(nodeId), id);
    } catch (error) {
      // Just ended, or its node is away: the reconciler asks again.
      if (!isCodedError(error) || (error.code !== 'not_found' && error.code !== 'unavailable')) throw error;
      this.logger.info({ operationId: id, reason: error.code }, 'a cancel did not reach its operation');
    }
  }
}

/** The job behind an operation's row: put into its node's queue, taken out of it, ended where it is executed. */
@Injectable()
export class OperationJobs {
  private readonly sealed: SealedAuth;

  constructor(
    @Inject(OPERATION_QUEUE) private readonly queue: OperationQueue,
    @Inject(SETTINGS) settings: GatewaySettings,
    private readonly finisher: OperationFinisher,
    private readonly nodes: OperationNodes,
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
    else await this.nodes.cancel(operation.nodeId, operation.id);
  }

  async endCancelled({ tenantId, id }: Operation): Promise<void> {
    await this.finisher.finish(tenantId, id, new Date(this.clock.now()), { state: 'cancelled', result: null, error: { code: 'cancelled', message: 'the operation was cancelled' } });
  }

  async fail({ tenantId, id }: Operation, message: string): Promise<void> {
    await this.finisher.finish(tenantId, id, new Date(this.clock.now()), { state: 'failed', result: null, error: { code: 'unavailable', message } });
  }
}
