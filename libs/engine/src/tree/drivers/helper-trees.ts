import { CodedError, isCodedError, type Logger } from '#kernel';
import { encodeName, withoutBareRoot, writeTar } from '../../tar/index.js';
import type { ExtractedTree, ExtractRequest, OverlaySource, PackRequest, TreeChange, Trees, TreeSource } from '../tree.js';
import { extractInto } from './extraction.js';
import { decodeChange, type TreeResult } from './frame-fields.js';
import { FRAME, type TreeRequest } from './frames.js';
import { packedEntries } from './packing.js';
import { treeError } from './tree-errors.js';
import { TreeHelper } from './tree-helper.js';

export interface HelperTreesOptions {
  /** The program `sandbar-tree`. */
  readonly program: string;
  readonly logger: Logger;
}

const CHANGE_KINDS = ['modified', 'added', 'deleted'] as const;

/** Trees by way of a helper process per operation (libs/engine/native/tree). It needs root. */
export class HelperTrees implements Trees {
  readonly #options: HelperTreesOptions;

  constructor(options: HelperTreesOptions) {
    this.#options = options;
  }

  extract(request: ExtractRequest): Promise<ExtractedTree> {
    return this.#extract(request, false);
  }

  async *pack({ source, as, path = '' }: PackRequest): AsyncGenerator<Buffer, void, void> {
    yield* this.#pack({ operation: 'read', layer: as === 'layer', path, ...(as === 'layer' ? layerRoot(source) : rootOf(source)) });
  }

  async changes({ lowerDirs, upperDir }: OverlaySource): Promise<TreeChange[]> {
    if (upperDir === undefined) return [];
    return this.#with({ operation: 'changes', root: upperDir, dirs: lowerDirs }, async (helper) => {
      const changes: { key: Buffer; change: TreeChange }[] = [];
      for (let frame = await helper.next(); frame !== undefined; frame = await helper.next()) {
        if (frame.kind !== FRAME.change) throw new CodedError('internal', 'the tree helper sent something else than a change');
        const { kind, path } = decodeChange(frame.body);
        changes.push({ key: encodeName(path), change: { path: `/${path}`, kind: CHANGE_KINDS[kind] ?? 'modified' } });
      }
      checked(await helper.result());
      return changes.sort((a, b) => Buffer.compare(a.key, b.key)).map(({ change }) => change);
    });
  }

  async usage(path: string): Promise<{ bytes: number; inodes: number }> {
    const { bytes, inodes } = await this.#run({ operation: 'usage', root: path });
    return { bytes, inodes };
  }

  async remove(path: string): Promise<void> {
    await this.#run({ operation: 'remove', root: path });
  }

  async sync(path: string): Promise<void> {
    await this.#run({ operation: 'sync', root: path });
  }

  async copyUp(source: TreeSource, path: string, targetDir: string): Promise<boolean> {
    const tar = this.#pack({ operation: 'read', strict: true, path, ...rootOf(source) });
    const first = await firstOf(tar);
    if (first === undefined) return false;
    try {
      await this.#extract({ root: targetDir, tar: startingWith(first, tar), as: 'files' }, true);
      return true;
    } catch (error) {
      if (isCodedError(error) && error.details.errno === 'ENOTEMPTY' && error.details.step === 'open the path') return false;
      throw error;
    } finally {
      await tar.return();
    }
  }

  #extract(request: ExtractRequest, strict: boolean): Promise<ExtractedTree> {
    const layer = request.as === 'layer';
    const opened = { operation: 'write', layer, strict, root: request.root, path: layer ? '' : (request.into ?? ''), dirs: layer ? (request.lowerDirs ?? []) : [] } as const;
    return this.#with(opened, async (helper) => ({ bytes: await extractInto(helper, request) }));
  }

  async *#pack(request: TreeRequest): AsyncGenerator<Buffer, void, void> {
    const helper = new TreeHelper(this.#options, request);
    try {
      const entries = packedEntries(helper);
      yield* writeTar(request.operation === 'read' && request.layer === true ? withoutBareRoot(entries) : entries);
    } finally {
      await helper.stop();
    }
  }

  #run(request: TreeRequest): Promise<TreeResult> {
    return this.#with(request, async (helper) => checked(await helper.result()));
  }

  async #with<T>(request: TreeRequest, action: (helper: TreeHelper) => Promise<T>): Promise<T> {
    const helper = new TreeHelper(this.#options, request);
    try {
      return await action(helper);
    } finally {
      await helper.stop();
    }
  }
}

function rootOf(source: TreeSource): { root: string; dirs: readonly string[] } {
  if (source.kind === 'directory') return { root: source.path, dirs: [] };
  return { root: '', dirs: source.upperDir === undefined ? source.lowerDirs : [source.upperDir, ...source.lowerDirs] };
}

function layerRoot(source: TreeSource): { root: string; dirs: readonly string[] } {
  const root = source.kind === 'directory' ? source.path : source.upperDir;
  if (root === undefined) throw new CodedError('invalid_argument', 'a stack without a writable layer has no changes to pack');
  return { root, dirs: [] };
}

function checked(result: TreeResult): TreeResult {
  if (result.errno !== 0) throw treeError(result, false);
  return result;
}

/** undefined when there is no directory to read. */
async function firstOf(tar: AsyncGenerator<Buffer, void, void>): Promise<Buffer | undefined> {
  try {
    const first = await tar.next();
    return first.done === true ? undefined : first.value;
  } catch (error) {
    if (isCodedError(error, 'not_found') && error.details.step === 'open the path') return undefined;
    throw error;
  }
}

async function* startingWith(first: Buffer, rest: AsyncIterable<Buffer>): AsyncGenerator<Buffer, void, void> {
  yield first;
  yield* rest;
}
