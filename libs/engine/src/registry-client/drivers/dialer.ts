import { lookup as resolveName } from 'node:dns';
import * as http from 'node:http';
import * as https from 'node:https';
import { isIP, type LookupFunction } from 'node:net';
import { Readable } from 'node:stream';
import { CodedError, asError, isCodedError } from '#kernel';
import { isPublicAddress, type AddressPolicy } from './address-policy.js';
import { dialText, dropped, requestText, unreachable } from './failures.js';

/** Times in milliseconds. */
export interface DialTiming {
  readonly connectMs: number;
  /** Without a byte in either direction. */
  readonly stallMs: number;
}

export interface WireRequest {
  readonly method: string;
  readonly url: URL;
  readonly headers?: Readonly<Record<string, string>>;
  /** A stream is made anew for each time that the request is sent. */
  readonly body?: Buffer | (() => AsyncIterable<Uint8Array>);
  readonly signal: AbortSignal;
  /** The operator named this URL: it may have any address. */
  readonly trusted?: boolean;
  /** The server may think for longer than `stallMs`. */
  readonly stallMs?: number;
}

export interface WireReply {
  readonly status: number;
  readonly headers: http.IncomingHttpHeaders;
  readonly url: URL;
  readonly body: http.IncomingMessage;
}

/**
 * One HTTP exchange at a time, no redirects, over connections that live as long as one transfer. Every address is checked where it is
 * dialled, by the same answer of the resolver that the connection then uses: a name cannot show one address and lead to another.
 */
export class Dialer {
  private readonly agents = {
    plain: new http.Agent({ keepAlive: true, maxSockets: 8 }),
    verified: new https.Agent({ keepAlive: true, maxSockets: 8 }),
    anyCertificate: new https.Agent({ keepAlive: true, maxSockets: 8, rejectUnauthorized: false }),
  };

  constructor(
    readonly policy: AddressPolicy,
    private readonly timing: DialTiming,
  ) {}

  /** @throws CodedError `unavailable` (`isUnreachable` or dropped), `permission_denied` (a private address), `cancelled` */
  send(request: WireRequest): Promise<WireReply> {
    const { url, method, signal } = request;
    if (signal.aborted) return Promise.reject(cancelled(signal));
    try {
      this.checkLiteral(request);
    } catch (error) {
      return Promise.reject(asError(error));
    }
    return new Promise((resolve, reject) => {
      let connected = false;
      let incoming: http.IncomingMessage | undefined;
      const outgoing = (url.protocol === 'https:' ? https : http).request(url, {
        method,
        agent: this.agentFor(request),
        headers: { 'user-agent': 'sandbar', 'accept-encoding': 'identity', ...request.headers },
        lookup: this.lookupFor(request),
        signal,
      });
      outgoing.setTimeout(request.stallMs ?? this.timing.stallMs, () => {
        const stalled = dropped(`${requestText(method, url)}: the connection stalled`);
        incoming?.destroy(stalled);
        outgoing.destroy(stalled);
      });
      outgoing.once('socket', (socket) => {
        if (outgoing.reusedSocket) {
          connected = true;
          return;
        }
        const timer = setTimeout(() => {
          outgoing.destroy(unreachable(`${requestText(method, url)}: dial tcp ${url.host}: i/o timeout`, undefined));
        }, this.timing.connectMs);
        socket.once('close', () => {
          clearTimeout(timer);
        });
        socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => {
          connected = true;
          clearTimeout(timer);
        });
      });
      outgoing.once('error', (error) => {
        if (isCodedError(error)) reject(error);
        else if (signal.aborted) reject(cancelled(signal));
        else if (connected) reject(dropped(`${requestText(method, url)}: ${error.message}`, error));
        else reject(unreachable(`${requestText(method, url)}: ${dialText(error, url)}`, error));
      });
      const source = pour(request.body, outgoing);
      outgoing.once('response', (body) => {
        incoming = body;
        if (source && !source.readableEnded && (body.statusCode ?? 0) >= 300) {
          // Refused before the end of the body: nobody reads the rest, and the connection is of no more use.
          source.unpipe(outgoing);
          source.destroy();
          body.once('close', () => outgoing.destroy());
        }
        // A reader that came and left must not turn what happens later into an uncaught error.
        body.on('error', () => undefined);
        resolve({ status: body.statusCode ?? 0, headers: body.headers, url, body });
      });
    });
  }

  /** Ends all connections. */
  close(): void {
    for (const agent of Object.values(this.agents)) agent.destroy();
  }

  private agentFor({ url }: WireRequest): http.Agent {
    if (url.protocol !== 'https:') return this.agents.plain;
    return this.policy.isInsecure(url) ? this.agents.anyCertificate : this.agents.verified;
  }

  private mayBePrivate({ url, trusted }: WireRequest): boolean {
    return trusted === true || this.policy.allowsPrivate(url);
  }

  /** Addresses in the URL itself never come by the resolver. */
  private checkLiteral(request: WireRequest): void {
    const literal = request.url.hostname.replace(/^\[|\]$/g, '');
    if (isIP(literal) !== 0 && !this.mayBePrivate(request) && !isPublicAddress(literal)) throw privateAddress(request);
  }

  private lookupFor(request: WireRequest): LookupFunction {
    return (hostname, options, callback) => {
      resolveName(hostname, { ...options, all: true }, (error, addresses) => {
        // With an error there are no addresses at all, whatever the types say.
        if (error) {
          callback(error, '');
          return;
        }
        const allowed = this.mayBePrivate(request) ? addresses : addresses.filter(({ address }) => isPublicAddress(address));
        const [first] = allowed;
        if (!first) callback(privateAddress(request), '');
        else if (options.all === true) callback(null, allowed);
        else callback(null, first.address, first.family);
      });
    };
  }
}

