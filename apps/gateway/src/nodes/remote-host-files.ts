import type { IncomingMessage } from 'node:http';
import type { Readable } from 'node:stream';
import { z } from 'zod';
import { fileEventSchema, fileStatSchema, type FileAttributes, type FileEventView, type FileStatView, type MakeDirectoryBody, type MoveFileBody } from '#contracts';
import { CodedError } from '#kernel';
import type { FileBytes, HostFiles } from './host-files.js';
import { failureIn, parseJson, type NodeRequest } from './node-connection.js';
import { linesOf } from './node-streams.js';

export interface HostRequest extends Pick<NodeRequest, 'method' | 'path' | 'body' | 'signal'> {
  readonly query?: Readonly<Record<string, string | number | boolean | undefined>>;
}

/** How a tenant's node is asked. */
export interface HostRequests {
  /** @throws CodedError `protocol_violation` when the answer is not what the schema says */
  json<T>(request: HostRequest, schema: z.ZodType<T>): Promise<T>;
  stream(request: HostRequest): Promise<IncomingMessage>;
}

const done = z.unknown();

/** Files over node RPC. */
export class RemoteHostFiles implements HostFiles {
  constructor(private readonly node: HostRequests) {}

  stat(ref: string, path: string): Promise<FileStatView> {
    return this.node.json({ method: 'GET', path: '/container/file', query: { ref, path } }, fileStatSchema);
  }

  list(ref: string, path: string): Promise<FileStatView[]> {
    return this.node.json({ method: 'GET', path: '/container/files', query: { ref, path } }, z.array(fileStatSchema));
  }

  pack(ref: string, path: string, { contents }: { readonly contents: boolean }, signal: AbortSignal): Promise<FileBytes> {
    return this.bytes({ method: 'GET', path: '/container/archive', query: { ref, path, contents }, signal });
  }

  async extract(ref: string, path: string, tar: Readable, options: { readonly keepDirectories: boolean; readonly keepOwners: boolean }, signal: AbortSignal): Promise<void> {
    await this.node.json({ method: 'PUT', path: '/container/archive', query: { ref, path, ...options }, body: { stream: tar }, signal }, done);
  }

  read(ref: string, path: string, range: { readonly offset: number; readonly length?: number }, signal: AbortSignal): Promise<FileBytes> {
    return this.bytes({ method: 'GET', path: '/container/content', query: { ref, path, ...range }, signal });
  }

  write(ref: string, path: string, content: Readable, options: FileAttributes & { readonly overwrite: boolean }, signal: AbortSignal): Promise<FileStatView> {
    return this.node.json({ method: 'PUT', path: '/container/content', query: { ref, path, ...options }, body: { stream: content }, signal }, fileStatSchema);
  }

  async makeDirectory(ref: string, request: MakeDirectoryBody): Promise<void> {
    await this.node.json({ method: 'POST', path: '/container/directories', body: { json: { ref, ...request } } }, done);
  }

  async move(ref: string, request: MoveFileBody): Promise<void> {
    await this.node.json({ method: 'POST', path: '/container/moves', body: { json: { ref, ...request } } }, done);
  }

  async remove(ref: string, path: string, { recursive }: { readonly recursive: boolean }): Promise<void> {
    await this.node.json({ method: 'DELETE', path: '/container/file', query: { ref, path, recursive } }, done);
  }

  async *watch(ref: string, path: string, { recursive }: { readonly recursive: boolean }, signal: AbortSignal): AsyncGenerator<FileEventView, void, undefined> {
    for await (const line of linesOf(await this.node.stream({ method: 'GET', path: '/container/watch', query: { ref, path, recursive }, signal }))) {
      const failure = failureIn(line);
      if (failure !== undefined) throw failure;
      const event = fileEventSchema.safeParse(line);
      if (!event.success) throw new CodedError('protocol_violation', "the node's event is malformed");
      yield event.data;
    }
  }

  private async bytes(request: HostRequest): Promise<FileBytes> {
    const bytes = await this.node.stream(request);
    try {
      return { stat: statIn(bytes.headers['x-sandbar-file']), bytes };
    } catch (error) {
      bytes.destroy();
      throw error;
    }
  }
}

/** Names may hold what no header can: base64 of JSON. */
function statIn(header: string | string[] | undefined): FileStatView {
  const stat = fileStatSchema.safeParse(parseJson(Buffer.from(String(header), 'base64')));
  if (!stat.success) throw new CodedError('protocol_violation', 'the node does not say which file it sends');
  return stat.data;
}
