import { CodedError } from '#kernel';
import { dismiss, type Dialer, type WireReply, type WireRequest } from './dialer.js';
import { requestText } from './failures.js';

const MAX_REDIRECTS = 5;
const REDIRECTS: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);
/** Signed URLs of stores carry their own permission; ours is for the host that asked for it. */
const FOR_ONE_HOST = ['authorization', 'cookie'];

/**
 * Sends a request and goes where it is sent on to, GET and HEAD only. Each hop is dialled like the first, so each address is checked.
 * @throws CodedError `protocol_violation` (a circle, a scheme that is none, from TLS to plain HTTP), and as `Dialer.send`
 */
export async function sendFollowing(dialer: Dialer, request: WireRequest): Promise<WireReply> {
  let hop = request;
  for (let redirects = 0; ; redirects += 1) {
    const reply = await dialer.send(hop);
    const target = REDIRECTS.has(reply.status) && (hop.method === 'GET' || hop.method === 'HEAD') ? reply.headers.location : undefined;
    if (target === undefined) return reply;
    dismiss(reply);
    if (redirects === MAX_REDIRECTS) throw new CodedError('protocol_violation', `${requestText(request.method, request.url)}: stopped after ${MAX_REDIRECTS} redirects`);
    const url = targetOf(target, hop, dialer);
    hop = { method: hop.method, url, signal: hop.signal, headers: url.origin === hop.url.origin ? (hop.headers ?? {}) : withoutCredentials(hop.headers), ...(hop.trusted === true && url.origin === hop.url.origin ? { trusted: true } : {}) };
  }
}

function targetOf(location: string, from: WireRequest, dialer: Dialer): URL {
  let url: URL;
  try {
    url = new URL(location, from.url);
  } catch (error) {
    throw new CodedError('protocol_violation', `${requestText(from.method, from.url)}: a redirect to no URL`, {}, { cause: error });
  }
  const isDowngrade = url.protocol === 'http:' && from.url.protocol === 'https:' && !dialer.policy.isInsecure(url);
  if (isDowngrade || (url.protocol !== 'http:' && url.protocol !== 'https:')) {
    throw new CodedError('protocol_violation', `${requestText(from.method, from.url)}: a redirect from ${from.url.protocol} to ${url.protocol} is not followed`);
  }
  return url;
}

function withoutCredentials(headers: Readonly<Record<string, string>> = {}): Record<string, string> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => !FOR_ONE_HOST.includes(name.toLowerCase())));
}
