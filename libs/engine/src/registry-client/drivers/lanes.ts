import { asError, isCodedError } from '#kernel';
import { cancelled } from './dialer.js';

/** Works off `items` in order, `width` at a time. The first failure stops the others through their signal; it is what is thrown when all have ended. */
export async function inLanes<T>(items: readonly T[], width: number, signal: AbortSignal, work: (item: T, signal: AbortSignal) => Promise<void>): Promise<void> {
  const failure = new AbortController();
  const both = AbortSignal.any([signal, failure.signal]);
  const errors: unknown[] = [];
  let next = 0;
  const lane = async (): Promise<void> => {
    while (next < items.length && !both.aborted) {
      const item = items[next] as T;
      next += 1;
      try {
        await work(item, both);
      } catch (error) {
        errors.push(error);
        failure.abort();
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(width, items.length) }, lane));
  // `cancelled` only tells that another has failed.
  if (errors.length > 0) throw asError(errors.find((error) => !isCodedError(error, 'cancelled')) ?? errors[0]);
  if (signal.aborted) throw cancelled(signal);
}
