const SIZE = /^(\d{1,15}(?:\.\d{1,9})?) ?([kmgtp])?(?:i?b)?$/i;
const UNITS = ['k', 'm', 'g', 't', 'p'];

/** As Docker's clients write sizes: `64m`, `1.5GiB`, `100kb`, `4096`; units are powers of 1024. undefined when it is none. */
export function parseByteSize(text: string): number | undefined {
  const match = SIZE.exec(text);
  if (match === null) return undefined;
  const power = UNITS.indexOf(match[2]?.toLowerCase() ?? '') + 1;
  const bytes = Math.floor(Number(match[1]) * 1024 ** power);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}
