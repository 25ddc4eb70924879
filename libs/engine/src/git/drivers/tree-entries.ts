import { CodedError } from '#kernel';
import { decodeName, type TarEntryInput } from '../../tar/index.js';
import { documentOf, GITLINK, kindOf, type CommitTree, type Trees } from './trees.js';

const MAX_DEPTH = 256;
const OWNER = { uid: 0, gid: 0 };

/** A commit's files, and what stands in the places of its submodules, by the names of its folder. */
export interface Checkout extends CommitTree {
  readonly places: Places;
}

/** A submodule's own files, or the places in a folder that has some further below. What is not here stays empty. */
export type Places = ReadonlyMap<string, { readonly checkout: Checkout } | { readonly below: Places }>;

export const NO_PLACES: Places = new Map();

/** Everything of a checkout, parents first. A submodule's files have the time of its own commit. @throws CodedError `protocol_violation`, `resource_exhausted` */
export async function* treeEntries(trees: Trees, checkout: Checkout): AsyncGenerator<TarEntryInput, void, undefined> {
  yield* below(trees, checkout, '', 0);
}

async function* below(trees: Trees, { tree, mtimeNs, places }: Checkout, parent: string, depth: number): AsyncGenerator<TarEntryInput, void, undefined> {
  const { objects } = trees;
  if (depth > MAX_DEPTH) throw new CodedError('resource_exhausted', `the repository's folders are more than ${MAX_DEPTH} deep`);
  for (const row of await trees.rowsOf(tree)) {
    const path = `${parent}${row.name}`;
    const kind = kindOf(row);
    if (kind === 'directory') {
      yield { path: `${path}/`, type: 'directory', mode: 0o755, ...OWNER, mtimeNs };
      const place = places.get(row.name);
      if (row.mode !== GITLINK) yield* below(trees, { tree: row.hash, mtimeNs, places: place !== undefined && 'below' in place ? place.below : NO_PLACES }, `${path}/`, depth + 1);
      else if (place !== undefined && 'checkout' in place) yield* below(trees, place.checkout, `${path}/`, depth + 1);
      continue;
    }
    const blob = objects.get(row.hash, 'blob');
    if (kind === 'symlink') yield { path, type: 'symlink', mode: 0o777, ...OWNER, mtimeNs, linkname: decodeName(await documentOf(objects, blob)) };
    else yield { path, type: 'file', mode: kind === 'program' ? 0o755 : 0o644, ...OWNER, mtimeNs, size: blob.size, content: objects.bytes(blob) };
  }
}
