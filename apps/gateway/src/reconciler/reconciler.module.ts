import { Module } from '@nestjs/common';
import { BuildsModule } from '../builds/builds.module.js';
import { ControlModule } from '../control/control.module.js';
import { HealthMetricsModule } from '../health/gateway-metrics.module.js';
import { NodesModule } from '../nodes/nodes.module.js';
import { OperationsModule } from '../operations/operations.module.js';
import { RunsModule } from '../runs/runs.module.js';
import { TenantDirectoryModule } from '../tenants/tenant-directory.module.js';
import { AdmissionRepair } from './admission-repair.service.js';
import { BuildReconciler, GoneBuilds } from './build-reconciler.service.js';
import { EvidenceGatherer } from './evidence-gatherer.service.js';
import { HostRounds } from './host-rounds.service.js';
import { OperationEnds, OperationReconciler } from './operation-reconciler.service.js';
import { Reconciler } from './reconciler.service.js';
import { Retention } from './retention.service.js';
import { RunEnds } from './run-ends.service.js';
import { RunReconciler } from './run-reconciler.service.js';

@Module({
  imports: [BuildsModule, ControlModule, HealthMetricsModule, NodesModule, OperationsModule, RunsModule, TenantDirectoryModule],
  providers: [AdmissionRepair, BuildReconciler, EvidenceGatherer, GoneBuilds, HostRounds, OperationEnds, OperationReconciler, Reconciler, Retention, RunEnds, RunReconciler],
  exports: [BuildReconciler, OperationReconciler, RunReconciler],
})
export class ReconcilerModule {}
