import { z } from 'zod';
import type { LogChunk } from '#engine';
import { setImmediate as nextTurn } from 'node:timers/promises';
import { RpcBytes, RpcLater, RpcLines } from '../node/rpc-answers.js';
import type { RpcRoute } from '../node/rpc-server.js';
import { flag, hostRoute, integer, parse, required } from './host-route.js';
import type { HostServices } from './host-services.js';

const conditionSchema = z.enum(['not-running', 'next-exit', 'removed']);

/** What stays open or carries bytes: wait, logs, stats, export. */
export function containerStreamRoutes({ containers }: HostServices): RpcRoute[] {
  return [
    hostRoute('GET', '/container/wait', async (call) => {
      const condition = parse(conditionSchema, call.query.get('condition') ?? 'not-running');
      const ended = containers.wait(call.tenantId, required(call, 'ref'), condition, call.signal);
      // What is refused is refused at once, with a status; from the headers on the caller knows that nothing is missed.
      await Promise.race([ended, nextTurn()]);
      return new RpcLater(ended);
    }),
    hostRoute('GET', '/container/logs', async (call) => {
      const { id } = await containers.get(call.tenantId, required(call, 'ref'));
      const [tail, sinceMs, untilMs] = [integer(call, 'tail'), integer(call, 'sinceMs'), integer(call, 'untilMs')];
      const options = {
        stdout: flag(call, 'stdout'),
        stderr: flag(call, 'stderr'),
        follow: flag(call, 'follow'),
        ...(tail === undefined ? {} : { tail }),
        ...(sinceMs === undefined ? {} : { sinceMs }),
        ...(untilMs === undefined ? {} : { untilMs }),
      };
      return new RpcBytes(logFrames(containers.logs(call.tenantId, id, options, call.signal)), { early: true });
    }),
    hostRoute('GET', '/container/stats', async (call) => {
      // What is not there is refused with a status.
      const { id } = await containers.get(call.tenantId, required(call, 'ref'));
      return new RpcLines(containers.stats(call.tenantId, id, { once: flag(call, 'once') }, call.signal));
    }),
    hostRoute('GET', '/container/export', async (call) => new RpcBytes(await containers.export(call.tenantId, required(call, 'ref')), { type: 'application/x-tar' })),
  ];
}

/** u8 stream (1 stdout, 2 stderr), 3 zeros, u32 BE length of the bytes, u64 BE milliseconds, bytes. */
async function* logFrames(chunks: AsyncIterable<LogChunk>): AsyncGenerator<Buffer, void, undefined> {
  for await (const { stream, timeMs, bytes } of chunks) {
    const head = Buffer.alloc(16);
    head[0] = stream === 'stdout' ? 1 : 2;
    head.writeUInt32BE(bytes.length, 4);
    head.writeBigUInt64BE(BigInt(Math.trunc(timeMs)), 8);
    yield Buffer.concat([head, bytes]);
  }
}
