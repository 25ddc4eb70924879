import { type TarEntryInput } from './tar.js';

const PLAIN_MODE = 0o755;

/**
 * A layer whose one entry is its root, as every layer's root is made anyway, says nothing but when it was looked at: it becomes an archive without
 * entries, which is no layer (moby, layer.EmptyLayer). Other archives stay as they are.
 */
export async function* withoutBareRoot(entries: AsyncIterable<TarEntryInput>): AsyncGenerator<TarEntryInput, void, undefined> {
  let root: TarEntryInput | undefined;
  let first = true;
  for await (const entry of entries) {
    if (first && isBareRoot(entry)) root = entry;
    else {
      if (root !== undefined) yield root;
      root = undefined;
      yield entry;
    }
    first = false;
  }
}

function isBareRoot({ path, type, mode, uid, gid, xattrs }: TarEntryInput): boolean {
  return path === './' && type === 'directory' && mode === PLAIN_MODE && uid === 0 && gid === 0 && (xattrs === undefined || xattrs.size === 0);
}
