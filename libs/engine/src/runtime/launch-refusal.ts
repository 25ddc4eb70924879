import { CodedError } from '#kernel';

/** Errors that a root file system makes on which the bundle's own mounts find no place, in the order in which Docker's engine looks for them. */
const REFUSALS: readonly { readonly errors: RegExp; readonly exitCode: number; readonly hint: string }[] = [
  { errors: /no such file or directory/i, exitCode: 127, hint: '' },
  { errors: /is a directory/i, exitCode: 126, hint: '' },
  { errors: /not a directory/i, exitCode: 126, hint: ': Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type' },
  { errors: /too many levels of symbolic links/i, exitCode: 128, hint: '' },
];

/**
 * What an OCI runtime says of an image whose `/dev`, `/proc` or `/sys` is a link or a file: the image is at fault, and Docker's clients read
 * their exit code from the words. undefined: the failure is the node's, or `text` names paths below `root`, which are nobody's business.
 */
export function launchRefusal(text: string, root: string): CodedError | undefined {
  if (text.includes(root)) return undefined;
  const refusal = REFUSALS.find(({ errors }) => errors.test(text));
  if (refusal === undefined) return undefined;
  const message = `failed to create task for container: failed to create shim task: OCI runtime create failed: ${text}: unknown${refusal.hint}`;
  return new CodedError('invalid_argument', message, { exitCode: refusal.exitCode });
}
