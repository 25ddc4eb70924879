import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { HealthMetricsModule } from '../health/gateway-metrics.module.js';
import { LogAnswers } from './log-answers.service.js';
import { LogSockets } from './log-sockets.service.js';
import { UpgradesModule } from './upgrades.module.js';

/** How logs are given out, whatever they are of. */
@Module({
  imports: [AuthModule, HealthMetricsModule, UpgradesModule],
  providers: [LogAnswers, LogSockets],
  exports: [LogAnswers, LogSockets],
})
export class LogsModule {}
