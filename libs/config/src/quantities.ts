import { z } from 'zod';

const SIZE_UNITS = { B: 1, KiB: 1024, MiB: 1024 ** 2, GiB: 1024 ** 3, TiB: 1024 ** 4 } as const;
const DURATION_UNITS = { ms: 1, s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 } as const;

const SIZE = /^(\d{1,15})(B|KiB|MiB|GiB|TiB)$/;
const DURATION = /^(\d{1,15})(ms|s|m|h|d)$/;

/** `512MiB` ⇄ bytes. Binary units only, whole numbers only: no reader has to guess what `5M` means. */
export const sizeCodec = quantityCodec(SIZE, SIZE_UNITS, 'must be a size such as 512MiB (B, KiB, MiB, GiB, TiB)');

/** `30s` ⇄ milliseconds. */
export const durationCodec = quantityCodec(DURATION, DURATION_UNITS, 'must be a duration such as 30s (ms, s, m, h, d)');

function quantityCodec<Unit extends string>(form: RegExp, units: Record<Unit, number>, rule: string) {
  const largestFirst = (Object.entries(units) as [Unit, number][]).sort(([, a], [, b]) => b - a);
  return z.codec(z.string(), z.int().nonnegative(), {
    decode: (text, context) => {
      const match = form.exec(text);
      const value = match === null ? NaN : Number(match[1]) * units[match[2] as Unit];
      if (Number.isSafeInteger(value)) return value;
      context.issues.push({ code: 'custom', input: text, message: rule });
      return z.NEVER;
    },
    encode: (value) => {
      const [unit, factor] = largestFirst.find(([, size]) => value >= size && value % size === 0) ?? largestFirst[largestFirst.length - 1] ?? ['', 1];
      return `${value / factor}${unit}`;
    },
  });
}
