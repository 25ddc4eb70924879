import type { FastifyInstance } from 'fastify';
import { CodedError } from '#kernel';
import { isDockerRequest } from '../docker/routing.js';
import type { RequestAuthentication } from '../../auth/request-authentication.service.js';
import { takesSigned } from './signed-body.js';
import { takesTar } from './tar-body.js';

/** Methods whose bodies Fastify reads. */
const WITH_BODY = new Set(['POST', 'PUT', 'PATCH', 'DELETE']);

/**
 * Guards run after a body was read and parsed: megabytes of memory and a tenth of a second for whoever asks. So a request that may carry
 * one has to say who sends it first, but where the body itself says so. Paths that are not there stay 404 for everyone.
 */
export function authenticateBeforeBodies(instance: FastifyInstance, authentication: RequestAuthentication, bodyLimit: number): void {
  instance.addHook('onRequest', async (request, reply) => {
    if (!WITH_BODY.has(request.method) || request.is404) return;
    if (!takesSigned(request)) await authentication.callerOf(request, reply);
    // Archives may have any length: they are streamed. Docker's other bodies have a limit of their own.
    if (isDockerRequest(request.raw) || takesTar(request)) return;
    // Fastify would close the connection under a client that still sends, which then sees a reset and not the answer. Node reads on.
    if (Number(request.headers['content-length'] ?? 0) > bodyLimit) throw new CodedError('payload_too_large', 'the body is too large', { bytes: bodyLimit });
  });
}
