import { parseReference, type ImageReference } from '#kernel';

/** No registry can have this name, so no image of a tenant's own is ever in the way. */
const REPOSITORY = 'runtimes.sandbar';

/** What a runtime's image is called: `runtimes.sandbar/python:latest`. */
export function runtimeReference(name: string, tag: 'latest' | 'candidate'): ImageReference {
  return parseReference(`${REPOSITORY}/${name.replaceAll('+', 'p')}:${tag}`);
}
