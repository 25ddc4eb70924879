import { InvalidArgumentError } from 'commander';

const SIZES: Readonly<Record<string, number>> = { '': 1, b: 1, k: 1024, kib: 1024, m: 1024 ** 2, mib: 1024 ** 2, g: 1024 ** 3, gib: 1024 ** 3 };
const TIMES: Readonly<Record<string, number>> = { ms: 1, '': 1000, s: 1000, m: 60_000, min: 60_000 };

/** `256M`, `256MiB`, `1G` → bytes. */
export function parseSize(text: string): number {
  return parse(text, SIZES, 'a size such as 256MiB');
}

/** `500ms`, `10s`, `10` (seconds), `2m` → milliseconds. */
export function parseDuration(text: string): number {
  return parse(text, TIMES, 'a duration such as 10s');
}

function parse(text: string, units: Readonly<Record<string, number>>, what: string): number {
  const match = /^(\d+(?:\.\d+)?)([a-z]*)$/i.exec(text.trim());
  const unit = units[(match?.[2] ?? '?').toLowerCase()];
  if (match?.[1] === undefined || unit === undefined) throw new InvalidArgumentError(`Give ${what}.`);
  return Math.round(Number(match[1]) * unit);
}

export function parseCount(text: string): number {
  if (!/^\d{1,9}$/.test(text)) throw new InvalidArgumentError('Give a whole number.');
  return Number(text);
}

/** `0.5`, `2`. */
export function parseNumber(text: string): number {
  if (!/^\d{1,6}(\.\d{1,6})?$/.test(text)) throw new InvalidArgumentError('Give a number such as 0.5.');
  return Number(text);
}

/** Bytes → `4.9 MB`: decimal units, as storage is counted. */
export function formatSize(bytes: number): string {
  const units = ['B', 'kB', 'MB', 'GB', 'TB'];
  const step = bytes <= 0 ? 0 : Math.min(units.length - 1, Math.floor(Math.log10(bytes) / 3));
  const value = bytes / 1000 ** step;
  return `${step === 0 ? String(value) : value.toFixed(value < 100 ? 1 : 0)} ${units[step] ?? 'B'}`;
}
