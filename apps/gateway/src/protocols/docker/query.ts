import { CodedError } from '#kernel';

const FALSE = new Set(['', '0', 'no', 'false', 'none']);

/** A Docker request's query, read as Go's form values are: the first value counts, booleans are lenient. */
export class DockerQuery {
  private readonly values: URLSearchParams;

  constructor(target: string) {
    const mark = target.indexOf('?');
    this.values = new URLSearchParams(mark < 0 ? '' : target.slice(mark + 1));
  }

  has(name: string): boolean {
    return this.values.has(name);
  }

  /** '' when it is not there. */
  text(name: string): string {
    return this.values.get(name) ?? '';
  }

  optional(name: string): string | undefined {
    const text = this.text(name);
    return text === '' ? undefined : text;
  }

  all(name: string): string[] {
    return this.values.getAll(name);
  }

  flag(name: string, absent = false): boolean {
    return this.values.has(name) ? !FALSE.has(this.text(name).trim().toLowerCase()) : absent;
  }

  /** @throws CodedError `invalid_argument` */
  integer(name: string): number | undefined {
    const text = this.optional(name);
    if (text === undefined) return undefined;
    if (!/^[-+]?\d{1,15}$/.test(text)) throw new CodedError('invalid_argument', `strconv.Atoi: parsing ${JSON.stringify(text)}: invalid syntax`);
    return Number(text);
  }
}
