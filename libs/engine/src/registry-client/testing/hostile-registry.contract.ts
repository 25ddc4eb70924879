import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { createServer as createTlsServer } from 'node:https';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly method: string;
  readonly path: string;
  readonly headers: IncomingMessage['headers'];
}

export interface ServedDocument {
  readonly bytes: Buffer;
  readonly type?: string;
  readonly headers?: Readonly<Record<string, string>>;
}

/** Answers a request itself (true) or leaves it to the registry's good side. */
export type Trick = (request: IncomingMessage, response: ServerResponse) => boolean | Promise<boolean>;

/** A registry that does what it is told, good or bad. Ranges work unless a trick says otherwise. */
export class HostileRegistry {
  readonly blobs = new Map<string, Buffer>();
  readonly manifests = new Map<string, ServedDocument>();
  readonly seen: SeenRequest[] = [];
  /** Bytes of bodies given out, by path. */
  readonly served = new Map<string, number>();
  trick: Trick = () => false;
  private server!: Server;

  static async start(port = 0, tls?: { readonly key: string; readonly certificate: string }): Promise<HostileRegistry> {
    const registry = new HostileRegistry();
    const answer = (request: IncomingMessage, response: ServerResponse): void => {
      void registry.answer(request, response);
    };
    registry.server = tls ? createTlsServer({ key: tls.key, cert: tls.certificate }, answer) : createServer(answer);
    await new Promise<void>((resolve) => registry.server.listen(port, '127.0.0.1', resolve));
    return registry;
  }

  get host(): string {
    return `127.0.0.1:${(this.server.address() as AddressInfo).port}`;
  }

  async stop(): Promise<void> {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  requestsFor(part: string): SeenRequest[] {
    return this.seen.filter(({ path }) => path.includes(part));
  }

  private async answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = request.url ?? '/';
    this.seen.push({ method: request.method ?? '', path, headers: request.headers });
    if (await this.trick(request, response)) return;
    if (path === '/v2/') { end(response, 200, '{}'); return; }
    const [, , kind, name = ''] = /^\/v2\/(.+)\/(manifests|blobs)\/([^/?]+)$/.exec(path) ?? [];
    if (kind === 'manifests') {
      const document = this.manifests.get(name);
      if (!document) { end(response, 404, JSON.stringify({ errors: [{ code: 'MANIFEST_UNKNOWN', message: 'manifest unknown' }] })); return; }
      response.writeHead(200, { 'content-type': document.type ?? 'application/vnd.oci.image.manifest.v1+json', ...document.headers });
      response.end(document.bytes);
      return;
    }
    const blob = kind === 'blobs' ? this.blobs.get(name) : undefined;
    if (!blob) { end(response, 404, JSON.stringify({ errors: [{ code: 'BLOB_UNKNOWN', message: 'blob unknown to registry' }] })); return; }
    this.give(path, blob, request, response);
  }

  private give(path: string, blob: Buffer, request: IncomingMessage, response: ServerResponse): void {
    const from = Number(/^bytes=(\d+)-$/.exec(request.headers.range ?? '')?.[1] ?? 0);
    if (from >= blob.length && from > 0) { end(response, 416, ''); return; }
    const body = blob.subarray(from);
    this.served.set(path, (this.served.get(path) ?? 0) + body.length);
    response.writeHead(from > 0 ? 206 : 200, { 'content-length': body.length, ...(from > 0 ? { 'content-range': `bytes ${from}-${blob.length - 1}/${blob.length}` } : {}) });
    response.end(body);
  }
}

export function end(response: ServerResponse, status: number, body: string, headers: Readonly<Record<string, string>> = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body), ...headers });
  response.end(body);
}
