import type { FastifyInstance, FastifyRequest } from 'fastify';
import { CodedError, asError } from '#kernel';

/**
 * Bodies are JSON in valid UTF-8. Fastify's own parser would turn bytes that are not into U+FFFD, and a program that is not what was
 * sent would run. `arrived` is asked before a body is parsed, and may refuse it.
 */
export function acceptJsonBodies(instance: FastifyInstance, bodyLimit: number, arrived: (request: FastifyRequest, bytes: number) => Promise<void>): void {
  instance.removeAllContentTypeParsers();
  // 'error': a body with __proto__ or constructor.prototype is refused.
  const parse = instance.getDefaultJsonParser('error', 'error');
  const parseText = (request: FastifyRequest, text: string): Promise<unknown> =>
    new Promise((resolve, reject) => {
      // The type says that it may return a promise; the default parser calls back.
      void parse(request, text, (error: Error | null, value?: unknown) => {
        if (error === null) resolve(value);
        else reject(new CodedError('invalid_argument', `the body is not valid JSON: ${asError(error).message}`));
      });
    });
  instance.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer', bodyLimit }, async (request: FastifyRequest, body: Buffer) => {
    await arrived(request, body.length);
    return body.length === 0 ? undefined : parseText(request, decode(body));
  });
}

function decode(body: Buffer): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body);
  } catch {
    throw new CodedError('invalid_argument', 'the body is not valid UTF-8');
  }
}
