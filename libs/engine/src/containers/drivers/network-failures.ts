import { asError, CodedError, isCodedError } from '#kernel';
import type { ContainerRecord } from './container-record.js';

/** In Docker's words, by which its clients tell what became of a start. */
export function attachFailure({ id, name }: Pick<ContainerRecord, 'id' | 'name'>, error: unknown): Error {
  if (!isCodedError(error)) return asError(error);
  const about = error.message.startsWith('Bind for ') ? `driver failed programming external connectivity on endpoint ${name} (${id}): ` : '';
  return new CodedError(error.code, `failed to set up container networking: ${about}${error.message}`, error.details, { cause: error });
}
