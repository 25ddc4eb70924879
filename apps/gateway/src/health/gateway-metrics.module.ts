import { Module } from '@nestjs/common';
import { GatewayMetrics } from './gateway-metrics.js';

@Module({ providers: [GatewayMetrics], exports: [GatewayMetrics] })
export class HealthMetricsModule {}
