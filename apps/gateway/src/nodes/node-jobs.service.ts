import { Inject, Injectable } from '@nestjs/common';
import { isCodedError, type BuildId, type Logger, type NodeId, type OperationId } from '#kernel';
import { LOGGER } from '../platform/platform.js';
import { HomeNodes } from './home-nodes.service.js';
import { NodeRpcClient } from './node-rpc.client.js';

/** The nodes that carry out the jobs of their tenants. */
@Injectable()
export class NodeJobs {
  constructor(
    private readonly homes: HomeNodes,
    private readonly rpc: NodeRpcClient,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async cancel(kind: 'operations' | 'builds', nodeId: NodeId, id: OperationId | BuildId): Promise<void> {
    try {
      await this.rpc.cancelJob(await this.homes.rpcUrlOf(nodeId), kind, id);
    } catch (error) {
      // Just ended, or its node is away: the reconciler asks again.
      if (!isCodedError(error) || (error.code !== 'not_found' && error.code !== 'unavailable')) throw error;
      this.logger.info({ id, reason: error.code }, 'a cancel did not reach what it was to end');
    }
  }
}
