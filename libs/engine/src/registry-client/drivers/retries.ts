import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError, isCodedError } from '#kernel';
import { cancelled } from './dialer.js';
import { isPassing } from './failures.js';

export interface RetryTiming {
  /** Before the second try, milliseconds; each further try waits twice as long, give or take a half. */
  readonly backoffMs: number;
}

const MAX_TRIES = 6;
const MAX_BACKOFF_MS = 15_000;
/** A server that wants us to wait for longer is told so by giving up. */
const MAX_RETRY_AFTER_MS = 60_000;

/** Does it again when what went wrong may pass: a dropped connection, 429, 5xx. */
export async function withRetries<T>(timing: RetryTiming, signal: AbortSignal, action: () => Promise<T>): Promise<T> {
  for (let tries = 1; ; tries += 1) {
    try {
      return await action();
    } catch (error) {
      if (tries >= MAX_TRIES || !isPassing(error)) throw error;
      await pauseBefore(error, tries, timing, signal);
    }
  }
}

/** @throws what went wrong, when the server wants a longer pause than anyone waits; CodedError `cancelled` */
export async function pauseBefore(error: unknown, tries: number, { backoffMs }: RetryTiming, signal: AbortSignal): Promise<void> {
  const asked = isCodedError(error) && typeof error.details.retryAfterMs === 'number' ? error.details.retryAfterMs : 0;
  if (asked > MAX_RETRY_AFTER_MS) throw error;
  const backoff = Math.min(backoffMs * 2 ** (tries - 1), MAX_BACKOFF_MS) * (0.5 + Math.random());
  try {
    await sleep(Math.max(asked, backoff), undefined, { signal });
  } catch {
    throw cancelled(signal);
  }
}

/** Retry-After: seconds, or a date (RFC 9110, 10.2.3). */
export function parseRetryAfter(value: string | undefined, now: number): number | undefined {
  if (value === undefined) return undefined;
  const ms = /^\d+$/.test(value.trim()) ? Number(value) * 1000 : Date.parse(value) - now;
  return Number.isNaN(ms) ? undefined : Math.max(0, ms);
}

/** 429 and 5xx, as errors that `withRetries` takes. */
export function busy(message: string, status: number, retryAfterMs: number | undefined): CodedError {
  return new CodedError(status === 429 ? 'rate_limited' : 'unavailable', message, { busy: true, status, ...(retryAfterMs === undefined ? {} : { retryAfterMs }) });
}
