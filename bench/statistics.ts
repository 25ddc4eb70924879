/** Order statistics of a sample, in the sample's own unit. */
export interface Summary {
  readonly count: number;
  readonly min: number;
  readonly p50: number;
  readonly p99: number;
  readonly max: number;
}

/** @throws RangeError on an empty sample */
export function summarize(sample: readonly number[]): Summary {
  const sorted = [...sample].sort((a, b) => a - b);
  return { count: sorted.length, min: quantile(sorted, 0), p50: quantile(sorted, 0.5), p99: quantile(sorted, 0.99), max: quantile(sorted, 1) };
}

/** Nearest-rank quantile: always a value that was measured. */
function quantile(sorted: readonly number[], q: number): number {
  const value = sorted[Math.max(0, Math.ceil(q * sorted.length) - 1)];
  if (value === undefined) throw new RangeError('an empty sample has no quantiles');
  return value;
}

export async function timed(work: () => Promise<void>): Promise<number> {
  const start = performance.now();
  await work();
  return performance.now() - start;
}

/** Calls `work` again and again from `concurrency` loops until `durationMs` have passed. Gives completed calls per second. */
export async function throughput(work: () => Promise<void>, concurrency: number, durationMs: number): Promise<number> {
  const start = performance.now();
  let completed = 0;
  const loop = async (): Promise<void> => {
    while (performance.now() - start < durationMs) {
      await work();
      completed += 1;
    }
  };
  await Promise.all(Array.from({ length: concurrency }, loop));
  return completed / ((performance.now() - start) / 1000);
}

/** Fixed-width rows for a terminal. */
export function table(header: readonly string[], rows: readonly (readonly string[])[]): string {
  const widths = header.map((title, column) => Math.max(title.length, ...rows.map((row) => (row[column] ?? '').length)));
  const line = (cells: readonly string[]): string => cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0))).join('  ');
  return [line(header), ...rows.map(line)].join('\n');
}
