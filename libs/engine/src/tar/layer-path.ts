/**
 * What an archive's path means in an image layer (OCI image-spec, layer.md "Whiteouts"; the reserved names are AUFS's). Paths given
 * back are relative, with single slashes and no `.`; '' is the layer's root. A whiteout hides what lower layers have, never its own
 * layer's entries.
 */
export type LayerPath =
  | { readonly kind: 'entry'; readonly path: string }
  /** `.wh.NAME`: NAME of the lower layers is gone. */
  | { readonly kind: 'whiteout'; readonly path: string }
  /** `.wh..wh..opq`: all that lower layers have in the directory is gone. */
  | { readonly kind: 'opaque'; readonly path: string }
  /** `.wh..wh.…`, or below one: a union file system's own record (`.wh..wh..plnk`, `.wh..wh.plnk`, `.wh..wh.aufs`), no part of the image. */
  | { readonly kind: 'reserved'; readonly path: string }
  /** Would leave the layer. */
  | { readonly kind: 'unsafe'; readonly reason: string }
  /** Stays inside and means nothing: a whiteout of no name. */
  | { readonly kind: 'invalid'; readonly reason: string };

const WHITEOUT = '.wh.';
const RESERVED = '.wh..wh.';
const OPAQUE = '.wh..wh..opq';

export function classifyLayerPath(path: string): LayerPath {
  if (path === '') return { kind: 'invalid', reason: 'the path is empty' };
  if (path.includes('\0')) return { kind: 'invalid', reason: 'the path holds NUL' };
  if (path.startsWith('/')) return { kind: 'unsafe', reason: 'the path is absolute' };
  const names = path.split('/').filter((name) => name !== '' && name !== '.');
  if (names.includes('..')) return { kind: 'unsafe', reason: 'the path has a ".."' };
  const first = names.findIndex((name) => name.startsWith(WHITEOUT));
  if (first < 0) return { kind: 'entry', path: names.join('/') };
  const name = names[first] ?? '';
  const last = first === names.length - 1;
  if (name === OPAQUE && last) return { kind: 'opaque', path: names.slice(0, -1).join('/') };
  if (name.startsWith(RESERVED)) {
    if (name === RESERVED) return { kind: 'invalid', reason: 'a reserved whiteout name is bare' };
    return { kind: 'reserved', path: names.join('/') };
  }
  if (!last) return { kind: 'invalid', reason: 'the path goes through a whiteout' };
  const hidden = name.slice(WHITEOUT.length);
  // `.wh..` and `.wh...` would hide the directory itself or its parent.
  if (hidden === '' || hidden === '.' || hidden === '..') return { kind: 'invalid', reason: 'a whiteout hides no name' };
  return { kind: 'whiteout', path: [...names.slice(0, -1), hidden].join('/') };
}

/** Whether a file of this name can be in a layer at all: one that begins like a whiteout would be read back as one. */
export function isLayerName(name: string): boolean {
  return !name.startsWith(WHITEOUT);
}

/** The entry path that hides `path`, which is as `classifyLayerPath` gives it and not the root. */
export function whiteoutPathOf(path: string): string {
  const cut = path.lastIndexOf('/') + 1;
  return `${path.slice(0, cut)}${WHITEOUT}${path.slice(cut)}`;
}

/** The entry path that hides everything lower in `directory`; '' is the root. */
export function opaquePathOf(directory: string): string {
  return directory === '' ? OPAQUE : `${directory}/${OPAQUE}`;
}
