import { SandbarApiError } from '#sdk';

/** Exit codes that do not come from a program in a sandbox. 124 and 125 are those of timeout(1) and docker. */
export const EXIT = { usage: 2, failed: 1, timedOut: 124, sandbarFailed: 125, interrupted: 130, brokenPipe: 141, memoryExceeded: 137, outputExceeded: 153 } as const;

/** A failure with a line for the person and, where there is one, the way to mend it. */
export class CliError extends Error {
  override readonly name = 'CliError';

  constructor(
    message: string,
    readonly mend = '',
    readonly exitCode: number = EXIT.failed,
  ) {
    super(message);
  }
}

/** One line that says what happened, and one that says what to do about it. */
export function describeFailure(error: unknown): string {
  if (error instanceof CliError) return lines(error.message, error.mend);
  if (error instanceof SandbarApiError) {
    const code = error.requestId === undefined ? error.code : `${error.code}, request ${error.requestId}`;
    return lines(`${error.message} (${code})`, MENDS[error.code] ?? '');
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

const MENDS: Readonly<Record<string, string>> = {
  unauthenticated: 'Log in with a valid key: sandbar login',
  permission_denied: 'Use a key that holds the scope: sandbar key ls shows them.',
  unavailable: 'Is it running? npm start starts it, sandbar doctor says what is wrong.',
  rate_limited: 'Wait a moment, or ask the operator for a higher rate.',
  quota_exceeded: 'Wait until runs have finished, or cancel some: sandbar ps',
};

function lines(message: string, mend: string): string {
  return mend === '' ? message : `${message}\n  ${mend}`;
}
