import { asError, CodedError, type Logger } from '#kernel';
import type { ContainerExecution } from './container-execution.js';
import type { ContainerHealth } from './container-health.js';
import type { RecordKeeper } from './record-keeper.js';

/** Stands one container still. Each call in a turn of its own among all that changes the container. */
export class ContainerFreezer {
  constructor(
    private readonly keeper: RecordKeeper,
    private readonly health: Pick<ContainerHealth, 'rest' | 'watch'>,
    private readonly logger: Logger,
  ) {}

  /** Until it is thawed, after a restart of the worker too. */
  async pause(execution: ContainerExecution): Promise<void> {
    this.health.rest();
    await execution.sandbox.freeze();
    await this.keeper.save({ status: 'paused' });
    this.keeper.publish('pause');
  }

  /** @throws CodedError `conflict` */
  async unpause(execution: ContainerExecution | undefined): Promise<void> {
    const { id, status } = this.keeper.current;
    if (status !== 'paused' || execution === undefined) throw new CodedError('conflict', `Container ${id} is not paused`);
    await this.thaw(execution);
  }

  async thaw(execution: ContainerExecution): Promise<void> {
    await execution.sandbox.thaw();
    await this.keeper.save({ status: 'running' });
    if (!execution.connected) {
      // It was found paused.
      await execution.connect().catch((error: unknown) => {
        this.logger.warn({ err: asError(error), container: this.keeper.current.id }, 'containers: a paused container is dead');
      });
      execution.follow();
    }
    this.health.watch(execution);
    this.keeper.publish('unpause');
  }

  /** Runs `work` while nothing in the container does. */
  async during<T>(execution: ContainerExecution, work: () => Promise<T>): Promise<T> {
    this.health.rest();
    await execution.sandbox.freeze();
    this.keeper.publish('pause');
    try {
      return await work();
    } finally {
      await execution.sandbox.thaw().catch(() => undefined);
      this.health.watch(execution);
      this.keeper.publish('unpause');
    }
  }
}
