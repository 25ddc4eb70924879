import { asError } from '#kernel';
import type { Containers } from '../containers.js';

export type WaitResult = Awaited<ReturnType<Containers['wait']>>;
export type WaitCondition = Parameters<Containers['wait']>[2];

/** Those who wait for the end, or the removal, of one container. */
export class ContainerWaits {
  private readonly exits = new Set<(result: WaitResult) => void>();
  private readonly removals = new Set<(result: WaitResult) => void>();

  wait(condition: WaitCondition, signal: AbortSignal): Promise<WaitResult> {
    const waiters = condition === 'removed' ? this.removals : this.exits;
    signal.throwIfAborted();
    return new Promise((resolve, reject) => {
      const abort = (): void => {
        waiters.delete(done);
        reject(asError(signal.reason));
      };
      const done = (result: WaitResult): void => {
        waiters.delete(done);
        signal.removeEventListener('abort', abort);
        resolve(result);
      };
      waiters.add(done);
      signal.addEventListener('abort', abort, { once: true });
    });
  }

  ended(result: WaitResult): void {
    for (const done of [...this.exits]) done(result);
  }

  removed(result: WaitResult): void {
    for (const done of [...this.exits, ...this.removals]) done(result);
  }
}
