import { CodedError, parseReference, repositoryOf, isCodedError, type ImageReference } from '#kernel';
import { wholeBody } from './dialer.js';
import { pullError, pullScope } from './pull.js';
import { faultOf } from './registry-errors.js';
import type { RegistrySession } from './registry-session.js';

const PAGE = 1000;
const MAX_PAGES = 100;
const MAX_ANSWER = 4 * 1024 * 1024;

/** Every tag of a repository (distribution-spec, "Listing Tags"). @throws CodedError as a pull, `protocol_violation` */
export async function readTags(session: RegistrySession, reference: ImageReference): Promise<string[]> {
  const tags = new Set<string>();
  let target: string | URL | undefined = `/v2/${reference.path}/tags/list?n=${PAGE}`;
  for (let page = 0; target !== undefined; page += 1) {
    if (page === MAX_PAGES) throw tooMany();
    const reply = await session.send({ method: 'GET', target, scopes: [pullScope(reference)] });
    if (reply.status !== 200) throw pullError(reply.status, faultOf(reply.status, await session.bodyOf(reply)), reference, session.credentials.scheme === 'bearer');
    const listed = tagsOf(await wholeBody(reply, MAX_ANSWER, session.signal));
    // A page may hold more than it was asked for.
    if (tags.size + listed.length > MAX_PAGES * PAGE) throw tooMany();
    for (const tag of listed) if (isTag(tag, reference)) tags.add(tag);
    target = nextPage(reply.headers.link, reply.url, session);
  }
  return [...tags].sort();
}

function tooMany(): CodedError {
  return new CodedError('protocol_violation', `the registry lists more than ${MAX_PAGES * PAGE} tags`);
}

function tagsOf(body: Buffer): string[] {
  try {
    const { tags } = JSON.parse(body.toString()) as { tags?: unknown };
    return Array.isArray(tags) ? tags.filter((tag): tag is string => typeof tag === 'string') : [];
  } catch (error) {
    throw new CodedError('protocol_violation', 'the registry’s list of tags is not JSON', {}, { cause: error });
  }
}

function isTag(tag: string, reference: ImageReference): boolean {
  try {
    return parseReference(`${repositoryOf(reference)}:${tag}`).tag === tag;
  } catch (error) {
    if (isCodedError(error, 'invalid_argument')) return false;
    throw error;
  }
}

/** RFC 5988: `</v2/x/tags/list?last=b>; rel="next"`. Only of the registry itself. */
function nextPage(link: string | string[] | undefined, from: URL, session: RegistrySession): URL | undefined {
  const next = /<([^>]{1,2000})>\s*;\s*rel="?next"?/.exec(String(link ?? ''))?.[1];
  if (next === undefined || !URL.canParse(next, from.href)) return undefined;
  const url = new URL(next, from);
  return url.origin === session.base.origin ? url : undefined;
}
