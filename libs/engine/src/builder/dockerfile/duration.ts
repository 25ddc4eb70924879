const UNITS_MS: Readonly<Record<string, number>> = { ns: 1e-6, us: 1e-3, µs: 1e-3, μs: 1e-3, ms: 1, s: 1000, m: 60_000, h: 3_600_000 };
/** Of the language that clients are written in: 2⁶³-1 nanoseconds. */
const MAX_MS = 9.2e12;

/** `1h2m3.5s`, as Go's time.ParseDuration has it. undefined when it is none. */
export function parseDurationMs(text: string): number | undefined {
  const [, sign = '', body = ''] = /^([+-]?)(.*)$/s.exec(text) ?? [];
  if (body === '0') return 0;
  if (!/^(?:(?:\d+(?:\.\d*)?|\.\d+)(?:ns|us|µs|μs|ms|s|m|h))+$/.test(body)) return undefined;
  let ms = 0;
  for (const [, amount = '', unit = ''] of body.matchAll(/([\d.]+)(ns|us|µs|μs|ms|s|m|h)/g)) ms += Number(amount) * (UNITS_MS[unit] ?? 0);
  if (ms > MAX_MS) return undefined;
  return sign === '-' ? -ms : ms;
}
