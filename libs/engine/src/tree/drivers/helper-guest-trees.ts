import { CodedError, isCodedError } from '#kernel';
import { writeTar } from '../../tar/index.js';
import { ClosingStream } from '../closing-stream.js';
import type { GuestAttributes, GuestBytes, GuestEvent, GuestExtract, GuestFile, GuestRoot, GuestTrees } from '../guest-trees.js';
import { extractInto } from './extraction.js';
import { decodeData } from './frame-fields.js';
import { encodeDataHead, encodeEnd, FRAME, type TreeRequest } from './frames.js';
import { guestTreeError } from './guest-errors.js';
import { attributeFields, decodeEvent, decodeFound, pathField, rangeFields } from './guest-frames.js';
import type { HelperTreesOptions } from './helper-trees.js';
import { packedEntries } from './packing.js';
import { TreeHelper } from './tree-helper.js';

type Request = Omit<TreeRequest, 'root' | 'dirs' | 'sandbox'>;

/** Files of running sandboxes by way of a helper process per operation, as `HelperTrees`. */
export class HelperGuestTrees implements GuestTrees {
  constructor(private readonly options: HelperTreesOptions & { readonly stallMs?: number }) {}

  async stat(root: GuestRoot, path: string): Promise<GuestFile> {
    return this.one(root, { operation: 'stat', path });
  }

  list(root: GuestRoot, path: string): Promise<GuestFile[]> {
    return this.with(root, { operation: 'list', path }, async (helper) => {
      const files: GuestFile[] = [];
      for (let frame = await helper.next(); frame !== undefined; frame = await helper.next()) if (frame.kind === FRAME.found) files.push(decodeFound(frame.body));
      await finished(helper);
      return files;
    });
  }

  pack(root: GuestRoot, path: string, name: string): Promise<GuestBytes> {
    return this.streamed(root, { operation: 'read', path }, (helper, { kind }) => writeTar(packedEntries(helper, { name, own: kind !== 'directory', error: guestTreeError })));
  }

  async extract(root: GuestRoot, { into, tar, sameKinds, owner }: GuestExtract): Promise<void> {
    await this.with(root, { operation: 'write', path: relative(into), sameKinds }, async (helper) => {
      await extractInto(helper, { root: '', as: 'files', into: relative(into), tar, keepRoot: true, error: guestTreeError, ...(owner === undefined ? {} : { owner }) });
    });
  }

  read(root: GuestRoot, path: string, range: { readonly offset: number; readonly length?: number }): Promise<GuestBytes> {
    return this.streamed(root, { operation: 'range', path, fields: rangeFields(range) }, (helper) => dataOf(helper));
  }

  write(root: GuestRoot, path: string, content: AsyncIterable<Uint8Array>, options: GuestAttributes & { readonly overwrite: boolean }): Promise<GuestFile> {
    return this.with(root, { operation: 'store', path, strict: !options.overwrite, fields: attributeFields(options) }, async (helper) => {
      try {
        let at = 0;
        for await (const bytes of content) {
          if (helper.gone) break;
          if (bytes.length === 0) continue;
          await helper.write(encodeDataHead(at, bytes.length));
          await helper.write(bytes);
          at += bytes.length;
        }
        await helper.write(encodeEnd());
      } catch (error) {
        // Its input ends without an end: it takes back what it has begun.
        helper.endInput();
        await helper.ended(GRACE_MS);
        throw error;
      }
      return this.found(helper);
    });
  }

  async makeDirectory(root: GuestRoot, path: string, options: GuestAttributes & { readonly parents: boolean }): Promise<void> {
    await this.run(root, { operation: 'mkdir', path, recursive: options.parents, fields: attributeFields(options) });
  }

  async rename(root: GuestRoot, from: string, to: string, { overwrite }: { readonly overwrite: boolean }): Promise<boolean> {
    try {
      await this.run(root, { operation: 'move', path: from, strict: !overwrite, fields: pathField(relative(to)) });
      return true;
    } catch (error) {
      if (isCodedError(error) && error.details.errno === 'EXDEV') return false;
      throw error;
    }
  }

  async remove(root: GuestRoot, path: string, { recursive }: { readonly recursive: boolean }): Promise<void> {
    await this.run(root, { operation: 'delete', path, recursive });
  }

  async *watch(root: GuestRoot, path: string, { recursive }: { readonly recursive: boolean }, signal: AbortSignal): AsyncGenerator<GuestEvent, void, void> {
    signal.throwIfAborted();
    const helper = this.start(root, { operation: 'watch', path, recursive });
    const stop = (): void => {
      helper.endInput();
    };
    signal.addEventListener('abort', stop, { once: true });
    try {
      for (let frame = await helper.next(); frame !== undefined; frame = await helper.next()) if (frame.kind === FRAME.event) yield decodeEvent(frame.body);
      await finished(helper);
    } finally {
      signal.removeEventListener('abort', stop);
      await helper.stop();
    }
  }

  private async streamed(root: GuestRoot, request: Request, bytesOf: (helper: TreeHelper, file: GuestFile) => AsyncIterable<Buffer>): Promise<GuestBytes> {
    const helper = this.start(root, request);
    try {
      const file = await this.found(helper);
      return { file, bytes: new ClosingStream(bytesOf(helper, file)[Symbol.asyncIterator](), () => helper.stop()) };
    } catch (error) {
      await helper.stop();
      throw error;
    }
  }

  private one(root: GuestRoot, request: Request): Promise<GuestFile> {
    return this.with(root, request, (helper) => this.found(helper));
  }

  /** What it says first. */
  private async found(helper: TreeHelper): Promise<GuestFile> {
    const frame = await helper.next();
    if (frame === undefined) await finished(helper);
    if (frame?.kind !== FRAME.found) throw new CodedError('internal', 'the tree helper did not say what it found');
    return decodeFound(frame.body);
  }

  private run(root: GuestRoot, request: Request): Promise<void> {
    return this.with(root, request, finished);
  }

  private async with<T>(root: GuestRoot, request: Request, action: (helper: TreeHelper) => Promise<T>): Promise<T> {
    const helper = this.start(root, request);
    try {
      return await action(helper);
    } finally {
      await helper.stop();
    }
  }

  private start({ pid, startTicks, cgroupJoinFiles }: GuestRoot, request: Request): TreeHelper {
    // Who watches waits for what may never happen.
    const options = request.operation === 'watch' ? this.options : { stallMs: STALL_MS, ...this.options };
    return new TreeHelper(options, { ...request, sandbox: true, path: relative(request.path ?? ''), root: `${pid} ${startTicks}`, dirs: cgroupJoinFiles });
  }
}

/** To remove a large directory takes a while without a word. */
const STALL_MS = 5 * 60_000;
/** For a helper to take back what it has begun. */
const GRACE_MS = 2000;

/** Of the root. What else the path may say is the kernel's to resolve. */
function relative(path: string): string {
  return path.replace(/^\/+/, '');
}

async function finished(helper: TreeHelper): Promise<void> {
  const result = await helper.result();
  if (result.errno !== 0) throw guestTreeError(result, false);
}

async function* dataOf(helper: TreeHelper): AsyncGenerator<Buffer, void, void> {
  for (let frame = await helper.next(); frame !== undefined; frame = await helper.next()) if (frame.kind === FRAME.data) yield decodeData(frame.body).bytes;
  await finished(helper);
}
