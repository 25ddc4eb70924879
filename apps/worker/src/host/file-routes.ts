import { z } from 'zod';
import { fileAttributesSchema, filePathSchema, makeDirectorySchema, moveFileSchema, type FileAttributes } from '#contracts';
import type { FileStat } from '#engine';
import { CodedError } from '#kernel';
import { RpcBytes, RpcLines } from '../node/rpc-answers.js';
import type { RpcRoute } from '../node/rpc-server.js';
import { bodyOf, flag, hostRoute, integer, parse, required, type HostCall } from './host-route.js';
import { ensureTenant, type HostServices } from './host-services.js';

const FILE_HEADER = 'x-sandbar-file';
const ref = z.string().min(1);
const directorySchema = makeDirectorySchema.extend({ ref });
const moveSchema = moveFileSchema.extend({ ref });

/** Files of containers. What a stream is of stands in the header `x-sandbar-file`: base64 of a FileStat as JSON. */
export function fileRoutes(services: HostServices): RpcRoute[] {
  const { files } = services;
  return [
    hostRoute('GET', '/container/file', async (call) => {
      await prepare(services, call);
      return files.stat(call.tenantId, required(call, 'ref'), pathOf(call));
    }),
    hostRoute('GET', '/container/files', async (call) => {
      await prepare(services, call);
      return files.list(call.tenantId, required(call, 'ref'), pathOf(call));
    }),
    hostRoute('GET', '/container/archive', async (call) => {
      await prepare(services, call);
      const { stat, tar } = await files.pack(call.tenantId, required(call, 'ref'), pathOf(call), { contents: flag(call, 'contents') });
      return new RpcBytes(tar, { type: 'application/x-tar', headers: fileHeader(stat) });
    }),
    hostRoute('PUT', '/container/archive', async (call) => {
      await prepare(services, call);
      await files.extract(call.tenantId, required(call, 'ref'), pathOf(call), call.body(), { keepDirectories: flag(call, 'keepDirectories'), keepOwners: flag(call, 'keepOwners') });
    }),
    hostRoute('GET', '/container/content', async (call) => {
      await prepare(services, call);
      const { stat, bytes } = await files.read(call.tenantId, required(call, 'ref'), pathOf(call), rangeOf(call));
      return new RpcBytes(bytes, { headers: fileHeader(stat) });
    }),
    hostRoute('PUT', '/container/content', async (call) => {
      await prepare(services, call);
      return files.write(call.tenantId, required(call, 'ref'), pathOf(call), call.body(), { ...attributesOf(call), overwrite: flag(call, 'overwrite') });
    }),
    hostRoute('POST', '/container/directories', async (call) => {
      const { ref: text, path, parents, ...attributes } = await bodyOf(call, directorySchema);
      await prepare(services, call);
      await files.makeDirectory(call.tenantId, text, path, { parents, ...given(attributes) });
    }),
    hostRoute('POST', '/container/moves', async (call) => {
      const { ref: text, from, to, overwrite } = await bodyOf(call, moveSchema);
      await prepare(services, call);
      await files.move(call.tenantId, text, from, to, { overwrite });
    }),
    hostRoute('DELETE', '/container/file', async (call) => {
      await prepare(services, call);
      await files.remove(call.tenantId, required(call, 'ref'), pathOf(call), { recursive: flag(call, 'recursive') });
    }),
    hostRoute('GET', '/container/watch', (call) => Promise.resolve(new RpcLines(files.watch(call.tenantId, required(call, 'ref'), pathOf(call), { recursive: flag(call, 'recursive') }, call.signal)))),
  ];
}

/** A container that does not run is mounted for the while: in the tenant's cgroup, from the tenant's disk. */
async function prepare(services: HostServices, call: HostCall): Promise<void> {
  await ensureTenant(services, call.tenantId, call.limits());
}

function pathOf(call: HostCall): string {
  return parse(filePathSchema, required(call, 'path'));
}

function rangeOf(call: HostCall): { readonly offset: number; readonly length?: number } {
  const text = call.query.get('offset') ?? '0';
  if (!/^-?\d{1,15}$/.test(text)) throw new CodedError('invalid_argument', 'offset: not a whole number');
  const length = integer(call, 'length');
  return { offset: Number(text), ...(length === undefined ? {} : { length }) };
}

function attributesOf(call: HostCall): ReturnType<typeof given> {
  const all = { mode: integer(call, 'mode'), uid: integer(call, 'uid'), gid: integer(call, 'gid') };
  return given(parse(fileAttributesSchema, all));
}

/** Without members that are undefined. */
function given({ mode, uid, gid }: FileAttributes): { mode?: number; uid?: number; gid?: number } {
  return { ...(mode === undefined ? {} : { mode }), ...(uid === undefined ? {} : { uid }), ...(gid === undefined ? {} : { gid }) };
}

function fileHeader(stat: FileStat): Record<string, string> {
  return { [FILE_HEADER]: Buffer.from(JSON.stringify(stat)).toString('base64') };
}
