import { type CodedError } from '#kernel';

/** Makes the error that says which entry is wrong, and how. */
export type Fault = (what: string) => CodedError;
