import type { NodeHeartbeat } from '#contracts';
import { asError, type Logger, type NodeId } from '#kernel';
import type { NodeRegistry } from '#queue';

/** The registry forgets a node after three missed ones. */
const INTERVAL_MS = 2000;

/** Says every two seconds that this node lives, and what it holds. */
export class Heartbeat {
  private timer: NodeJS.Timeout | undefined;
  private beating: Promise<void> | undefined;

  constructor(
    private readonly registry: NodeRegistry,
    private readonly describe: () => NodeHeartbeat,
    private readonly logger: Logger,
  ) {}

  /** Resolves when the first one is known. @throws when it cannot be said */
  async start(): Promise<void> {
    await this.registry.beat(this.describe());
    this.timer = setInterval(() => void this.beat(), INTERVAL_MS);
  }

  /** Now, because something has changed. Never throws: the next one comes soon. */
  async beat(): Promise<void> {
    // One at a time: a slow answer must not let an older heartbeat overtake a newer one.
    if (this.beating !== undefined) return this.beating;
    this.beating = this.registry
      .beat(this.describe())
      .catch((error: unknown) => {
        this.logger.warn({ err: asError(error) }, 'heartbeat failed');
      })
      .finally(() => {
        this.beating = undefined;
      });
    return this.beating;
  }

  /** The node takes its leave: nobody waits for it to be forgotten. */
  async leave(nodeId: NodeId): Promise<void> {
    clearInterval(this.timer);
    await this.beating;
    await this.registry.leave(nodeId);
  }
}
