import { posix } from 'node:path';
import { CliError, EXIT } from './failure.js';

/** One end of a copy: a path here, or in a sandbox. `-` here is a tar on stdin or stdout. */
export type CopyEnd = { readonly where: 'here'; readonly path: string } | { readonly where: 'sandbox'; readonly sandbox: string; readonly path: string };

/** `SANDBOX:/path`, or a path of this machine: one that begins with `/` or `.` always is. */
export function copyEndOf(text: string): CopyEnd {
  const cut = text.indexOf(':');
  const slash = text.indexOf('/');
  if (cut <= 0 || text.startsWith('.') || (slash !== -1 && slash < cut)) return { where: 'here', path: text };
  const path = text.slice(cut + 1);
  if (path === '') throw new CliError(`${text}: give SANDBOX:/path`, '', EXIT.usage);
  // As everywhere in such words: from the root, not from a working folder.
  return { where: 'sandbox', sandbox: text.slice(0, cut), path: path.startsWith('/') ? path : `/${path}` };
}

/** Of a folder, its entries rather than itself: `dir/.` */
export function meansContents(path: string): boolean {
  return path === '.' || path.endsWith('/.');
}

/** Where a source of that name goes: into a folder that is there, or in its place under the name that is given. */
export function targetOf(destination: string, name: string, isFolder: boolean): string {
  return isFolder ? posix.join(destination, name) : destination;
}
