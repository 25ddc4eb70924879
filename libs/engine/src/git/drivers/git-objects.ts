import { createHash } from 'node:crypto';
import { open, rm, type FileHandle } from 'node:fs/promises';
import { CodedError } from '#kernel';
import { DoubleBuffer } from '../../linux/index.js';

export type GitObjectType = 'commit' | 'tree' | 'blob' | 'tag';

/** Its bytes lie in the file of the objects. */
export interface GitObject {
  readonly type: GitObjectType;
  readonly at: number;
  readonly size: number;
}

const STAGE_BYTES = 1024 * 1024;
const READ_BYTES = 256 * 1024;

/** Objects by the hash of what they are, their bytes one behind the other in a file. Memory is an entry for each, whatever their sizes. */
export class GitObjects {
  private readonly objects = new Map<string, GitObject>();
  private readonly stage: DoubleBuffer;
  private end = 0;
  private written = 0;

  private constructor(
    private readonly path: string,
    private readonly handle: FileHandle,
    private readonly maxBytes: number,
  ) {
    this.stage = new DoubleBuffer(STAGE_BYTES, async (bytes) => {
      await handle.appendFile(bytes);
    });
  }

  static async create(path: string, maxBytes: number): Promise<GitObjects> {
    return new GitObjects(path, await open(path, 'wx+', 0o600), maxBytes);
  }

  /** @throws CodedError `resource_exhausted`; `protocol_violation` when the pieces are not `size` bytes */
  async add(type: GitObjectType, size: number, pieces: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<{ readonly hash: string; readonly object: GitObject }> {
    if (this.end + size > this.maxBytes) throw new CodedError('resource_exhausted', `the repository's files are larger than ${this.maxBytes} bytes`, { maxBytes: this.maxBytes });
    const hash = createHash('sha1').update(`${type} ${size}\0`);
    const object: GitObject = { type, at: this.end, size };
    let length = 0;
    for await (const piece of pieces) {
      if ((length += piece.length) > size) break;
      hash.update(piece);
      await this.stage.add(piece);
    }
    if (length !== size) throw new CodedError('protocol_violation', 'an object of the pack has not the size that it says');
    this.end += size;
    const name = hash.digest('hex');
    this.objects.set(name, object);
    return { hash: name, object };
  }

  find(hash: string): GitObject | undefined {
    return this.objects.get(hash);
  }

  /** @throws CodedError `protocol_violation` when it is not there, or is something else */
  get(hash: string, type: GitObjectType): GitObject {
    const object = this.objects.get(hash);
    if (object?.type !== type) throw new CodedError('protocol_violation', `the Git server has not sent the ${type} ${hash.slice(0, 40)}`);
    return object;
  }

  /** Part of an object, or all of it. */
  async *bytes({ at, size }: GitObject, from = 0, length = size): AsyncGenerator<Buffer, void, undefined> {
    await this.writtenUpTo(at + from + length);
    const end = at + from + length;
    for (let next = at + from; next < end; ) {
      const { buffer, bytesRead } = await this.handle.read(Buffer.allocUnsafe(Math.min(READ_BYTES, end - next)), 0, undefined, next);
      if (bytesRead === 0) throw new CodedError('internal', 'the file of the objects is shorter than its index');
      next += bytesRead;
      yield buffer.subarray(0, bytesRead);
    }
  }

  async whole(object: GitObject): Promise<Buffer> {
    const pieces: Buffer[] = [];
    for await (const piece of this.bytes(object)) pieces.push(piece);
    return Buffer.concat(pieces);
  }

  /** Idempotent. */
  async remove(): Promise<void> {
    await this.handle.close();
    await rm(this.path, { force: true });
  }

  private async writtenUpTo(end: number): Promise<void> {
    if (end <= this.written) return;
    const all = this.end;
    await this.stage.finish();
    this.written = all;
  }
}
