import type { ImageSummary } from '#contracts';
import { CodedError, familiarName, familiarRepository, parseReference } from '#kernel';
import type { DockerFilters } from './filters.js';
import { familiar, type ListedImage } from './image-views.js';

export const IMAGE_FILTERS = ['dangling', 'label', 'label!', 'before', 'since', 'reference', 'until'] as const;

/**
 * Which images `docker images` shows, newest first. Without `all`, untagged ones on which others stand are left out.
 * @throws CodedError `invalid_argument`, `not_found` (the image that `before` or `since` names)
 */
export function selectImages(images: readonly ImageSummary[], filters: DockerFilters, all: boolean, now: number): ListedImage[] {
  const parents = new Set(images.map(({ parent }) => parent));
  const before = momentOf('before', images, filters);
  const since = momentOf('since', images, filters);
  const until = filters.until(now);
  const dangling = filters.has('dangling') ? filters.flag('dangling', false) : undefined;
  const listed: ListedImage[] = [];
  for (const image of images) {
    const named = image.tags.length > 0 || image.digests.length > 0;
    if (!filters.labels(image.labels) || !isBetween(createdMs(image), { before, since, until })) continue;
    const inTheMiddle = !named && parents.has(image.id);
    if (inTheMiddle && (!all || dangling === true)) continue;
    if (dangling !== undefined && dangling !== (image.tags.length === 0 && !inTheMiddle)) continue;
    const patterns = filters.get('reference');
    const tags = image.tags.filter((name) => matchesAny(patterns, name)).map(familiar);
    const digests = image.digests.filter((name) => matchesAny(patterns, name)).map(familiar);
    if (patterns.length > 0 && tags.length === 0 && digests.length === 0) continue;
    listed.push({ image, tags, digests });
  }
  return listed.sort((a, b) => createdMs(b.image) - createdMs(a.image));
}

function isBetween(created: number, { before = Infinity, since = -Infinity, until = Infinity }: { before: number | undefined; since: number | undefined; until: number | undefined }): boolean {
  return created < before && created > since && created <= until;
}

/** The image that a client's words mean: a name, an ID or the beginning of one. */
export function findImage(images: readonly ImageSummary[], text: string): ImageSummary | undefined {
  const bare = text.replace(/^sha256:/, '');
  const named = images.find(({ tags, digests }) => [...tags, ...digests].some((name) => sameName(name, text)));
  if (named !== undefined) return named;
  const found = /^[0-9a-f]{4,64}$/.test(bare) ? images.filter(({ id }) => id.startsWith(`sha256:${bare}`)) : [];
  return found.length === 1 ? found[0] : undefined;
}

function sameName(canonical: string, text: string): boolean {
  const short = familiar(canonical);
  return canonical === text || short === text || short === `${text}:latest` || canonical === `${text}:latest`;
}

function momentOf(filter: 'before' | 'since', images: readonly ImageSummary[], filters: DockerFilters): number | undefined {
  const [text] = filters.get(filter);
  if (text === undefined) return undefined;
  const image = findImage(images, text);
  if (image === undefined) throw new CodedError('not_found', `No such image: ${text}`);
  return createdMs(image);
}

function createdMs({ createdAt }: ImageSummary): number {
  const ms = createdAt === null ? 0 : Date.parse(createdAt);
  return Number.isNaN(ms) ? 0 : ms;
}

function matchesAny(patterns: readonly string[], canonical: string): boolean {
  if (patterns.length === 0) return true;
  const reference = parseReference(canonical);
  const forms = [familiarName(reference), familiarRepository(reference)];
  return patterns.some((pattern) => forms.some((form) => globMatches(pattern, form)));
}

/** As Go's path.Match: `*` and `?` do not cross `/`, `[a-z]` is one of a range. Takes time in proportion to both lengths. */
export function globMatches(pattern: string, text: string): boolean {
  // Positions in `text` that the pattern so far can end at.
  let ends = new Set([0]);
  for (const token of tokensOf(pattern)) {
    const next = new Set<number>();
    for (const at of ends) {
      if (token.kind === 'any') reach(text, at, next);
      else if (at < text.length && token.accepts(text.charAt(at))) next.add(at + 1);
    }
    if (next.size === 0) return false;
    ends = next;
  }
  return ends.has(text.length);
}

/** Every end that `*` can have from `at`: those that another start has reached need no second visit. */
function reach(text: string, at: number, ends: Set<number>): void {
  for (let end = at; !ends.has(end); end += 1) {
    ends.add(end);
    if (end >= text.length || text[end] === '/') return;
  }
}

type Token = { readonly kind: 'any' } | { readonly kind: 'one'; accepts(character: string): boolean };

function* tokensOf(pattern: string): Generator<Token> {
  for (let at = 0; at < pattern.length; at += 1) {
    const character = pattern.charAt(at);
    const close = character === '[' ? pattern.indexOf(']', at + 2) : -1;
    if (character === '*') yield { kind: 'any' };
    else if (character === '?') yield { kind: 'one', accepts: (given) => given !== '/' };
    else if (close > 0) {
      const range = pattern.slice(at + 1, close);
      yield { kind: 'one', accepts: (given) => inRange(range, given) };
      at = close;
    } else {
      const plain = character === '\\' && at + 1 < pattern.length ? pattern.charAt((at += 1)) : character;
      yield { kind: 'one', accepts: (given) => given === plain };
    }
  }
}

function inRange(range: string, given: string): boolean {
  const negated = range.startsWith('^');
  const text = negated ? range.slice(1) : range;
  let found = false;
  for (let at = 0; at < text.length; at += 1) {
    if (text[at + 1] === '-' && at + 2 < text.length) {
      if (given >= text.charAt(at) && given <= text.charAt(at + 2)) found = true;
      at += 2;
    } else if (text[at] === given) found = true;
  }
  return found !== negated;
}
