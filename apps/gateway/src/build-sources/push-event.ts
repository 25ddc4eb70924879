import type { IncomingHttpHeaders } from 'node:http';
import { z } from 'zod';
import { fullRefOf, matchesRule, refOf, type PushedRef, type RefRule } from '#contracts';
import { CodedError } from '#kernel';

const MAX_EVENT = 64;
const MAX_KEY = 200;
/** In the order in which a sender that has several is to be known: Gitea and Forgejo send GitHub's too. */
const EVENT_HEADERS = ['x-forgejo-event', 'x-gitea-event', 'x-github-event', 'x-gitlab-event'] as const;
/** What stays the same when a delivery is sent again. */
const KEY_HEADERS = ['webhook-id', 'x-forgejo-delivery', 'x-gitea-delivery', 'x-github-delivery', 'idempotency-key', 'x-gitlab-event-uuid'] as const;
const PUSHES = new Set(['push', 'Push Hook', 'Tag Push Hook']);
const COMMIT = /^[0-9a-f]{40}$/;
const GONE = /^0+$/;
const REF = /^[^\p{Cc}\p{Cs}]{1,512}$/u;

/** Of what a sender tells about a push, the little that counts. Where the repository is does not: it is known. */
const pushSchema = z.object({
  ref: z.string(),
  after: z.string(),
  /** GitHub: the commit, where `after` is a tag's own object. */
  head_commit: z.object({ id: z.string() }).nullish(),
  /** GitLab, likewise. */
  checkout_sha: z.string().nullish(),
});

export interface ReadEvent {
  readonly event: string;
  /** `refs/heads/main` */
  readonly ref: string | null;
  readonly commit: string | null;
  /** What is to be built, or why nothing is. */
  readonly decision: { readonly push: { readonly ref: PushedRef; readonly commit: string } } | { readonly ignored: string };
}

/** What a delivery whose signature was right asks for, under the rule of its source. @throws CodedError `invalid_argument` (a push that is none) */
export function readEvent(headers: IncomingHttpHeaders, body: Buffer, rule: RefRule): ReadEvent {
  const event = firstOf(headers, EVENT_HEADERS)?.slice(0, MAX_EVENT) ?? '';
  if (!PUSHES.has(event)) return { event, ref: null, commit: null, decision: { ignored: event === 'ping' ? 'a ping: the webhook works' : 'no push' } };
  const { ref, after, head_commit: head, checkout_sha: checkedOut } = parsePush(body);
  if (!REF.test(ref)) throw new CodedError('invalid_argument', 'ref: is not one');
  const pushed = refOf(ref);
  if (pushed === undefined) return { event, ref, commit: null, decision: { ignored: 'neither a branch nor a tag' } };
  if (GONE.test(after)) return { event, ref, commit: null, decision: { ignored: `the ${pushed.type} was deleted` } };
  const commit = (pushed.type === 'tag' ? (head?.id ?? checkedOut) : undefined) ?? after;
  if (!COMMIT.test(commit)) throw new CodedError('invalid_argument', 'after: is not the 40 hex digits of a commit');
  const known = { event, ref: fullRefOf(pushed), commit };
  if (!matchesRule(rule, pushed)) return { ...known, decision: { ignored: `the source builds ${'branch' in rule ? `the branch ${rule.branch}` : `the tags ${rule.tag}`}` } };
  return { ...known, decision: { push: { ref: pushed, commit } } };
}

/** What its sender calls the delivery; undefined: it says nothing usable. */
export function deliveryKeyOf(headers: IncomingHttpHeaders): string | undefined {
  const key = firstOf(headers, KEY_HEADERS);
  return key !== undefined && key.length <= MAX_KEY ? key : undefined;
}

function parsePush(body: Buffer): z.infer<typeof pushSchema> {
  let value: unknown;
  try {
    value = JSON.parse(jsonOf(new TextDecoder('utf-8', { fatal: true }).decode(body)));
  } catch {
    throw new CodedError('invalid_argument', 'the body is not JSON');
  }
  const parsed = pushSchema.safeParse(value);
  if (!parsed.success) throw new CodedError('invalid_argument', 'the body is no push', { issues: parsed.error.issues.slice(0, 5).map(({ path, message }) => ({ path: path.join('.'), message })) });
  return parsed.data;
}

/** GitHub can be told to send a form whose field `payload` is the JSON. */
function jsonOf(text: string): string {
  return text.startsWith('payload=') ? (new URLSearchParams(text).get('payload') ?? '') : text;
}

/** Printable ASCII, so that it can be kept and shown. */
function firstOf(headers: IncomingHttpHeaders, names: readonly string[]): string | undefined {
  return names.map((name) => headers[name]).find((value): value is string => typeof value === 'string' && /^[\x20-\x7e]+$/.test(value));
}
