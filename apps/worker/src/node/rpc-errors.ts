import { STATUS_OF, type ErrorBody } from '#contracts';
import { asError, isCodedError, type Logger } from '#kernel';

/** What is thrown, as an answer. What is not coded stays in the log. */
export function rpcError(error: unknown, requestId: string, logger: Logger): { status: number; body: ErrorBody } {
  if (isCodedError(error)) return { status: STATUS_OF[error.code], body: { error: { code: error.code, message: error.message, details: { ...error.details }, requestId } } };
  logger.error({ err: asError(error), requestId }, 'node RPC failed');
  return { status: STATUS_OF.internal, body: { error: { code: 'internal', message: 'internal error', details: {}, requestId } } };
}
