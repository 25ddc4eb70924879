import { Module } from '@nestjs/common';
import { HealthMetricsModule } from '../health/gateway-metrics.module.js';
import { TenantDirectoryModule } from '../tenants/tenant-directory.module.js';
import { BuildEvents } from './build-events.service.js';
import { BuildFinisher } from './build-finisher.service.js';
import { NodeEventsConsumer } from './node-events.consumer.js';
import { NodeEventsService } from './node-events.service.js';
import { OperationEvents } from './operation-events.service.js';
import { OperationFinisher } from './operation-finisher.service.js';
import { RunAbandonment } from './run-abandonment.service.js';
import { RunDispatcher } from './run-dispatcher.service.js';
import { RunAftermath, RunFinisher } from './run-finisher.service.js';
import { RunLogArchive } from './run-log-archive.service.js';
import { RunMeasurements } from './run-measurements.service.js';
import { SettlementJournal } from './settlement-journal.js';

@Module({
  imports: [HealthMetricsModule, TenantDirectoryModule],
  providers: [BuildEvents, BuildFinisher, NodeEventsConsumer, NodeEventsService, OperationEvents, OperationFinisher, RunAbandonment, RunAftermath, RunDispatcher, RunFinisher, RunLogArchive, RunMeasurements, SettlementJournal],
  exports: [BuildFinisher, NodeEventsService, OperationFinisher, RunAbandonment, RunDispatcher, RunFinisher],
})
export class ControlModule {}
