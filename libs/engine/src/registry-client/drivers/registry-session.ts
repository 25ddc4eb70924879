import type { Clock } from '#kernel';
import type { RegistryAuth } from '../registry-client.js';
import { parseChallenge } from './challenges.js';
import { Credentials } from './credentials.js';
import { dismiss, wholeBody, type Dialer, type DialTiming, type WireReply, type WireRequest } from './dialer.js';
import { isUnreachable } from './failures.js';
import { sendFollowing } from './redirects.js';
import { checkPassing, faultError, faultOf } from './registry-errors.js';
import { withRetries, type RetryTiming } from './retries.js';

const MAX_ERROR_BODY = 64 * 1024;

export interface TransferTiming extends DialTiming, RetryTiming {
  /** How long a pull waits for another that downloads the same layer before it does so itself, milliseconds. */
  readonly layerWaitMs: number;
}

export interface SessionOptions {
  readonly dialer: Dialer;
  /** Such as `https://registry-1.docker.io`. */
  readonly base: URL;
  /** The operator named it (a mirror). */
  readonly trusted: boolean;
  readonly auth: RegistryAuth | undefined;
  readonly timing: TransferTiming;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

export interface SessionRequest {
  readonly method: 'GET' | 'HEAD' | 'POST' | 'PATCH' | 'PUT' | 'DELETE';
  /** Below the base (`/v2/…`), or a whole URL that the registry named. */
  readonly target: string | URL;
  readonly scopes: readonly string[];
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: WireRequest['body'];
  readonly stallMs?: number;
  /** Narrower than the transfer's. */
  readonly signal?: AbortSignal;
}

/** Speaks to one registry for one transfer: authenticates when asked, follows redirects, tries again what may pass. */
export class RegistrySession {
  readonly timing: TransferTiming;
  readonly signal: AbortSignal;
  readonly credentials: Credentials;

  private constructor(
    private readonly options: SessionOptions,
    readonly base: URL,
  ) {
    this.timing = options.timing;
    this.signal = options.signal;
    this.credentials = new Credentials(options);
  }

  /** Asks whether there is a registry; one that may be spoken to in plain HTTP is asked over TLS first. @throws CodedError `unavailable`, `permission_denied` (`isUnreachable`) */
  static async open(options: SessionOptions): Promise<RegistrySession> {
    const { base, dialer } = options;
    const session = new RegistrySession(options, base);
    if (base.protocol !== 'https:' || !dialer.policy.isInsecure(base)) {
      await session.ping();
      return session;
    }
    try {
      await session.ping();
      return session;
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      const plain = new RegistrySession(options, new URL(`http://${base.host}`));
      await plain.ping();
      return plain;
    }
  }

  /** A reply below 400, or one of `expected`. @throws CodedError of the registry's answer (`faultError`) */
  async request(request: SessionRequest, expected: readonly number[] = []): Promise<WireReply> {
    const reply = await this.send(request);
    if (reply.status < 400 || expected.includes(reply.status)) return reply;
    const body = await this.bodyOf(reply);
    throw faultError(reply.status, faultOf(reply.status, body));
  }

  /** A reply of any status, but those that may pass were tried again. */
  send(request: SessionRequest): Promise<WireReply> {
    return withRetries(this.timing, request.signal ?? this.signal, () => this.sendOnce(request));
  }

  /** @throws CodedError `rate_limited`, `unavailable` that `withRetries` takes */
  async sendOnce(request: SessionRequest): Promise<WireReply> {
    const reply = await this.authorized(request);
    if (reply.status === 429 || reply.status === 408 || reply.status >= 500) checkPassing(reply, await this.bodyOf(reply), this.options.clock);
    return reply;
  }

  /** Of an answer that is an error or small. */
  async bodyOf(reply: WireReply): Promise<Buffer> {
    return wholeBody(reply, MAX_ERROR_BODY, this.signal).catch(() => Buffer.alloc(0));
  }

  urlOf(target: string | URL): URL {
    return new URL(target, this.base);
  }

  private async ping(): Promise<void> {
    const reply = await withRetries(this.timing, this.signal, () => this.wire({ method: 'GET', target: '/v2/', scopes: [] }, undefined));
    this.learn(reply, []);
    dismiss(reply);
  }

  private async authorized(request: SessionRequest): Promise<WireReply> {
    const where = { method: request.method, url: this.urlOf(request.target) };
    const isOurs = where.url.origin === this.base.origin;
    const reply = await this.wire(request, isOurs ? await this.credentials.headerFor(where, request.scopes) : undefined);
    if (reply.status !== 401 || reply.url.origin !== this.base.origin || !this.learn(reply, request.scopes)) return reply;
    dismiss(reply);
    return this.wire(request, await this.credentials.headerFor(where, request.scopes));
  }

  private learn(reply: WireReply, scopes: readonly string[]): boolean {
    const challenge = reply.status === 401 ? parseChallenge(reply.headers['www-authenticate']) : undefined;
    if (challenge) this.credentials.challenged(challenge, scopes);
    return challenge !== undefined;
  }

  private wire(request: SessionRequest, authorization: string | undefined): Promise<WireReply> {
    const { dialer, trusted } = this.options;
    const url = this.urlOf(request.target);
    return sendFollowing(dialer, {
      method: request.method,
      url,
      headers: { ...request.headers, ...(authorization === undefined ? {} : { authorization }) },
      signal: request.signal ?? this.signal,
      ...(request.body === undefined ? {} : { body: request.body }),
      ...(request.stallMs === undefined ? {} : { stallMs: request.stallMs }),
      ...(trusted && url.origin === this.base.origin ? { trusted: true } : {}),
    });
  }
}
