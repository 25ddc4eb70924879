import { Inject, Injectable, type BeforeApplicationShutdown, type OnApplicationBootstrap } from '@nestjs/common';
import { newId, type Logger } from '#kernel';
import type { NodeEvents } from '#queue';
import { pause } from '../platform/deadline.js';
import { LOGGER, NODE_EVENTS } from '../platform/platform.js';
import { NodeEventsService } from './node-events.service.js';

const RETRY_MS = 1_000;

/** Reads the nodes' events as long as the gateway lives, whatever Redis does. */
@Injectable()
export class NodeEventsConsumer implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly stopping = new AbortController();
  private running: Promise<void> | undefined;

  constructor(
    @Inject(NODE_EVENTS) private readonly events: NodeEvents,
    private readonly service: NodeEventsService,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onApplicationBootstrap(): void {
    this.running = this.run(`gateway-${newId('request')}`);
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async run(consumer: string): Promise<void> {
    const { signal } = this.stopping;
    while (!signal.aborted) {
      try {
        await this.events.consume(consumer, (batch) => this.service.apply(batch), signal);
      } catch (error) {
        this.logger.warn({ err: error }, 'reading node events failed');
      }
      await pause(RETRY_MS, signal);
    }
  }
}
