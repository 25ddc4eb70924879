/** What a client asks of a file; an offset below zero counts from its end. */
export interface ByteRange {
  readonly offset: number;
  readonly length?: number;
}

/** What it gets. */
export interface SatisfiedRange {
  readonly start: number;
  readonly length: number;
}

const ONE = /^bytes=(?:(\d{1,15})-(\d{1,15})?|-(\d{1,15}))$/;

/** The header Range (RFC 9110, 14.2). undefined: all of the file is sent, as to several ranges, other units and what cannot be read. */
export function parseRange(header: string | undefined): ByteRange | undefined {
  const [, first, last, suffix] = ONE.exec(header?.trim() ?? '') ?? [];
  if (suffix !== undefined) return Number(suffix) === 0 ? undefined : { offset: -Number(suffix) };
  if (first === undefined) return undefined;
  if (last === undefined) return { offset: Number(first) };
  return Number(last) < Number(first) ? undefined : { offset: Number(first), length: Number(last) - Number(first) + 1 };
}

/** undefined: nothing of a file of that size is in the range. */
export function satisfied({ offset, length }: ByteRange, size: number): SatisfiedRange | undefined {
  const start = offset < 0 ? Math.max(0, size + offset) : offset;
  return start >= size ? undefined : { start, length: Math.min(length ?? size, size - start) };
}
