import { CodedError } from '#kernel';

const NAMESPACE = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
/** distribution-spec, "Pulling manifests": the grammar of names and tags. */
const NAME = new RegExp(`^${COMPONENT}(?:/${COMPONENT})*(?::[A-Za-z0-9_][A-Za-z0-9_.-]{0,127})?$`);
const MAX_NAME = 255;

/** @throws CodedError `invalid_argument` */
export function checkNamespace(namespace: string): string {
  if (NAMESPACE.test(namespace)) return namespace;
  throw new CodedError('invalid_argument', 'not a name space', { namespace: namespace.slice(0, 100) });
}

/** @throws CodedError `invalid_argument` */
export function checkImageName(name: string): string {
  // The length first: the pattern is only ever given short input.
  if (name.length <= MAX_NAME && NAME.test(name)) return name;
  throw new CodedError('invalid_argument', 'not an image name', { name: name.slice(0, 100) });
}