/** What a reply's body says. @throws CodedError `unavailable` (dropped), `cancelled` */
export async function* bytesOf(reply: WireReply, signal: AbortSignal): AsyncGenerator<Buffer, void, void> {
  try {
    for await (const chunk of reply.body as AsyncIterable<Buffer>) yield chunk;
  } catch (error) {
    if (signal.aborted) throw cancelled(signal);
    throw isCodedError(error) ? error : dropped(`${requestText('GET', reply.url)}: ${asError(error).message}`, error);
  }
}

/** @throws CodedError `payload_too_large`, and as `bytesOf` */
export async function wholeBody(reply: WireReply, maxBytes: number, signal: AbortSignal): Promise<Buffer> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of bytesOf(reply, signal)) {
    size += chunk.length;
    if (size > maxBytes) throw new CodedError('payload_too_large', `the registry's answer has more than ${maxBytes} bytes`, { maxBytes });
    chunks.push(chunk);
  }
  return Buffer.concat(chunks);
}

/** Frees the connection of a reply whose body nobody wants. */
export function dismiss(reply: WireReply): void {
  if (Number(reply.headers['content-length'] ?? Number.NaN) <= 65_536) reply.body.resume();
  else reply.body.destroy();
}

function pour(body: WireRequest['body'], outgoing: http.ClientRequest): Readable | undefined {
  if (typeof body !== 'function') {
    outgoing.end(body);
    return undefined;
  }
  const source = Readable.from(body(), { objectMode: false });
  source.once('error', (error) => outgoing.destroy(error));
  outgoing.once('close', () => source.destroy());
  source.pipe(outgoing);
  return source;
}

function privateAddress({ method, url }: WireRequest): CodedError {
  return unreachable(`${requestText(method, url)}: dial tcp: lookup ${url.hostname}: the address is not a public one`, undefined, 'permission_denied');
}

export function cancelled(signal: AbortSignal): CodedError {
  return new CodedError('cancelled', 'context canceled', {}, { cause: signal.reason });
}
