import { CodedError } from '#kernel';

const NAMESPACE = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;

/** Names a folder. @throws CodedError `invalid_argument` */
export function checkNamespace(namespace: string): string {
  if (NAMESPACE.test(namespace)) return namespace;
  throw new CodedError('invalid_argument', 'not a name space', { namespace: namespace.slice(0, 100) });
}
