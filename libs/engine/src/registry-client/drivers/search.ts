import { DEFAULT_DOMAIN, familiarRepository, parseReference, type Logger } from '#kernel';
import type { TenantImages } from '../../images/index.js';
import type { SearchResult } from '../registry-client.js';
import { wholeBody, type Dialer } from './dialer.js';
import { sendFollowing } from './redirects.js';

const MAX_ANSWER = 1024 * 1024;
const MAX_TEXT = 1000;
const DESCRIPTION = 'org.opencontainers.image.description';

/** The node's own images of docker.io's names. */
export async function searchProvided(images: TenantImages, term: string): Promise<SearchResult[]> {
  const found = new Map<string, SearchResult>();
  for (const { tags, config } of await images.list('system')) {
    for (const tag of tags) {
      const reference = parseReference(tag);
      const name = familiarRepository(reference);
      if (reference.domain !== DEFAULT_DOMAIN || !name.includes(term)) continue;
      found.set(name, { name, description: config.config.Labels?.[DESCRIPTION] ?? '', stars: 0, official: !name.includes('/') });
    }
  }
  return [...found.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
}

/** Docker Hub's catalogue; nothing when it does not answer as it should. @throws CodedError as `Dialer.send` */
export async function searchHub(dialer: Dialer, base: string, query: { readonly term: string; readonly limit: number; readonly signal: AbortSignal }, logger: Logger): Promise<SearchResult[]> {
  const url = new URL(base);
  url.searchParams.set('q', query.term);
  url.searchParams.set('n', String(query.limit));
  const reply = await sendFollowing(dialer, { method: 'GET', url, headers: { accept: 'application/json' }, signal: query.signal });
  const body = await wholeBody(reply, MAX_ANSWER, query.signal);
  try {
    const { results } = JSON.parse(body.toString()) as { results?: unknown };
    if (reply.status === 200 && Array.isArray(results)) return results.flatMap(resultOf);
  } catch (error) {
    logger.debug({ err: error }, 'the catalogue’s answer is not JSON');
  }
  logger.warn({ status: reply.status }, 'the catalogue gave no results');
  return [];
}

function resultOf(value: unknown): SearchResult[] {
  if (typeof value !== 'object' || value === null) return [];
  const { name, description, star_count: stars, is_official: official } = value as Record<string, unknown>;
  if (typeof name !== 'string' || name.length > MAX_TEXT) return [];
  return [{ name, description: typeof description === 'string' ? description.slice(0, MAX_TEXT) : '', stars: typeof stars === 'number' ? stars : 0, official: official === true }];
}
