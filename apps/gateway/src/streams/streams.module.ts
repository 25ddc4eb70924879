import { Module } from '@nestjs/common';
import { RunsModule } from '../runs/runs.module.js';
import { LogsModule } from './logs.module.js';
import { RunLogReader } from './run-log-reader.service.js';
import { RunLogsController } from './run-logs.controller.js';
import { RunLogsGateway } from './run-logs.gateway.js';
import { TicketsController } from './tickets.controller.js';
import { UpgradesModule } from './upgrades.module.js';

@Module({
  imports: [LogsModule, RunsModule, UpgradesModule],
  controllers: [RunLogsController, TicketsController],
  providers: [RunLogReader, RunLogsGateway],
  exports: [UpgradesModule],
})
export class StreamsModule {}
