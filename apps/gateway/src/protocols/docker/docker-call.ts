import { createParamDecorator, type ExecutionContext } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import type { ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { CodedError } from '#kernel';
import { asTenantCaller, type TenantCaller } from '../../auth/caller.js';
import { hangUpSignal } from '../rest/hang-up.js';
import { requestContext } from '../rest/request-context.js';
import { DockerAnswer } from './docker-answer.js';
import { parseJsonObject, readBody } from './docker-body.js';
import { GatheredBody } from './gathered-body.js';
import { DockerQuery } from './query.js';
import { apiVersionOf, DOCKER_PREFIX } from './routing.js';

/** A JSON document of Docker's is a container's configuration at most. */
const JSON_LIMIT_BYTES = 4 * 1024 * 1024;
const JSON_TIME_MS = 30_000;
const STALL_MS = 60_000;

/** One request to Docker's API: who, which version, what it asks, and how it is answered. */
export class DockerCall {
  readonly query: DockerQuery;
  readonly signal: AbortSignal;

  constructor(
    private readonly request: FastifyRequest,
    readonly reply: FastifyReply,
  ) {
    this.query = new DockerQuery(request.raw.url ?? '/');
    this.signal = hangUpSignal(reply);
  }

  get caller(): TenantCaller {
    const { caller } = requestContext(this.request);
    if (caller === undefined) throw new CodedError('internal', 'a public route asked for its caller');
    return asTenantCaller(caller);
  }

  get requestId(): string {
    return requestContext(this.request).id;
  }

  /** 43 of 1.43. */
  get version(): number {
    return apiVersionOf(this.request.raw);
  }

  /** Below Docker's root, without the version: `containers/x/json`. */
  get path(): string {
    return (this.request.raw.url ?? '').slice(DOCKER_PREFIX.length + 1).split('?', 1)[0] ?? '';
  }

  header(name: string): string | undefined {
    const value = this.request.headers[name];
    return Array.isArray(value) ? value[0] : value;
  }

  async json(): Promise<Record<string, unknown>> {
    const { raw } = this.request;
    const timer = setTimeout(() => raw.socket.destroy(), JSON_TIME_MS);
    try {
      return parseJsonObject(await readBody(raw, JSON_LIMIT_BYTES));
    } finally {
      clearTimeout(timer);
    }
  }

  /** The body as bytes, of any length. */
  stream(): Readable {
    return new GatheredBody(this.request.raw, STALL_MS);
  }

  /** Whether the request has one, of whatever length. */
  get hasBody(): boolean {
    const { headers } = this.request;
    return headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  }

  /** The answer's body as it is: no chunks, its end is the connection's. */
  hijack(contentType: string): ServerResponse {
    const { raw } = this.reply.hijack();
    for (const [name, value] of Object.entries(this.reply.getHeaders())) if (value !== undefined) raw.setHeader(name, value);
    raw.shouldKeepAlive = false;
    raw.removeHeader('transfer-encoding');
    raw.writeHead(200, { 'content-type': contentType });
    raw.flushHeaders();
    raw.on('error', () => undefined);
    return raw;
  }

  answer(contentType: string): DockerAnswer {
    return new DockerAnswer(this.reply, contentType, STALL_MS, this.signal);
  }

  /** Sends a byte stream as it comes; a failure in its middle cuts the answer. */
  async send(source: AsyncIterable<Buffer>, contentType: string): Promise<void> {
    const answer = this.answer(contentType);
    try {
      for await (const chunk of source) if (!(await answer.write(chunk))) return;
      answer.end();
    } catch {
      answer.cut();
    }
  }
}

/** The request as Docker's routes see it. */
export const Docker = createParamDecorator((_data: undefined, context: ExecutionContext): DockerCall => {
  const http = context.switchToHttp();
  return new DockerCall(http.getRequest<FastifyRequest>(), http.getResponse<FastifyReply>());
});
