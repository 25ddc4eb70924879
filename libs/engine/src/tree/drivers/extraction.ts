import { CodedError } from '#kernel';
import { DoubleBuffer } from '../../linux/index.js';
import { classifyLayerPath, readTar, type TarEntry } from '../../tar/index.js';
import type { ExtractRequest } from '../tree.js';
import { cleanArchivePath } from './archive-path.js';
import { encodeDataHead, encodeEnd, encodeNode, type NodeType } from './frames.js';
import type { TreeResult } from './frame-fields.js';
import { treeError } from './tree-errors.js';
import type { TreeHelper } from './tree-helper.js';

/** What a socket takes at once. */
const STAGE_BYTES = 131_072;

/** Of a tree that somebody lives in. */
export interface LivingExtract extends ExtractRequest {
  /** The root's own entry counts for nothing. */
  readonly keepRoot?: boolean;
  /** Of every entry; absent: as the archive says. */
  readonly owner?: { readonly uid: number; readonly gid: number };
  /** Its failure, as the caller's callers are to know it. */
  readonly error?: (result: TreeResult, archive: boolean) => CodedError;
}

/** Where the entries of one archive go and what they are there. */
class Placement {
  constructor(private readonly request: ExtractRequest) {}

  /** undefined: it is a union file system's own record, no file of the layer. */
  of({ path, type }: TarEntry): { type: NodeType; path: string } | undefined {
    const clean = this.#clean(path, path);
    if (this.request.as === 'files') return { type, path: this.#below(clean) };
    const place = classifyLayerPath(clean === '' ? '.' : clean);
    switch (place.kind) {
      case 'entry':
        return { type, path: place.path };
      case 'whiteout':
      case 'opaque':
        return { type: place.kind, path: place.path };
      case 'reserved':
        return undefined;
      case 'unsafe':
      case 'invalid':
        throw refusal(path, place.reason);
    }
  }

  /** Where the first of a hard link's names is. */
  targetOf({ path, linkname }: TarEntry): string {
    return this.#below(this.#clean(linkname, path));
  }

  /** Unchanged, since it may hold links: the helper resolves it for the root and for each entry alike. */
  #below(path: string): string {
    const { as, into = '' } = this.request;
    return as === 'layer' || into === '' || path === '' ? path : `${into}/${path}`;
  }

  #clean(name: string, path: string): string {
    const clean = cleanArchivePath(name);
    if (clean === undefined) throw refusal(path, name === path ? 'the path leaves the archive' : 'the link’s target leaves the archive');
    return clean;
  }
}

/**
 * Sends an archive to a helper that writes. The bytes of its files are the answer, with those that its hard links brought up from layers below.
 * @throws CodedError as `Trees.extract`
 */
export async function extractInto(helper: TreeHelper, request: LivingExtract): Promise<number> {
  const placement = new Placement(request);
  const stage = new DoubleBuffer(STAGE_BYTES, (bytes) => helper.write(bytes));
  let total = 0;
  // Layers without the two closing blocks are about, and Docker takes them: their digest vouches for their length.
  for await (const entry of readTar(request.tar, { allowMissingEnd: request.as === 'layer' })) {
    const place = placement.of(entry);
    if (place === undefined || (request.keepRoot === true && isRoot(entry))) continue;
    if (entry.type === 'char' && entry.devmajor === 0 && entry.devminor === 0) throw refusal(entry.path, 'the device is overlayfs’ whiteout');
    total += entry.size;
    if (total > (request.maxBytes ?? Number.MAX_SAFE_INTEGER)) throw new CodedError('resource_exhausted', `the archive's files are larger than ${request.maxBytes} bytes`, { path: entry.path });
    const linkname = place.type === 'hardlink' ? placement.targetOf(entry) : entry.linkname;
    await stage.add(encodeNode({ ...entry, ...place, ...request.owner, linkname }));
    if (place.type === 'file') await sendData(entry, stage, helper);
    // It ends early for one reason only: an entry that it could not make.
    if (helper.gone) break;
  }
  await stage.add(encodeEnd());
  await stage.flush();
  helper.endInput();
  const result = await helper.result();
  if (result.errno !== 0) throw (request.error ?? treeError)(result, true);
  return total + result.bytes;
}

function isRoot({ path, type }: TarEntry): boolean {
  return type === 'directory' && cleanArchivePath(path) === '';
}

async function sendData(entry: TarEntry, stage: DoubleBuffer, helper: TreeHelper): Promise<void> {
  for await (const { offset, bytes } of entry.data) {
    if (helper.gone) return;
    await stage.add(encodeDataHead(offset, bytes.length));
    await stage.add(bytes);
  }
}

function refusal(path: string, reason: string): CodedError {
  return new CodedError('invalid_argument', `the archive's entry ${JSON.stringify(path.slice(0, 200))} is refused: ${reason}`, { path });
}
