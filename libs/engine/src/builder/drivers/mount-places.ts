import type { BuildSession, StageImage } from './build-session.js';
import { StackFiles } from './stack-files.js';

/** Of the destinations, and of the directories above them, those that the image has not: they come into being with the mount. */
export async function mountPlaces(session: BuildSession, image: StageImage, destinations: readonly string[]): Promise<string[]> {
  const stack = new StackFiles(session.services, image.chainId);
  const missing = new Set<string>();
  const there = new Set<string>(['']);
  for (const destination of destinations) {
    const names = destination.split('/').filter((name) => name !== '');
    for (const [index] of names.entries()) {
      const path = `/${names.slice(0, index + 1).join('/')}`;
      if (there.has(path) || missing.has(path)) continue;
      const parent = `/${names.slice(0, index).join('/')}`;
      if (missing.has(parent) || (await stack.kindOf(path)) === undefined) missing.add(path);
      else there.add(path);
    }
  }
  return [...missing];
}
