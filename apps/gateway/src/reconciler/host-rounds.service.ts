import { Injectable } from '@nestjs/common';
import { HostDrops } from '../nodes/host-drops.service.js';
import { BuildReconciler } from './build-reconciler.service.js';
import { OperationReconciler } from './operation-reconciler.service.js';

/** What there is to reconcile about the tenants' virtual hosts. */
@Injectable()
export class HostRounds {
  constructor(
    private readonly operations: OperationReconciler,
    private readonly builds: BuildReconciler,
    private readonly drops: HostDrops,
  ) {}

  async round(): Promise<void> {
    await this.operations.round();
    await this.builds.round();
    await this.drops.round();
  }
}
