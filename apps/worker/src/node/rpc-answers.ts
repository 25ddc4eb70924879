import type { ServerResponse } from 'node:http';
import { asError, isCodedError, type Logger } from '#kernel';
import { pacedWrite } from './paced-write.js';

/** Bytes as the answer. Nothing is sent before the first of them is there, so that a failure until then is an error body; later it cuts the connection. */
export class RpcBytes {
  constructor(
    readonly source: AsyncIterable<Uint8Array>,
    readonly options: { /** Headers at once: the first byte may be long in coming. */ readonly early?: boolean; readonly type?: string; readonly headers?: Readonly<Record<string, string>> } = {},
  ) {}
}

/** One JSON object a line, headers at once; a failure is the last line, `{"error":{code,message}}`. */
export class RpcLines {
  constructor(readonly source: AsyncIterable<object>) {}
}

/** Headers at once, the JSON when it is there. A failure is `{"error":{code,message}}`. */
export class RpcLater {
  constructor(readonly result: Promise<object>) {}
}

export interface AnswerOptions {
  /** A reader that takes nothing for so long is cut. */
  readonly stallMs: number;
  readonly logger: Logger;
}

export function sendJson(response: ServerResponse, status: number, body: unknown): void {
  if (response.destroyed || response.headersSent) return;
  const text = JSON.stringify(body);
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(text) });
  response.end(text);
}

/** @throws what the source throws before its first byte */
export async function sendBytes(response: ServerResponse, { source, options }: RpcBytes, { stallMs, logger }: AnswerOptions): Promise<void> {
  const iterator = source[Symbol.asyncIterator]();
  const begin = (): void => {
    if (response.destroyed) return;
    response.writeHead(200, { ...options.headers, 'content-type': options.type ?? 'application/octet-stream' });
    response.flushHeaders();
  };
  if (options.early === true) begin();
  let first: IteratorResult<Uint8Array>;
  try {
    first = await iterator.next();
  } catch (error) {
    if (options.early !== true) throw error;
    cut(response, error, logger);
    return;
  }
  if (options.early !== true) begin();
  try {
    for (let step = first; step.done !== true; step = await iterator.next()) {
      if (!(await pacedWrite(response, step.value, stallMs))) break;
    }
    response.end();
  } catch (error) {
    cut(response, error, logger);
  } finally {
    if (response.destroyed) await iterator.return?.().catch(() => undefined);
  }
}

export async function sendLines(response: ServerResponse, { source }: RpcLines, { stallMs, logger }: AnswerOptions): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/x-ndjson' });
  response.flushHeaders();
  try {
    for await (const line of source) {
      if (!(await pacedWrite(response, `${JSON.stringify(line)}\n`, stallMs))) return;
    }
  } catch (error) {
    if (!response.destroyed) await pacedWrite(response, `${JSON.stringify({ error: describe(error, logger) })}\n`, stallMs);
  }
  response.end();
}

export async function sendLater(response: ServerResponse, { result }: RpcLater, { logger }: AnswerOptions): Promise<void> {
  response.writeHead(200, { 'content-type': 'application/json' });
  response.flushHeaders();
  const body = await result.catch((error: unknown) => ({ error: describe(error, logger) }));
  if (!response.destroyed) response.end(`${JSON.stringify(body)}\n`);
}

/** What a line says of a failure. What is not coded stays in the log. */
export function describe(error: unknown, logger: Logger): { code: string; message: string } {
  if (isCodedError(error)) return { code: error.code, message: error.message };
  logger.error({ err: asError(error) }, 'node RPC failed');
  return { code: 'internal', message: 'internal error' };
}

/** The end of the chunks is missing: the reader sees that it has not all. */
function cut(response: ServerResponse, error: unknown, logger: Logger): void {
  if (!response.destroyed) logger.warn({ err: asError(error) }, 'a streamed answer was cut off');
  response.destroy();
}
