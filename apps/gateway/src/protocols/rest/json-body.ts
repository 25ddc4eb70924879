import type { FastifyInstance } from 'fastify';
import { CodedError, asError } from '#kernel';

/**
 * Bodies are JSON in valid UTF-8. Fastify's own parser would turn bytes that are not into U+FFFD, and a program that is not what was
 * sent would run.
 */
export function acceptJsonBodies(instance: FastifyInstance, bodyLimit: number): void {
  instance.removeAllContentTypeParsers();
  // 'error': a body with __proto__ or constructor.prototype is refused.
  const parse = instance.getDefaultJsonParser('error', 'error');
  instance.addContentTypeParser<Buffer>('application/json', { parseAs: 'buffer', bodyLimit }, (request, body, done) => {
    if (body.length === 0) {
      done(null, undefined);
      return;
    }
    let text: string;
    try {
      text = new TextDecoder('utf-8', { fatal: true }).decode(body);
    } catch {
      done(new CodedError('invalid_argument', 'the body is not valid UTF-8'));
      return;
    }
    // The type says that it may return a promise; the default parser calls back.
    void parse(request, text, (error: Error | null, value?: unknown) => {
      if (error === null) done(null, value);
      else done(new CodedError('invalid_argument', `the body is not valid JSON: ${asError(error).message}`));
    });
  });
}
