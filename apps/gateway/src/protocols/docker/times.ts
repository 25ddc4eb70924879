import { CodedError } from '#kernel';

export const ZERO_TIME = '0001-01-01T00:00:00Z';
const UNITS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** RFC 3339 with nanoseconds as Go writes it: no zeros at the end. Zero time: never. */
export function rfc3339Nano(ms: number | null | undefined): string {
  if (ms === null || ms === undefined) return ZERO_TIME;
  return new Date(ms).toISOString().replace(/\.?0*Z$/, 'Z');
}

export function unixSeconds(time: string | number | null): number {
  if (time === null) return 0;
  const ms = typeof time === 'number' ? time : Date.parse(time);
  return Number.isFinite(ms) ? Math.floor(ms / 1000) : 0;
}

/** `1700000000[.123456789]` → nanoseconds. @throws CodedError `invalid_argument` */
export function unixNanos(text: string): bigint {
  const match = /^(\d{1,12})(?:\.(\d{1,9})\d*)?$/.exec(text);
  if (match === null) throw new CodedError('invalid_argument', `failed to parse value as time or duration: ${JSON.stringify(text.slice(0, 100))}`);
  return BigInt(match[1] ?? '0') * 1_000_000_000n + BigInt((match[2] ?? '').padEnd(9, '0'));
}

/** A moment as Docker's filters take it: Unix time, RFC 3339 (a part of it is enough), or how long ago (`10m`). @throws CodedError `invalid_argument` */
export function momentMs(text: string, now: number): number {
  if (/^\d+(\.\d+)?$/.test(text)) return Number(unixNanos(text) / 1_000_000n);
  const ago = durationMs(text);
  if (ago !== undefined) return now - ago;
  const date = /^\d{4}-\d{2}-\d{2}(T\d{2}(:\d{2}(:\d{2}(\.\d+)?)?)?(Z|[-+]\d{2}:\d{2})?)?$/.test(text) ? Date.parse(completed(text)) : NaN;
  if (Number.isNaN(date)) throw new CodedError('invalid_argument', `failed to parse value as time or duration: ${JSON.stringify(text.slice(0, 100))}`);
  return date;
}

/** Go's durations: `1h30m`, `1.5s`. */
function durationMs(text: string): number | undefined {
  if (!/^(\d+(\.\d+)?(ns|us|µs|ms|s|m|h))+$/.test(text)) return undefined;
  let sum = 0;
  for (const [, amount = '0', , unit = 's'] of text.matchAll(/(\d+(\.\d+)?)(ns|us|µs|ms|s|m|h)/g)) sum += Number(amount) * (UNITS[unit] ?? 0);
  return sum;
}

function completed(text: string): string {
  const hours = /T\d{2}(?=$|Z|[-+])/.exec(text);
  return hours === null ? text : text.replace(hours[0], `${hours[0]}:00`);
}

/** `About a minute`, `3 hours`: the words of `docker ps`. */
export function humanDuration(ms: number): string {
  const seconds = Math.floor(ms / 1000);
  if (seconds < 1) return 'Less than a second';
  if (seconds === 1) return '1 second';
  if (seconds < 60) return `${seconds} seconds`;
  const minutes = Math.floor(seconds / 60);
  if (minutes === 1) return 'About a minute';
  if (minutes < 60) return `${minutes} minutes`;
  const hours = Math.round(seconds / 3600);
  if (hours === 1) return 'About an hour';
  if (hours < 48) return `${hours} hours`;
  const days = Math.floor(hours / 24);
  if (hours < 24 * 7 * 2) return `${days} days`;
  if (hours < 24 * 30 * 2) return `${Math.floor(days / 7)} weeks`;
  if (hours < 24 * 365 * 2) return `${Math.floor(days / 30)} months`;
  return `${Math.floor(seconds / (365 * 86_400))} years`;
}
