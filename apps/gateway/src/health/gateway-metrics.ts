import { Inject, Injectable } from '@nestjs/common';
import { Counter, Gauge, type Registry } from 'prom-client';
import { createMetrics, type HttpMetrics, type RunMetrics } from '#observability';
import type { RunQueue } from '#queue';
import { RUN_QUEUE } from '../platform/platform.js';

/** The figures of one gateway. Tenants are no labels: their number is not bounded. */
@Injectable()
export class GatewayMetrics {
  readonly registry: Registry;
  readonly http: HttpMetrics;
  readonly runs: RunMetrics;
  readonly logSockets: Gauge;
  private readonly repairs: Counter<'kind'>;

  constructor(@Inject(RUN_QUEUE) queue: RunQueue) {
    const metrics = createMetrics('gateway');
    this.registry = metrics.registry;
    this.http = metrics.http;
    this.runs = metrics.runs;
    metrics.queues.watch('runs', () => queue.depth());
    this.logSockets = new Gauge({ name: 'sandbar_log_sockets', help: 'Open log WebSockets.', registers: [this.registry] });
    this.repairs = new Counter({ name: 'sandbar_reconciler_repairs_total', help: 'What the reconciler had to mend.', labelNames: ['kind'], registers: [this.registry] });
  }

  repaired(kind: 'requeued' | 'lost' | 'cancelled' | 'settled'): void {
    this.repairs.inc({ kind });
  }
}
