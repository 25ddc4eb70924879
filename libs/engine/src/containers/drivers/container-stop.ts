import { setTimeout as sleep } from 'node:timers/promises';
import { constants } from 'node:os';
import type { ContainerExecution } from './container-execution.js';

const DEFAULT_SECONDS = 10;

export interface StopOptions {
  readonly signal?: string;
  /** Below 0: as long as it takes. */
  readonly timeoutSeconds?: number;
}

/** Its signal, then SIGKILL after the time. Resolves when it is over. `onSignal` is told of each before it is sent. */
export async function stopExecution(execution: ContainerExecution, signal: number, seconds: number | undefined, onSignal: (signal: number) => void): Promise<void> {
  const graceSeconds = seconds ?? DEFAULT_SECONDS;
  onSignal(signal);
  await execution.signal(signal);
  const quit = new AbortController();
  const late = graceSeconds < 0 ? new Promise<never>(() => undefined) : sleep(graceSeconds * 1000, 'late' as const, { signal: quit.signal });
  const result = await Promise.race([execution.ended, late]);
  quit.abort();
  if (result !== 'late') return;
  onSignal(constants.signals.SIGKILL);
  await execution.kill();
}
