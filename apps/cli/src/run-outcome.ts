import { constants } from 'node:os';
import type { RunLimits, RunView } from '#contracts';
import { EXIT } from './failure.js';

export interface Outcome {
  readonly exitCode: number;
  /** What the program's own output does not say; empty when it says all. */
  readonly message: string;
}

/** How a shell would see the run: the program's own exit code, 128 + n for a signal, and a code of its own for each limit. */
export function outcomeOf(view: RunView): Outcome {
  const step = view.failedStep === 'compile' ? view.compile : view;
  const prefix = view.failedStep === 'compile' ? 'compile step: ' : '';
  switch (view.state) {
    case 'succeeded':
    case 'failed':
      return { exitCode: codeOf(step?.exitCode, step?.signal), message: view.failedStep === 'compile' ? 'the program did not compile' : signalMessage(step?.signal) };
    case 'timed_out':
      return { exitCode: EXIT.timedOut, message: `${prefix}${timeMessage(view.limits, step)}` };
    case 'memory_exceeded':
      return { exitCode: EXIT.memoryExceeded, message: `${prefix}it needed more memory than ${mebibytes(view.limits.memoryBytes)} (--memory)` };
    case 'output_exceeded':
      return { exitCode: EXIT.outputExceeded, message: `${prefix}it wrote more than ${mebibytes(view.limits.outputBytes)}` };
    case 'cancelled':
      return { exitCode: EXIT.interrupted, message: 'it was cancelled' };
    case 'lost':
    case 'internal_error':
      return { exitCode: EXIT.sandbarFailed, message: platformMessage(view) };
    case 'queued':
    case 'running':
      return { exitCode: EXIT.sandbarFailed, message: `${view.id} is still ${view.state}` };
  }
}

function codeOf(exitCode: number | null | undefined, signal: string | null | undefined): number {
  if (typeof exitCode === 'number') return exitCode;
  return 128 + ((constants.signals as Partial<Record<string, number>>)[signal ?? ''] ?? 9);
}

function signalMessage(signal: string | null | undefined): string {
  return typeof signal === 'string' ? `a signal ended it: ${signal}` : '';
}

/** The CPU limit and the wall clock are two limits with one verdict: the figures tell which it was. */
function timeMessage(limits: RunLimits, step: { cpuTimeMs?: number | undefined } | null): string {
  const byCpu = (step?.cpuTimeMs ?? 0) >= limits.cpuTimeMs;
  return byCpu ? `it used more than ${limits.cpuTimeMs / 1000} s of CPU time (--timeout)` : `it took more than ${limits.wallTimeMs / 1000} s (--timeout)`;
}

function platformMessage({ id, state, error }: RunView): string {
  return `${state}: ${error === null ? 'the node could not run it' : `${error.message} (${error.code})`}, ${id}`;
}

function mebibytes(bytes: number): string {
  return `${Number((bytes / 1024 ** 2).toFixed(1))} MiB`;
}
