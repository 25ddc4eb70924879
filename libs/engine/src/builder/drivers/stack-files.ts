import { isCodedError, type Digest } from '#kernel';
import type { Snapshotter } from '../../snapshots/index.js';
import { readTar, type TarEntry, type TarEntryType } from '../../tar/index.js';
import type { Trees } from '../../tree/index.js';

/** Files of an image's stack of layers. They are looked at by the tree helper, from inside the stack: no path or link of an image means anything on the node. */
export class StackFiles {
  constructor(
    private readonly services: { readonly snapshots: Pick<Snapshotter, 'layerDirs'>; readonly trees: Pick<Trees, 'pack'> },
    /** undefined: an image without layers. */
    private readonly chainId: Digest | undefined,
  ) {}

  /** Links are followed. undefined: nothing is there. */
  async kindOf(path: string): Promise<TarEntryType | undefined> {
    for await (const { type } of this.entries(path)) return type;
    return undefined;
  }

  /** Of a path's directories, and of itself, those that are not there, the upper ones first. */
  async missing(path: string): Promise<string[]> {
    const names = path.split('/').filter((name) => name !== '');
    const paths = names.map((_, index) => `/${names.slice(0, index + 1).join('/')}`);
    for (const [index, each] of paths.entries()) if ((await this.kindOf(each)) === undefined) return paths.slice(index);
    return [];
  }

  /** '' when it is absent, no file, or larger than that. */
  async text(path: string, maxBytes: number): Promise<string> {
    for await (const { type, size, content } of this.entries(path)) {
      if (type !== 'file' || size > maxBytes) return '';
      const chunks: Uint8Array[] = [];
      for await (const chunk of content) chunks.push(chunk);
      return Buffer.concat(chunks).toString('utf8');
    }
    return '';
  }

  /** What is at the path: a file alone, by its last name; of a directory `./` and all below. Nothing when nothing is there. */
  async *entries(path: string): AsyncGenerator<TarEntry, void, undefined> {
    if (this.chainId === undefined) return;
    const { snapshots, trees } = this.services;
    const source = { kind: 'overlay', lowerDirs: await snapshots.layerDirs(this.chainId) } as const;
    try {
      yield* readTar(trees.pack({ source, as: 'files', path: path.replace(/^\/+/, '') }));
    } catch (error) {
      if (!isCodedError(error, 'not_found')) throw error;
    }
  }
}
