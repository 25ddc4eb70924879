import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import type { Redis } from 'ioredis';
import { newId, type Logger } from '#kernel';
import { pause } from '../platform/deadline.js';
import { LOGGER, REDIS, SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import { HostRounds } from './host-rounds.service.js';
import { Lease } from './lease.js';
import { Retention } from './retention.service.js';
import { RunReconciler } from './run-reconciler.service.js';

/** Longer than a round and the pause after it. */
const TERM_MS = 6_000;

/** Lets one gateway at a time reconcile, every two seconds. */
@Injectable()
export class Reconciler implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly stopping = new AbortController();
  private readonly lease: Lease;
  private running: Promise<void> | undefined;

  constructor(
    @Inject(REDIS) redis: Redis,
    private readonly runs: RunReconciler,
    private readonly hosts: HostRounds,
    private readonly retention: Retention,
    @Inject(LOGGER) private readonly logger: Logger,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
  ) {
    this.lease = new Lease(redis, 'sandbar:reconciler', newId('request'), TERM_MS);
  }

  onApplicationBootstrap(): void {
    this.running = this.run();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      await this.round();
      await pause(this.settings.reconcileIntervalMs, signal);
    }
    await this.lease.release().catch(() => undefined);
  }

  private async round(): Promise<void> {
    try {
      if (!(await this.lease.hold())) {
        this.runs.pause();
        return;
      }
      await this.runs.round();
      await this.hosts.round();
      await this.retention.sweep();
    } catch (error) {
      this.logger.warn({ err: error }, 'a round of the reconciler failed');
    }
  }
}
