import { CodedError } from '#kernel';

/** What ioredis says when it has given a command up. */
const GIVEN_UP = /^(Reached the max retries per request limit|Connection is closed)/;

/** The same object, whose promises reject with `unavailable` where the client has given up on Redis. Other errors pass. */
export function coded<T extends object>(noun: T): T {
  return new Proxy(noun, {
    get(target, property) {
      const member: unknown = Reflect.get(target, property, target);
      if (typeof member !== 'function') return member;
      return (...args: unknown[]): unknown => {
        const result: unknown = Reflect.apply(member, target, args);
        return result instanceof Promise ? result.catch(refuse) : result;
      };
    },
  });
}

function refuse(error: unknown): never {
  if (error instanceof Error && GIVEN_UP.test(error.message)) throw new CodedError('unavailable', 'Redis does not answer', {}, { cause: error });
  throw error;
}
