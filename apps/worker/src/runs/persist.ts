import { setTimeout as sleep } from 'node:timers/promises';
import { asError, type Logger } from '#kernel';

const FIRST_PAUSE_MS = 50;
const MAX_PAUSE_MS = 1000;

/**
 * Does something with Redis until it is done: while Redis is away (a restart), runs wait instead of failing. `work` is idempotent.
 * Only `signal` ends it: the worker gives up what it holds.
 */
export async function persist<T>(what: string, work: () => Promise<T>, options: { signal: AbortSignal; logger: Logger }): Promise<T> {
  for (let pauseMs = FIRST_PAUSE_MS; ; pauseMs = Math.min(2 * pauseMs, MAX_PAUSE_MS)) {
    options.signal.throwIfAborted();
    try {
      return await work();
    } catch (error) {
      options.signal.throwIfAborted();
      options.logger.warn({ err: asError(error), pauseMs }, `${what}: trying again`);
      await sleep(pauseMs, undefined, { signal: options.signal });
    }
  }
}
