import { HttpException } from '@nestjs/common';
import { STATUS_OF, type ErrorBody } from '#contracts';
import { errnoOf, isCodedError, type CodedError, type ErrorCode } from '#kernel';

/** A failure as a client sees it. `unexpected`: nothing foresaw it, so it is logged in full and shown as `internal`. */
export interface RestError {
  readonly status: number;
  readonly code: ErrorCode;
  readonly message: string;
  readonly details: Readonly<Record<string, unknown>>;
  readonly unexpected: boolean;
}

/** HTTP knows finer refusals than our codes: these keep their own status. */
const STATUS_CODES: Readonly<Record<number, ErrorCode>> = {
  400: 'invalid_argument',
  404: 'not_found',
  405: 'unsupported',
  408: 'deadline_exceeded',
  413: 'payload_too_large',
  414: 'invalid_argument',
  415: 'unsupported',
  417: 'unsupported',
  431: 'payload_too_large',
  503: 'unavailable',
};

/** Errors of the connection to PostgreSQL or Redis: the caller may try again. */
const AWAY = new Set(['ECONNREFUSED', 'ECONNRESET', 'ENOENT', 'EPIPE', 'ETIMEDOUT', 'P1001', 'P1002', 'P1008', 'P1017', 'P2024', '57P01', '57P03']);
const AWAY_NAMES = new Set(['MaxRetriesPerRequestError']);
const AWAY_MESSAGES = new Set(['Connection is closed.', "Stream isn't writeable and enableOfflineQueue options is false", 'Command timed out']);

export function toRestError(thrown: unknown): RestError {
  if (isCodedError(thrown)) return fromCoded(thrown);
  const status = statusOf(thrown);
  const code = status === undefined ? undefined : STATUS_CODES[status];
  if (status !== undefined && code !== undefined) return { status, code, message: messageOf(thrown, status), details: {}, unexpected: false };
  if (status !== undefined && status >= 400 && status < 500) return { status: 400, code: 'invalid_argument', message: messageOf(thrown, status), details: {}, unexpected: false };
  if (isAway(thrown)) return { status: 503, code: 'unavailable', message: 'a part of the service is away: try again', details: {}, unexpected: true };
  return { status: 500, code: 'internal', message: 'an unexpected error', details: {}, unexpected: true };
}

export function toErrorBody(error: Pick<RestError, 'code' | 'message' | 'details'>, requestId: string): ErrorBody {
  return { error: { code: error.code, message: error.message, details: { ...error.details }, requestId } };
}

function fromCoded(error: CodedError): RestError {
  const unexpected = error.code === 'internal';
  return { status: STATUS_OF[error.code], code: error.code, message: unexpected ? 'an unexpected error' : error.message, details: unexpected ? {} : error.details, unexpected };
}

function statusOf(thrown: unknown): number | undefined {
  if (thrown instanceof HttpException) return thrown.getStatus();
  if (thrown instanceof Error && 'statusCode' in thrown && typeof thrown.statusCode === 'number') return thrown.statusCode;
  return undefined;
}

/** Texts of the framework's client errors; what Fastify says of a body names no internals. */
function messageOf(thrown: unknown, status: number): string {
  if (status === 413) return 'the body is too large';
  if (status === 415) return 'the body must be application/json';
  return thrown instanceof Error ? thrown.message : 'the request is not valid';
}

function isAway(thrown: unknown): boolean {
  for (let error: unknown = thrown, depth = 0; error instanceof Error && depth < 5; error = error.cause, depth += 1) {
    if (AWAY.has(errnoOf(error) ?? '') || AWAY_NAMES.has(error.name) || AWAY_MESSAGES.has(error.message)) return true;
  }
  return false;
}
