import { z } from 'zod';
import { fileEventSchema, fileStatSchema, type FileEventView, type FileStatView } from '#contracts';
import { CodedError } from '#kernel';
import type { FileBytes, HostFiles } from './host-files.js';
import type { HostRpc, Query } from './host-rpc.js';
import { failureIn, parseJson } from './node-connection.js';
import { linesOf } from './node-streams.js';

const done = z.unknown();

/** Files of a tenant's containers over node RPC. */
export class RemoteHostFiles implements HostFiles {
  constructor(private readonly rpc: Pick<HostRpc, 'json' | 'stream'>) {}

  stat: HostFiles['stat'] = (ref, path) => this.rpc.json('GET', '/container/file', { ref, path }, fileStatSchema);
  list: HostFiles['list'] = (ref, path) => this.rpc.json('GET', '/container/files', { ref, path }, z.array(fileStatSchema));
  pack: HostFiles['pack'] = (ref, path, { contents }, signal) => this.bytes('/container/archive', { ref, path, contents }, signal);
  extract: HostFiles['extract'] = async (ref, path, tar, options, signal) => {
    await this.rpc.json('PUT', '/container/archive', { ref, path, ...options }, done, { body: { stream: tar }, signal });
  };
  read: HostFiles['read'] = (ref, path, range, signal) => this.bytes('/container/content', { ref, path, ...range }, signal);
  write: HostFiles['write'] = (ref, path, content, options, signal) => this.rpc.json('PUT', '/container/content', { ref, path, ...options }, fileStatSchema, { body: { stream: content }, signal });
  makeDirectory: HostFiles['makeDirectory'] = async (ref, request) => {
    await this.rpc.json('POST', '/container/directories', {}, done, { body: { json: { ref, ...request } } });
  };
  move: HostFiles['move'] = async (ref, request) => {
    await this.rpc.json('POST', '/container/moves', {}, done, { body: { json: { ref, ...request } } });
  };
  remove: HostFiles['remove'] = async (ref, path, { recursive }) => {
    await this.rpc.json('DELETE', '/container/file', { ref, path, recursive }, done);
  };

  async *watch(ref: string, path: string, { recursive }: { readonly recursive: boolean }, signal: AbortSignal): AsyncGenerator<FileEventView, void, undefined> {
    for await (const line of linesOf(await this.rpc.stream('GET', '/container/watch', { ref, path, recursive }, { signal }))) {
      const failure = failureIn(line);
      if (failure !== undefined) throw failure;
      const event = fileEventSchema.safeParse(line);
      if (!event.success) throw new CodedError('protocol_violation', "the node's event is malformed");
      yield event.data;
    }
  }

  private async bytes(path: string, query: Query, signal: AbortSignal): Promise<FileBytes> {
    const bytes = await this.rpc.stream('GET', path, query, { signal });
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
