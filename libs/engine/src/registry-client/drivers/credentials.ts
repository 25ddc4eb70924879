import { CodedError, type Clock } from '#kernel';
import type { RegistryAuth } from '../registry-client.js';
import type { Challenge } from './challenges.js';
import { wholeBody, type Dialer } from './dialer.js';
import { requestText } from './failures.js';
import { sendFollowing } from './redirects.js';
import { checkPassing, errorText } from './registry-errors.js';

const CLIENT_ID = 'docker';
const MAX_TOKEN_ANSWER = 256 * 1024;
/** Distribution, token.md: a token without `expires_in` lives for a minute. */
const DEFAULT_LIFE_MS = 60_000;
/** A token is not used in the last moments of its life. */
const MARGIN_MS = 10_000;

export interface CredentialsOptions {
  readonly dialer: Dialer;
  readonly auth: RegistryAuth | undefined;
  readonly clock: Clock;
  readonly signal: AbortSignal;
}

/** Who we are to one registry, for one transfer: a password, or tokens by scope (distribution-spec's authentication, token.md and oauth.md). */
export class Credentials {
  private challenge: Challenge | undefined;
  private readonly tokens = new Map<string, { readonly token: string; readonly until: number }>();

  constructor(private readonly options: CredentialsOptions) {}

  get scheme(): Challenge['scheme'] | undefined {
    return this.challenge?.scheme;
  }

  /** What a server that asked said it wants. A token that it refused is forgotten. */
  challenged(challenge: Challenge, scopes: readonly string[]): void {
    this.challenge = challenge;
    this.tokens.delete(keyOf(scopes));
  }

  /** The Authorization header for a request; undefined: without. @throws CodedError `unauthenticated`, and as `Dialer.send` */
  async headerFor(request: { readonly method: string; readonly url: URL }, scopes: readonly string[]): Promise<string | undefined> {
    const { auth, clock } = this.options;
    if (!this.challenge) return undefined;
    if (this.challenge.scheme === 'basic') {
      const basic = basicOf(auth);
      if (basic === undefined) throw new CodedError('unauthenticated', `${requestText(request.method, request.url)}: no basic auth credentials`);
      return basic;
    }
    if (auth?.registryToken !== undefined && auth.registryToken !== '') return `Bearer ${auth.registryToken}`;
    const kept = this.tokens.get(keyOf(scopes));
    if (kept && kept.until > clock.now()) return `Bearer ${kept.token}`;
    const { token, lifeMs } = await this.fetchToken(request, scopes, false);
    this.tokens.set(keyOf(scopes), { token, until: clock.now() + lifeMs - MARGIN_MS });
    return `Bearer ${token}`;
  }

  /** A token that can be changed for others later; undefined when the server gives none. @throws as `headerFor` */
  async refreshToken(request: { readonly method: string; readonly url: URL }): Promise<string | undefined> {
    return this.challenge?.scheme === 'bearer' ? (await this.fetchToken(request, [], true)).refreshToken : undefined;
  }

  private async fetchToken(request: { readonly method: string; readonly url: URL }, scopes: readonly string[], offline: boolean): Promise<{ token: string; lifeMs: number; refreshToken?: string }> {
    const { dialer, auth, signal } = this.options;
    const { realm, service } = this.challenge?.parameters ?? {};
    const url = realmOf(realm, request.url, dialer);
    const question = new URLSearchParams(service === undefined ? [] : [['service', service]]);
    const identity = auth?.identityToken;
    if (identity !== undefined && identity !== '') {
      const form = new URLSearchParams([...question, ['client_id', CLIENT_ID], ['grant_type', 'refresh_token'], ['refresh_token', identity], ['scope', scopes.join(' ')]]);
      const headers = { 'content-type': 'application/x-www-form-urlencoded' };
      return this.readToken(await dialer.send({ method: 'POST', url, headers, body: Buffer.from(form.toString()), signal }), request);
    }
    const basic = basicOf(auth);
    for (const scope of scopes) question.append('scope', scope);
    if (basic !== undefined) question.append('account', auth?.username ?? '');
    question.append('client_id', CLIENT_ID);
    if (offline) question.append('offline_token', 'true');
    for (const [name, value] of question) url.searchParams.append(name, value);
    return this.readToken(await sendFollowing(dialer, { method: 'GET', url, headers: basic === undefined ? {} : { authorization: basic }, signal }), request);
  }

  private async readToken(reply: Awaited<ReturnType<Dialer['send']>>, request: { readonly method: string; readonly url: URL }): Promise<{ token: string; lifeMs: number; refreshToken?: string }> {
    const body = await wholeBody(reply, MAX_TOKEN_ANSWER, this.options.signal);
    checkPassing(reply, body, this.options.clock);
    if (reply.status === 401 || reply.status === 403 || reply.status === 400) {
      throw new CodedError('unauthenticated', `${requestText(request.method, request.url)}: ${errorText(body) ?? 'unauthorized: authentication required'}`);
    }
    const answer = reply.status === 200 ? fieldsOf(body) : {};
    const token = [answer.token, answer.access_token].find((value): value is string => typeof value === 'string' && /^[\x21-\x7e]+$/.test(value));
    if (token === undefined) throw new CodedError('protocol_violation', `${requestText(request.method, request.url)}: authorization server did not include a token in the response`);
    const seconds = typeof answer.expires_in === 'number' ? answer.expires_in : 0;
    return { token, lifeMs: Math.max(DEFAULT_LIFE_MS, seconds * 1000), ...(typeof answer.refresh_token === 'string' && answer.refresh_token !== '' ? { refreshToken: answer.refresh_token } : {}) };
  }
}

function keyOf(scopes: readonly string[]): string {
  return scopes.join(' ');
}

function basicOf(auth: RegistryAuth | undefined): string | undefined {
  if (auth?.username === undefined || auth.username === '' || auth.password === undefined) return undefined;
  return `Basic ${Buffer.from(`${auth.username}:${auth.password}`).toString('base64')}`;
}

/** A password goes there: never in plain text, unless the registry itself is spoken to so. */
function realmOf(realm: string | undefined, from: URL, dialer: Dialer): URL {
  let url: URL;
  try {
    url = new URL(realm ?? '');
  } catch (error) {
    throw new CodedError('protocol_violation', `${requestText('GET', from)}: the registry names no token server`, {}, { cause: error });
  }
  const isPlain = url.protocol === 'http:' && (from.protocol === 'http:' || dialer.policy.isInsecure(url));
  if (url.protocol !== 'https:' && !isPlain) throw new CodedError('protocol_violation', `${requestText('GET', from)}: the registry's token server does not use TLS`);
  return url;
}

function fieldsOf(body: Buffer): Record<string, unknown> {
  try {
    const value: unknown = JSON.parse(body.toString());
    return typeof value === 'object' && value !== null ? (value as Record<string, unknown>) : {};
  } catch {
    return {};
  }
}
