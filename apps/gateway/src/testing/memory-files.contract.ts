import { posix } from 'node:path';
import { Readable } from 'node:stream';
import type { FileEventView, FileStatView } from '#contracts';
import { CodedError } from '#kernel';
import type { HostFiles } from '../nodes/host-files.js';

export interface MemoryFile {
  readonly stat: FileStatView;
  readonly bytes: Buffer;
}

/** Files of a container in memory: no links are followed, a tar is kept as it came. */
export class MemoryFiles implements HostFiles {
  /** By absolute path. */
  readonly all = new Map<string, MemoryFile>();
  readonly extracted: { readonly path: string; readonly options: object; readonly bytes: Buffer }[] = [];

  /** `exists` throws when there is no such container. */
  constructor(private readonly exists: (ref: string) => void) {
    this.put('/', 'directory');
  }

  put(path: string, kind: FileStatView['kind'], text = '', more: Partial<FileStatView> = {}): FileStatView {
    const bytes = Buffer.from(text);
    const stat = { name: posix.basename(path) || '/', path, kind, sizeBytes: bytes.length, mode: kind === 'directory' ? 0o755 : 0o644, uid: 0, gid: 0, modifiedAt: 1_700_000_000_123, linkTarget: '', resolvedTarget: '', ...more };
    this.all.set(path, { stat, bytes });
    return stat;
  }

  stat = (ref: string, path: string): Promise<FileStatView> => Promise.resolve().then(() => this.at(ref, path).stat);
  list = (ref: string, path: string): Promise<FileStatView[]> =>
    Promise.resolve().then(() => {
      if (this.at(ref, path).stat.kind !== 'directory') throw new CodedError('invalid_argument', `not a directory: ${path}`);
      return [...this.all.values()].map(({ stat }) => stat).filter((stat) => stat.path !== '/' && posix.dirname(stat.path) === path);
    });
  pack = (ref: string, path: string) => Promise.resolve().then(() => ({ stat: { ...this.at(ref, path).stat, path }, bytes: Readable.from([Buffer.from(`tar of ${path}`)], { objectMode: false }) }));
  extract = async (ref: string, path: string, tar: Readable, options: object): Promise<void> => {
    this.at(ref, path);
    this.extracted.push({ path, options, bytes: await received(tar) });
  };
  read = (ref: string, path: string, { offset, length }: { readonly offset: number; readonly length?: number }) =>
    Promise.resolve().then(() => {
      const { stat, bytes } = this.at(ref, path);
      const rest = bytes.subarray(offset);
      return { stat, bytes: Readable.from([rest.subarray(0, length ?? rest.length)], { objectMode: false }) };
    });
  write = async (ref: string, path: string, content: Readable, { overwrite, ...attributes }: Parameters<HostFiles['write']>[3]): Promise<FileStatView> => {
    this.exists(ref);
    if (!overwrite && this.all.has(path)) throw new CodedError('already_exists', `file exists: ${path}`);
    const { mode = 0o644, uid = 0, gid = 0 } = attributes;
    return this.put(path, 'file', (await received(content)).toString(), { mode, uid, gid });
  };
  makeDirectory: HostFiles['makeDirectory'] = (ref, { path, mode = 0o755 }) =>
    Promise.resolve().then(() => {
      this.exists(ref);
      this.put(path, 'directory', '', { mode });
    });
  move: HostFiles['move'] = (ref, { from, to }) =>
    Promise.resolve().then(() => {
      const { bytes, stat } = this.at(ref, from);
      this.all.delete(from);
      this.put(to, stat.kind, bytes.toString());
    });
  remove: HostFiles['remove'] = (ref, path, { recursive }) =>
    Promise.resolve().then(() => {
      this.exists(ref);
      if (!this.all.delete(path) && !recursive) this.at(ref, path);
    });

  async *watch(ref: string, path: string, _options: object, signal: AbortSignal): AsyncGenerator<FileEventView> {
    this.at(ref, path);
    yield { kind: 'ready', path, directory: true };
    yield { kind: 'created', path: `${path}/new`, directory: false };
    await new Promise((resolve) => {
      signal.addEventListener('abort', resolve, { once: true });
    });
  }

  private at(ref: string, path: string): MemoryFile {
    this.exists(ref);
    const found = this.all.get(posix.resolve(path));
    if (found === undefined) throw new CodedError('not_found', `Could not find the file ${path} in container ${ref}`);
    return found;
  }
}

async function received(source: Readable): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of source as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}
