import type { IncomingHttpHeaders } from 'node:http';
import { CodedError } from '#kernel';
import { ClosingStream } from '../../tree/index.js';
import type { RegistryPolicy } from '../registry-client.js';
import { AddressPolicy } from './address-policy.js';
import { Dialer, bytesOf, type DialTiming } from './dialer.js';
import { requestText } from './failures.js';
import { sendFollowing } from './redirects.js';

const TIMING: DialTiming = { connectMs: 5_000, stallMs: 30_000 };

/** To be read to its end, or left by `return`. */
export interface FetchedUrl {
  /** By the server; undefined: it does not say. */
  readonly lastModifiedMs: number | undefined;
  readonly bytes: AsyncIterableIterator<Uint8Array>;
}

export interface UrlRequest {
  readonly method?: 'GET' | 'POST';
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: Buffer;
  readonly signal: AbortSignal;
}

/** To be read to its end, or left by `return`, whatever the status. */
export interface UrlReply {
  readonly status: number;
  /** Where the answer came from, redirects followed. */
  readonly url: URL;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: AsyncIterableIterator<Uint8Array>;
}

/** What is behind URLs that tenants name (`docker import http://…`), under the same policy as registries: each address is checked where it is dialled. */
export class UrlFetcher {
  private readonly addresses: AddressPolicy;

  constructor(policy: RegistryPolicy) {
    this.addresses = new AddressPolicy(policy);
  }

  /** As `open`, its bytes alone. */
  async *fetch(text: string, signal: AbortSignal): AsyncGenerator<Uint8Array, void, void> {
    yield* (await this.open(text, signal)).bytes;
  }

  /** @throws CodedError `invalid_argument` (no http or https URL), `permission_denied` (a private address), `not_found`, `unavailable`, `cancelled` */
  async open(text: string, signal: AbortSignal): Promise<FetchedUrl> {
    const { status, url, headers, bytes } = await this.exchange(text, { signal });
    if (status !== 200) {
      await bytes.return?.();
      throw new CodedError(status === 404 ? 'not_found' : 'unavailable', `${requestText('GET', url)}: received unexpected HTTP status: ${status}`, { status });
    }
    const lastModifiedMs = Date.parse(headers['last-modified'] ?? '');
    return { lastModifiedMs: Number.isNaN(lastModifiedMs) ? undefined : lastModifiedMs, bytes };
  }

  /** Redirects are followed by GET alone. @throws CodedError as `open`, whatever the status */
  async exchange(text: string, { method = 'GET', signal, ...request }: UrlRequest): Promise<UrlReply> {
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url?.protocol !== 'http:' && url?.protocol !== 'https:') throw new CodedError('invalid_argument', `invalid URL: ${JSON.stringify(text.slice(0, 200))}`);
    const dialer = new Dialer(this.addresses, TIMING);
    const close = (): Promise<void> => {
      dialer.close();
      return Promise.resolve();
    };
    try {
      const reply = await sendFollowing(dialer, { method, url, signal, ...request });
      return { status: reply.status, url: reply.url, headers: reply.headers, bytes: new ClosingStream(bytesOf(reply, signal), close) };
    } catch (error) {
      await close();
      throw error;
    }
  }
}
