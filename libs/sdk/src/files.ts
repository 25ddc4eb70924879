import { fileEventSchema, fileStatSchema, type FileEventView, type FileStatView } from '#contracts';
import { z } from 'zod';
import { JsonSocket } from './json-socket.js';
import { sandboxPath } from './sandboxes.js';
import type { Transport } from './transport.js';

const viewSchema = fileStatSchema.extend({ entries: z.array(fileStatSchema).nullable() });

export interface WriteFile {
  /** Permission bits, such as 0o644. What is not said stays as it is. */
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  /** False: a file that is there is a conflict. */
  readonly overwrite?: boolean;
  readonly signal?: AbortSignal;
}

export type Bytes = Uint8Array | AsyncIterable<Uint8Array>;

/** Files of the sandboxes of the key's tenant, running or not. Paths are absolute, inside. Each method throws SandbarApiError. */
export class FilesApi {
  constructor(private readonly transport: Transport) {}

  /** A link at its end is told and not followed, unless a slash stands behind it. */
  async stat(sandbox: string, path: string): Promise<FileStatView> {
    return fileStatSchema.parse(await this.#view(sandbox, path, false));
  }

  /** Entries of a directory by name; of anything else none. */
  async list(sandbox: string, path: string): Promise<FileStatView[]> {
    return (await this.#view(sandbox, path, true)).entries ?? [];
  }

  /** To be read once, to its end. A connection that breaks is an error, never the end of the file. */
  async read(sandbox: string, path: string, { offset, length, signal }: { offset?: number; length?: number; signal?: AbortSignal } = {}): Promise<AsyncIterable<Uint8Array>> {
    const range = offset === undefined && length === undefined ? {} : { range: `bytes=${offset ?? 0}-${length === undefined ? '' : (offset ?? 0) + length - 1}` };
    return (await this.transport.download({ method: 'GET', path: filesPath(sandbox, '/content'), query: { path }, headers: range, signal })).bytes;
  }

  /** All of it, in memory. */
  async readText(sandbox: string, path: string): Promise<string> {
    const chunks: Uint8Array[] = [];
    for await (const chunk of await this.read(sandbox, path)) chunks.push(chunk);
    return Buffer.concat(chunks).toString('utf8');
  }

  /** Whole or not at all; missing directories are made. */
  write(sandbox: string, path: string, content: string | Bytes, { mode, signal, ...options }: WriteFile = {}): Promise<FileStatView> {
    const source = typeof content === 'string' ? Buffer.from(content) : content;
    return this.transport.call({ method: 'PUT', path: filesPath(sandbox, '/content'), query: { path, ...options, ...(mode === undefined ? {} : { mode: mode.toString(8) }) }, bytes: { type: 'application/octet-stream', source }, signal }, fileStatSchema);
  }

  /** With `parents`, missing ones are made too, and one that is there is fine. */
  async mkdir(sandbox: string, path: string, options: { parents?: boolean; mode?: number; uid?: number; gid?: number } = {}): Promise<void> {
    await this.transport.callForNothing({ method: 'POST', path: filesPath(sandbox, '/directories'), body: { path, ...options } });
  }

  async move(sandbox: string, from: string, to: string, options: { overwrite?: boolean } = {}): Promise<void> {
    await this.transport.callForNothing({ method: 'POST', path: filesPath(sandbox, '/moves'), body: { from, to, ...options } });
  }

  async remove(sandbox: string, path: string, options: { recursive?: boolean } = {}): Promise<void> {
    await this.transport.callForNothing({ method: 'DELETE', path: filesPath(sandbox), query: { path, ...options } });
  }

  /** A tar of a file or a directory below its own name; `contents`: of what is in a directory, named from `./` on. */
  async download(sandbox: string, path: string, { contents = false, signal }: { contents?: boolean; signal?: AbortSignal } = {}): Promise<AsyncIterable<Uint8Array>> {
    return (await this.transport.download({ method: 'GET', path: filesPath(sandbox, '/archive'), query: { path, contents }, signal })).bytes;
  }

  /** Extracts a tar (plain, gzip or zstd) into a directory that is there. Not atomic. `owners`: as the archive says, or root's. */
  async upload(sandbox: string, path: string, tar: Bytes, { owners = 'root', signal }: { owners?: 'root' | 'archive'; signal?: AbortSignal } = {}): Promise<void> {
    await this.transport.callForNothing({ method: 'PUT', path: filesPath(sandbox, '/archive'), query: { path, owners }, bytes: { type: 'application/x-tar', source: tar }, signal });
  }

  /** Changes below a directory of a running sandbox: `ready` first, `overflow` where some were missed. Ends with the directory or the sandbox; a connection that breaks ends it too. */
  async *watch(sandbox: string, path: string, { recursive = false, signal }: { recursive?: boolean; signal?: AbortSignal } = {}): AsyncGenerator<FileEventView> {
    const socket = new JsonSocket(this.transport, { path: filesPath(sandbox, '/watch'), query: { path, recursive: String(recursive) }, schema: fileEventSchema, signal });
    try {
      yield* socket.frames;
    } finally {
      socket.close();
    }
  }

  #view(sandbox: string, path: string, entries: boolean): Promise<z.infer<typeof viewSchema>> {
    return this.transport.call({ method: 'GET', path: filesPath(sandbox), query: { path, entries } }, viewSchema);
  }
}

function filesPath(sandbox: string, rest = ''): string {
  return `${sandboxPath(sandbox)}/files${rest}`;
}
