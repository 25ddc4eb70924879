import { CodedError } from '#kernel';

const nothing = () => Promise.reject(new CodedError('unavailable', 'no builds here'));

/** For suites that build nothing. */
export const NO_BUILDS = { attached: { run: nothing }, spool: { put: nothing, putContext: nothing, remove: () => Promise.resolve() } };
