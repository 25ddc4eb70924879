import { createHash, createHmac, randomBytes, timingSafeEqual } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';

/** Of the Standard Webhooks specification: how far the sender's clock may be from ours, seconds. */
const TOLERANCE_SECONDS = 300;
const MAX_SIGNATURES = 10;
const PREFIX = 'whsec_';

export interface SignedRequest {
  readonly headers: IncomingHttpHeaders;
  /** As it came, byte for byte. */
  readonly body: Buffer;
  readonly nowMs: number;
}

/** What proved the request: `body`: a signature of the body alone, so that whoever saw it once can send it again under another name. */
export type Proof = 'body' | 'message' | 'token';

/** `whsec_` and base64 of 32 random bytes: the form that GitLab takes as a signing token, and text that all others take. */
export function newWebhookSecret(): string {
  return PREFIX + randomBytes(32).toString('base64');
}

/**
 * Whether the request shows that its sender knows the secret; undefined: it does not. The first of these headers that is there decides, none makes up for
 * another: `X-Hub-Signature-256` (GitHub, Gitea, Forgejo), `webhook-signature` (GitLab's signing token, Standard Webhooks), `X-Forgejo-Signature` and
 * `X-Gitea-Signature`, `X-Gitlab-Token`. All comparisons take the same time wherever they fail.
 */
export function proofOf(secret: string, request: SignedRequest): Proof | undefined {
  const { headers, body } = request;
  const hub = headers['x-hub-signature-256'];
  if (hub !== undefined) return signsBody(secret, body, /^sha256=([0-9a-f]{64})$/.exec(textOf(hub))?.[1]) ? 'body' : undefined;
  if (headers['webhook-signature'] !== undefined) return signsMessage(secret, request) ? 'message' : undefined;
  const bare = headers['x-forgejo-signature'] ?? headers['x-gitea-signature'];
  if (bare !== undefined) return signsBody(secret, body, /^[0-9a-f]{64}$/.exec(textOf(bare))?.[0]) ? 'body' : undefined;
  const token = headers['x-gitlab-token'];
  return token !== undefined && same(digestOf(textOf(token)), digestOf(secret)) ? 'token' : undefined;
}

function signsBody(secret: string, body: Buffer, hex: string | undefined): boolean {
  const expected = createHmac('sha256', secret).update(body).digest();
  return same(Buffer.from(hex ?? '', 'hex'), expected);
}

/** Over `id.timestamp.body`, the key being what the secret is base64 of. Several signatures may stand there: of an old and a new secret. */
function signsMessage(secret: string, { headers, body, nowMs }: SignedRequest): boolean {
  const [id, timestamp, signatures] = [textOf(headers['webhook-id']), textOf(headers['webhook-timestamp']), textOf(headers['webhook-signature'])];
  if (id === '' || !/^[0-9]{1,12}$/.test(timestamp) || Math.abs(nowMs / 1000 - Number(timestamp)) > TOLERANCE_SECONDS) return false;
  const key = Buffer.from(secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret, 'base64');
  const expected = createHmac('sha256', key).update(`${id}.${timestamp}.`).update(body).digest();
  return signatures.split(' ', MAX_SIGNATURES).some((one) => one.startsWith('v1,') && same(Buffer.from(one.slice('v1,'.length), 'base64'), expected));
}

function digestOf(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}

function same(shown: Buffer, expected: Buffer): boolean {
  return shown.length === expected.length && timingSafeEqual(shown, expected);
}

function textOf(header: string | string[] | undefined): string {
  return typeof header === 'string' ? header : '';
}
