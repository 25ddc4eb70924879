import { CodedError } from '#kernel';
import { ClosingStream } from '../../tree/index.js';
import type { RegistryPolicy } from '../registry-client.js';
import { AddressPolicy } from './address-policy.js';
import { Dialer, bytesOf, dismiss, type DialTiming } from './dialer.js';
import { requestText } from './failures.js';
import { sendFollowing } from './redirects.js';

const TIMING: DialTiming = { connectMs: 5_000, stallMs: 30_000 };

/** To be read to its end, or left by `return`. */
export interface FetchedUrl {
  /** By the server; undefined: it does not say. */
  readonly lastModifiedMs: number | undefined;
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
    const url = URL.canParse(text) ? new URL(text) : undefined;
    if (url?.protocol !== 'http:' && url?.protocol !== 'https:') throw new CodedError('invalid_argument', `invalid URL: ${JSON.stringify(text.slice(0, 200))}`);
    const dialer = new Dialer(this.addresses, TIMING);
    const close = (): Promise<void> => {
      dialer.close();
      return Promise.resolve();
    };
    try {
      const reply = await sendFollowing(dialer, { method: 'GET', url, signal });
      if (reply.status !== 200) {
        dismiss(reply);
        throw new CodedError(reply.status === 404 ? 'not_found' : 'unavailable', `${requestText('GET', url)}: received unexpected HTTP status: ${reply.status}`, { status: reply.status });
      }
      const lastModifiedMs = Date.parse(reply.headers['last-modified'] ?? '');
      return { lastModifiedMs: Number.isNaN(lastModifiedMs) ? undefined : lastModifiedMs, bytes: new ClosingStream(bytesOf(reply, signal), close) };
    } catch (error) {
      await close();
      throw error;
    }
  }
}
