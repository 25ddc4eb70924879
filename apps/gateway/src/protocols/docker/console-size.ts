import type { TerminalSizeBody } from '#contracts';
import { badParameter } from './errors.js';

/** Within a terminal's 16 bits. */
const MAX_SIZE = 65_535;

/** Docker's `ConsoleSize`, `[height, width]`. Undefined when it says nothing (`[0, 0]`). @throws CodedError `invalid_argument` */
export function consoleSizeOf(value: unknown): TerminalSizeBody | undefined {
  if (value === undefined) return undefined;
  const [rows, columns] = Array.isArray(value) ? (value as unknown[]) : [];
  if (!isSize(rows) || !isSize(columns)) throw badParameter('invalid JSON: ConsoleSize must be [height, width]');
  return rows === 0 || columns === 0 ? undefined : { columns, rows };
}

function isSize(value: unknown): value is number {
  return Number.isInteger(value) && Number(value) >= 0 && Number(value) <= MAX_SIZE;
}
