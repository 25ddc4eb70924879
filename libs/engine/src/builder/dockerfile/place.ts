import { CodedError } from '#kernel';

/** Where something stands in a Dockerfile; both count from 1, columns in UTF-16 units. */
export interface Place {
  readonly line: number;
  readonly column: number;
}

/** What every fault of a Dockerfile is told as: its place stands in the message and in `details`. */
export function fault({ line, column }: Place, message: string): CodedError {
  return new CodedError('invalid_argument', `dockerfile parse error on line ${line}, column ${column}: ${message}`, { line, column });
}
