import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { HealthMetricsModule } from '../health/gateway-metrics.module.js';
import { RunsModule } from '../runs/runs.module.js';
import { RunLogReader } from './run-log-reader.service.js';
import { RunLogsController } from './run-logs.controller.js';
import { RunLogsGateway } from './run-logs.gateway.js';
import { TicketsController } from './tickets.controller.js';
import { UpgradeAuthenticator } from './upgrade-authenticator.service.js';

@Module({
  imports: [AuthModule, HealthMetricsModule, RunsModule],
  controllers: [RunLogsController, TicketsController],
  providers: [RunLogReader, RunLogsGateway, UpgradeAuthenticator],
  exports: [UpgradeAuthenticator],
})
export class StreamsModule {}
