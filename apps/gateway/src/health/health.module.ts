import { Module } from '@nestjs/common';
import { NodesModule } from '../nodes/nodes.module.js';
import { HealthMetricsModule } from './gateway-metrics.module.js';
import { HealthController } from './health.controller.js';
import { ReadinessService } from './readiness.service.js';

@Module({ imports: [NodesModule, HealthMetricsModule], controllers: [HealthController], providers: [ReadinessService] })
export class HealthModule {}
