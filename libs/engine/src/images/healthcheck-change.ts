import { CodedError } from '#kernel';
import { execFormOf } from './exec-form.js';
import type { HealthcheckConfig } from './images.js';

const UNITS: Readonly<Record<string, number>> = { ns: 1, us: 1e3, µs: 1e3, ms: 1e6, s: 1e9, m: 60e9, h: 3600e9 };
const FLAGS = { interval: 'Interval', timeout: 'Timeout', 'start-period': 'StartPeriod', 'start-interval': 'StartInterval' } as const;
/** As moby has it: shorter ones are mistakes. */
const MIN_DURATION_NS = 1e6;

/** What follows `HEALTHCHECK`: `NONE`, or flags and `CMD …`. @throws CodedError `invalid_argument` */
export function parseHealthcheck(rest: string): HealthcheckConfig {
  const { flags, after } = splitFlags(rest);
  const [, type = '', command = ''] = /^(\S+)\s*([\s\S]*)$/.exec(after) ?? [];
  switch (type.toUpperCase()) {
    case 'NONE':
      if (command !== '' || flags.length > 0) throw invalid('HEALTHCHECK NONE takes no arguments');
      return { Test: ['NONE'] };
    case 'CMD': {
      if (command === '') throw invalid('Missing command after HEALTHCHECK CMD');
      const exec = execFormOf(command);
      return { Test: exec ? ['CMD', ...exec] : ['CMD-SHELL', command], ...flags.map(parseFlag).reduce((all, flag) => ({ ...all, ...flag }), {}) };
    }
    default:
      throw invalid(`Unknown type ${JSON.stringify(type)} in HEALTHCHECK (try CMD)`);
  }
}

function splitFlags(rest: string): { readonly flags: readonly string[]; readonly after: string } {
  const flags: string[] = [];
  let after = rest;
  for (let flag = /^--\S*\s*/.exec(after); flag; flag = /^--\S*\s*/.exec(after)) {
    flags.push(flag[0].trim());
    after = after.slice(flag[0].length);
  }
  return { flags, after };
}

function parseFlag(flag: string): HealthcheckConfig {
  const [, name = '', value = ''] = /^--([^=]*)=?(.*)$/.exec(flag) ?? [];
  if (name === 'retries') {
    if (!/^\d{1,9}$/.test(value)) throw invalid(`--retries must be a number: ${value}`);
    return { Retries: Number(value) };
  }
  if (!Object.hasOwn(FLAGS, name)) throw invalid(`unknown flag: ${name}`);
  return { [FLAGS[name as keyof typeof FLAGS]]: durationOf(name, value) };
}

/** Go's time.ParseDuration, in nanoseconds. */
function durationOf(flag: string, text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d*)?|\.\d+)(ns|us|µs|ms|s|m|h)/g)];
  const isWhole = parts.map(([part]) => part).join('') === text;
  if (text !== '0' && (parts.length === 0 || !isWhole)) throw invalid(`time: invalid duration ${JSON.stringify(text)}`);
  const duration = Math.round(parts.reduce((sum, [, number, unit = '']) => sum + Number(number) * (UNITS[unit] ?? 0), 0));
  if (duration !== 0 && duration < MIN_DURATION_NS) throw invalid(`Interval ${JSON.stringify(flag)} cannot be less than 1ms`);
  return duration;
}

function invalid(message: string): CodedError {
  return new CodedError('invalid_argument', message);
}
