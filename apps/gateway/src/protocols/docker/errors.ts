import type { FastifyReply } from 'fastify';
import { STATUS_OF } from '#contracts';
import { CodedError, isCodedError, type ErrorCode } from '#kernel';
import { toRestError } from '../rest/rest-error.js';

/** Docker's statuses where they differ from REST's: its clients branch on them. */
const DOCKER_STATUS: Partial<Record<string, number>> = {
  quota_exceeded: 403,
  // A full disk is the engine's failure to Docker's clients, and nothing to try again.
  resource_exhausted: 500,
  digest_mismatch: 500,
  protocol_violation: 500,
  cancelled: 500,
  payload_too_large: 413,
};

/** A failure as Docker's clients see it: `{"message": …}`. */
export interface DockerError {
  readonly status: number;
  readonly message: string;
}

export function toDockerError(thrown: unknown): DockerError {
  const error = toRestError(thrown);
  if (thrown instanceof DockerStatusError) return { status: thrown.status, message: thrown.message };
  if (isCodedError(thrown)) return { status: DOCKER_STATUS[error.code] ?? STATUS_OF[error.code], message: error.message };
  // The router's own refusal: there is no such path.
  if (error.status === 404) return { status: 404, message: 'page not found' };
  return { status: error.status, message: error.message };
}

const STATUS_CODES: Partial<Record<number, ErrorCode>> = { 500: 'internal', 503: 'unavailable' };

/** A refusal with a status that none of our codes has. */
export class DockerStatusError extends CodedError {
  constructor(
    readonly status: number,
    message: string,
  ) {
    super(STATUS_CODES[status] ?? 'unsupported', message);
  }
}

export function sendDockerError(reply: FastifyReply, { status, message }: DockerError): void {
  void reply.status(status).type('application/json').send({ message });
}

export function unsupported(what: string): CodedError {
  return new CodedError('unsupported', `${what} is not supported by this server`);
}

export function badParameter(message: string): CodedError {
  return new CodedError('invalid_argument', message);
}
