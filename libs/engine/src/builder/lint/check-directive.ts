import { fault } from '../dockerfile/place.js';
import type { LintRule, LintWarning } from './lint-warning.js';

/** Of `# check=skip=A,B;error=true;experimental=all`: which checks count. */
export interface LintPolicy {
  accepts(rule: LintRule): boolean;
  /** A warning is a failure. */
  readonly error: boolean;
}

/** Told only when they are asked for. */
const EXPERIMENTAL: ReadonlySet<LintRule> = new Set(['InvalidDefinitionDescription']);
const HERE = { line: 1, column: 1 };

/** @throws CodedError `invalid_argument`: a key that is none, a value of `error` that is none */
export function lintPolicy(check: string | undefined): LintPolicy {
  const values = new Map<string, string>();
  for (const part of (check ?? '').split(';').map((each) => each.trim())) {
    if (part === '') continue;
    const [, key = '', value = ''] = /^([a-z]+)=(.*)$/i.exec(part) ?? [];
    if (!['skip', 'error', 'experimental'].includes(key.toLowerCase())) throw fault(HERE, `invalid check directive ${JSON.stringify(part.slice(0, 100))}: skip=…, error=… or experimental=…`);
    values.set(key.toLowerCase(), value);
  }
  const error = (values.get('error') ?? 'false').toLowerCase();
  if (!/^(?:1|t|true|0|f|false)$/.test(error)) throw fault(HERE, `invalid value ${JSON.stringify(error.slice(0, 100))} of error in the check directive`);
  const [skipped, asked] = [listOf(values.get('skip')), listOf(values.get('experimental'))];
  return {
    accepts: (rule) => !named(skipped, rule) && (!EXPERIMENTAL.has(rule) || named(asked, rule)),
    error: /^(?:1|t)/.test(error),
  };
}

/** What a build with `error=true` fails by. @throws CodedError `invalid_argument` with the place of the first */
export function refuseWarnings(warnings: readonly LintWarning[], { error }: LintPolicy): void {
  const [first] = warnings;
  if (error && first !== undefined) throw fault(first.place, `lint violation found for rules: ${[...new Set(warnings.map(({ rule }) => rule))].sort().join(', ')}`);
}

function listOf(text = ''): Set<string> {
  return new Set(text.split(',').map((each) => each.trim().toLowerCase()));
}

function named(list: ReadonlySet<string>, rule: LintRule): boolean {
  return list.has('all') || list.has(rule.toLowerCase());
}
