import { asError, CodedError, type ErrorCode } from '#kernel';

/** SQLSTATE (PostgreSQL manual, appendix A) and Node.js or Prisma codes → ours. Classes of two characters stand for all their members. */
const CODES: Readonly<Record<string, { code: ErrorCode; message: string }>> = {
  23505: { code: 'already_exists', message: 'exists already' },
  P2002: { code: 'already_exists', message: 'exists already' },
  23503: { code: 'not_found', message: 'what it belongs to does not exist' },
  P2003: { code: 'not_found', message: 'what it belongs to does not exist' },
  // NUL in text, and NUL or a lone surrogate in jsonb: PostgreSQL cannot store them.
  22021: { code: 'invalid_argument', message: 'holds characters that cannot be stored' },
  '22P05': { code: 'invalid_argument', message: 'holds characters that cannot be stored' },
  '22P02': { code: 'invalid_argument', message: 'holds characters that cannot be stored' },
};
const AWAY = /^(08...|53...|57P0.|40001|40P01|P1001|P1002|P1008|P1017|P2024|P2028|P2034|P2037|3D000|28...|ECONN(REFUSED|RESET|ABORTED)|ENOENT|ETIMEDOUT|EPIPE|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|EACCES)$/;
/** What `pg` says without a code. */
const AWAY_MESSAGE = /Connection terminated|timeout exceeded when trying to connect|Client has encountered a connection error|Cannot use a pool after calling end|server closed the connection/i;

/** Whatever `pg` or Prisma threw, as a CodedError; the original is its cause. */
export function toCodedError(thrown: unknown): CodedError {
  if (thrown instanceof CodedError) return thrown;
  const cause = asError(thrown);
  const codes = [...codesIn(thrown)];
  for (const code of codes) {
    const known = CODES[code];
    if (known !== undefined) return new CodedError(known.code, known.message, {}, { cause });
  }
  if (codes.some((code) => AWAY.test(code)) || AWAY_MESSAGE.test(cause.message)) {
    return new CodedError('unavailable', 'the database cannot be reached', {}, { cause });
  }
  return new CodedError('internal', 'the database failed', {}, { cause });
}

/** Prisma wraps an adapter's error, which wraps PostgreSQL's: the codes stand at any depth. */
function* codesIn(value: unknown, depth = 0): Generator<string> {
  if (typeof value !== 'object' || value === null || depth > 5) return;
  const { code, originalCode, cause, meta, driverAdapterError } = value as Record<string, unknown>;
  for (const inner of [driverAdapterError, meta, cause]) yield* codesIn(inner, depth + 1);
  if (typeof originalCode === 'string') yield originalCode;
  if (typeof code === 'string') yield code;
}

/** The same object, except that its methods reject with a CodedError only. */
export function withCodedErrors<T extends object>(repository: T): T {
  return new Proxy(repository, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property);
      if (typeof member !== 'function') return member;
      return async (...args: unknown[]): Promise<unknown> => {
        try {
          return (await Reflect.apply(member, target, args)) as unknown;
        } catch (error) {
          throw toCodedError(error);
        }
      };
    },
  });
}
