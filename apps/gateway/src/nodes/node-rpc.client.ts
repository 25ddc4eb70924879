import { Inject, Injectable, type OnApplicationShutdown } from '@nestjs/common';
import { Agent, request as httpRequest, type RequestOptions } from 'node:http';
import { errorBodySchema, type RunStdin } from '#contracts';
import { CodedError, type BuildId, type OperationId, type RunId } from '#kernel';
import { SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';

const TIMEOUT_MS = 5_000;
const MAX_ANSWER_BYTES = 64 * 1024;

/** Speaks to the node that executes a run, at the address its heartbeat names. */
@Injectable()
export class NodeRpcClient implements OnApplicationShutdown {
  private readonly agent = new Agent({ keepAlive: true, maxSockets: 64, maxFreeSockets: 8 });

  constructor(@Inject(SETTINGS) private readonly settings: GatewaySettings) {}

  onApplicationShutdown(): void {
    this.agent.destroy();
  }

  /** Accepted, not yet done. @throws CodedError `not_found` (the node does not hold that run), `unavailable` */
  async cancel(rpcUrl: string, runId: RunId): Promise<void> {
    await this.post(rpcUrl, `/runs/${runId}/cancel`, {});
  }

  /** @throws CodedError `not_found`, `failed_precondition` (stdin is closed or was never open), `unavailable` */
  async stdin(rpcUrl: string, runId: RunId, stdin: RunStdin): Promise<void> {
    await this.post(rpcUrl, `/runs/${runId}/stdin`, stdin);
  }

  /** Accepted, not yet done. @throws CodedError `not_found` (the node does not hold it), `unavailable` */
  async cancelJob(rpcUrl: string, kind: 'operations' | 'builds', id: OperationId | BuildId): Promise<void> {
    await this.post(rpcUrl, `/${kind}/${id}/cancel`, {});
  }

  private async post(rpcUrl: string, path: string, body: object): Promise<void> {
    const { status, text } = await this.send(targetOf(rpcUrl), path, JSON.stringify(body));
    if (status >= 200 && status < 300) return;
    const parsed = errorBodySchema.safeParse(parseJson(text));
    if (!parsed.success) throw new CodedError('unavailable', 'the node gave no proper answer', { status });
    const { code, message, details } = parsed.data.error;
    // A node that refuses our token is our fault, not the caller's.
    if (code === 'unauthenticated' || code === 'permission_denied') throw new CodedError('internal', 'the node refuses the gateway', { code });
    throw new CodedError(code, message, details);
  }

  private send(target: RequestOptions, path: string, body: string): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const fail = (cause: Error): void => {
        reject(new CodedError('unavailable', 'the node does not answer', {}, { cause }));
      };
      const headers = { authorization: `Bearer ${this.settings.nodeRpcToken}`, 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) };
      const request = httpRequest({ ...target, path, method: 'POST', agent: this.agent, headers, signal: AbortSignal.timeout(TIMEOUT_MS) });
      request.on('error', fail);
      request.on('response', (response) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        response.on('error', fail);
        response.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > MAX_ANSWER_BYTES) response.destroy(new Error('the answer is too large'));
          else chunks.push(chunk);
        });
        response.on('end', () => {
          resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() });
        });
      });
      request.end(body);
    });
  }
}

/** `unix:/path` or `http://host:port`, as a heartbeat has it. */
export function targetOf(rpcUrl: string): RequestOptions {
  if (rpcUrl.startsWith('unix:')) return { socketPath: rpcUrl.slice('unix:'.length) };
  const url = URL.parse(rpcUrl);
  if (url?.protocol !== 'http:') throw new CodedError('unavailable', 'the node has no address that can be called');
  return { host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port: url.port === '' ? 80 : Number(url.port) };
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
