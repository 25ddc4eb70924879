import { CodedError } from '#kernel';
import { momentMs } from './times.js';

/** Docker's `filters`: values by name, of which one must match (of `label`, all). */
export class DockerFilters {
  private constructor(private readonly values: ReadonlyMap<string, readonly string[]>) {}

  /**
   * `{"label":{"a=b":true}}`, and the older `{"label":["a=b"]}`.
   * @throws CodedError `invalid_argument` (not JSON, or a name that is not `accepted`)
   */
  static parse(text: string, accepted: readonly string[]): DockerFilters {
    const values = new Map<string, readonly string[]>();
    for (const [name, given] of Object.entries(parseObject(text))) {
      if (!accepted.includes(name)) throw new CodedError('invalid_argument', `invalid filter '${name}'`);
      values.set(name, valuesOf(given));
    }
    return new DockerFilters(values);
  }

  has(name: string): boolean {
    return this.get(name).length > 0;
  }

  get(name: string): readonly string[] {
    return this.values.get(name) ?? [];
  }

  /** True where the filter is absent. */
  exact(name: string, value: string): boolean {
    return !this.has(name) || this.get(name).includes(value);
  }

  /** As Docker's fuzzy match: exact, or a regular expression's or a plain part of it. */
  matches(name: string, value: string): boolean {
    return !this.has(name) || this.get(name).some((wanted) => value.includes(wanted) || anchored(wanted, value));
  }

  prefix(name: string, value: string): boolean {
    return !this.has(name) || this.get(name).some((wanted) => value.startsWith(wanted));
  }

  /** `label` all, `label!` none. */
  labels(labels: Readonly<Record<string, string>>): boolean {
    return this.get('label').every((wanted) => hasLabel(labels, wanted)) && !this.get('label!').some((unwanted) => hasLabel(labels, unwanted));
  }

  /** @throws CodedError `invalid_argument` */
  flag(name: string, absent: boolean): boolean {
    const [value] = this.get(name);
    if (value === undefined) return absent;
    if (/^(1|true)$/i.test(value)) return true;
    if (/^(0|false)$/i.test(value)) return false;
    throw new CodedError('invalid_argument', `invalid filter '${name}=[${this.get(name).join(' ')}]'`);
  }

  until(now: number): number | undefined {
    const [value, ...more] = this.get('until');
    if (more.length > 0) throw new CodedError('invalid_argument', 'more than one until filter specified');
    return value === undefined ? undefined : momentMs(value, now);
  }

  /** What the node's prunes take. */
  pruning(now: number): { labels?: readonly string[]; labelsNot?: readonly string[]; untilMs?: number } {
    const untilMs = this.until(now);
    return {
      ...(this.has('label') ? { labels: this.get('label') } : {}),
      ...(this.has('label!') ? { labelsNot: this.get('label!') } : {}),
      ...(untilMs === undefined ? {} : { untilMs }),
    };
  }
}

/** `^/name$` and the like, which Docker takes for regular expressions. Only anchors are: a tenant's expression is not run on our thread. */
function anchored(wanted: string, value: string): boolean {
  const begins = wanted.startsWith('^');
  const ends = wanted.endsWith('$');
  if (!begins && !ends) return false;
  const bare = wanted.slice(begins ? 1 : 0, ends ? -1 : undefined);
  if (begins && ends) return value === bare;
  return begins ? value.startsWith(bare) : value.endsWith(bare);
}

function hasLabel(labels: Readonly<Record<string, string>>, wanted: string): boolean {
  const at = wanted.indexOf('=');
  const key = at < 0 ? wanted : wanted.slice(0, at);
  return Object.hasOwn(labels, key) && (at < 0 || labels[key] === wanted.slice(at + 1));
}

function parseObject(text: string): Record<string, unknown> {
  if (text === '') return {};
  try {
    const value: unknown = JSON.parse(text);
    if (value === null) return {};
    if (typeof value === 'object' && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {
    // Said below.
  }
  throw new CodedError('invalid_argument', 'invalid filter');
}

function valuesOf(given: unknown): string[] {
  if (Array.isArray(given) && given.every((value) => typeof value === 'string')) return given;
  if (typeof given === 'object' && given !== null && !Array.isArray(given)) return Object.keys(given);
  throw new CodedError('invalid_argument', 'invalid filter');
}
