import { setTimeout as sleep } from 'node:timers/promises';

/** Waits, at most until `signal`. */
export async function pause(milliseconds: number, signal: AbortSignal): Promise<void> {
  await sleep(milliseconds, undefined, { signal, ref: false }).catch(() => undefined);
}

/** A function, because the compiler takes `signal.aborted` for unchanged across an await or a yield. */
export function isAborted(signal: AbortSignal): boolean {
  return signal.aborted;
}
