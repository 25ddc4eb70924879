import { SandbarApiError } from './errors.js';

const FIRST_DELAY_MS = 100;
const LONGEST_DELAY_MS = 3000;

export interface ResumeOptions {
  readonly signal?: AbortSignal;
  /** How often in a row a broken connection is made anew without a frame in between; default 8. */
  readonly attempts?: number;
}

interface Connection<T> {
  readonly frames: AsyncIterable<T>;
  /** The server has said that there is nothing more to come. */
  readonly complete: boolean;
  close(): void;
}

export interface ResumedSource<T> {
  /** Asks for what comes after the last frame that `isNew` has accepted. */
  readonly connect: () => Connection<T>;
  /** False: known already. */
  readonly isNew: (frame: T) => boolean;
  /** Whether its reader has closed it. */
  readonly over?: () => boolean;
}

/**
 * Frames over one connection after another, until one says that it is complete, or nobody reads on.
 * @throws SandbarApiError when they cannot be had, or the connection stays broken
 */
export async function* resumed<T>(what: string, { signal, attempts = 8 }: ResumeOptions, { connect, isNew, over = () => false }: ResumedSource<T>): AsyncGenerator<T> {
  let failures = 0;
  for (;;) {
    const connection = connect();
    try {
      for await (const frame of connection.frames) {
        if (!isNew(frame)) continue;
        failures = 0;
        yield frame;
      }
      if (connection.complete || over()) return;
    } catch (error) {
      if (!(error instanceof SandbarApiError && error.retryable) || failures >= attempts) throw error;
    } finally {
      connection.close();
    }
    signal?.throwIfAborted();
    if (failures > attempts) throw new SandbarApiError('unavailable', `${what} breaks off again and again`, 0, undefined);
    await pause(Math.min(FIRST_DELAY_MS * 2 ** failures, LONGEST_DELAY_MS), signal);
    failures += 1;
  }
}

function pause(ms: number, signal: AbortSignal | undefined): Promise<void> {
  return new Promise((resolve, reject) => {
    const finish = () => {
      clearTimeout(timer);
      signal?.removeEventListener('abort', finish);
      if (signal?.aborted === true) reject(signal.reason as Error);
      else resolve();
    };
    const timer = setTimeout(finish, ms);
    signal?.addEventListener('abort', finish, { once: true });
  });
}
