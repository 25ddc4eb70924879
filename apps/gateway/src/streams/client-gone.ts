import { CodedError } from '#kernel';

/** Why what was done for a client is given up. One for all: it is told of every connection that ends, and to say where it was made would cost more than the rest of an end. */
export const CLIENT_GONE = new CodedError('cancelled', 'the caller went away');
