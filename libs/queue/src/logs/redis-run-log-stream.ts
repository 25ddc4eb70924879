import type { Redis } from 'ioredis';
import type { LogFrame } from '#contracts';
import type { Logger, RunId } from '#kernel';
import type { QueueKeys } from '../connections/keys.js';
import { isAborted } from '../connections/pause.js';
import { defineScript, readNumber, type Script, type ScriptCall } from '../connections/scripts.js';
import type { RunLogStream } from '../queue.js';
import { decodeFrame, encodeFrame, field, seqOf, type StreamEntry } from './frame-codec.js';
import { LogTail } from './log-tail.js';

/** A log nobody expires (its run's end never reached the control side) goes by itself. Longer than any run may last. */
const ORPHAN_SECONDS = 6 * 3600;
/** Frames per script call, so that one call does not hold Redis for long. */
const APPEND_FRAMES = 256;
const READ_BATCH = 500;

/**
 * KEYS log; ARGV time to live of a new log in seconds, then for each frame: seq, kind, data, time, agentSeq. Frames that are there already
 * and frames after the end frame are skipped. Returns how many were stored.
 */
const APPEND: Script<number> = {
  name: 'sandbarAppendLog',
  keys: 1,
  lua: `
local key = KEYS[1]
local last, agent, ended, new = 0, 0, false, true
local top = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
if top then
  new = false
  last = tonumber(string.match(top[1], '^%d+'))
  for i = 1, #top[2], 2 do
    if top[2][i] == 'a' then agent = tonumber(top[2][i + 1]) end
    if top[2][i] == 'k' then ended = top[2][i + 1] == 'e' end
  end
end
local stored = 0
for i = 2, #ARGV, 5 do
  local seq = tonumber(ARGV[i])
  if not ended and seq > last then
    agent = math.max(agent, tonumber(ARGV[i + 4]))
    redis.call('XADD', key, ARGV[i] .. '-0', 'k', ARGV[i + 1], 'd', ARGV[i + 2], 't', ARGV[i + 3], 'a', string.format('%.0f', agent))
    last, ended, stored = seq, ARGV[i + 1] == 'e', stored + 1
  end
end
if new and stored > 0 then redis.call('EXPIRE', key, ARGV[1]) end
return stored`,
  read: readNumber,
};

/** Logs as Redis streams. `blocking` makes the one connection that all followers of this process wait on. */
export class RedisRunLogStream implements RunLogStream {
  private readonly appendScript: ScriptCall<number>;
  private readonly tail: LogTail;

  constructor(
    private readonly redis: Redis,
    blocking: () => Redis,
    private readonly keys: QueueKeys,
    logger: Logger,
  ) {
    this.appendScript = defineScript(redis, APPEND);
    this.tail = new LogTail(redis, blocking, keys, logger);
  }

  async append(runId: RunId, frames: readonly (LogFrame & { agentSeq?: number })[]): Promise<void> {
    const calls: Promise<number>[] = [];
    for (let from = 0; from < frames.length; from += APPEND_FRAMES) {
      const args: (string | number)[] = [ORPHAN_SECONDS];
      for (const frame of frames.slice(from, from + APPEND_FRAMES)) {
        const { kind, data, time } = encodeFrame(frame);
        args.push(frame.seq, kind, data, time, frame.agentSeq ?? 0);
      }
      // Sent one after the other on one connection, hence applied in order.
      calls.push(this.appendScript([this.keys.log(runId)], args));
    }
    await Promise.all(calls);
  }

  async last(runId: RunId): Promise<{ seq: number; agentSeq: number; ended: boolean } | undefined> {
    const [entry] = await this.redis.xrevrange(this.keys.log(runId), '+', '-', 'COUNT', 1);
    if (entry === undefined) return undefined;
    return { seq: seqOf(entry[0]), agentSeq: Number(field(entry[1], 'a')), ended: field(entry[1], 'k') === 'e' };
  }

  async *follow(runId: RunId, after: number, signal: AbortSignal): AsyncIterable<LogFrame> {
    const key = this.keys.log(runId);
    let position = `${after}-0`;
    let seen = after > 0;
    while (!signal.aborted) {
      const entries = await this.tail.next(key, position, seen, signal);
      if (entries === undefined) return;
      seen = true;
      for (const entry of entries) {
        if (isAborted(signal)) return;
        const frame = decodeFrame(entry);
        yield frame;
        if (frame.type === 'end') return;
        position = entry[0];
      }
    }
  }

  async readAll(runId: RunId): Promise<LogFrame[]> {
    const frames: LogFrame[] = [];
    let from = '-';
    for (;;) {
      const entries: StreamEntry[] = await this.redis.xrange(this.keys.log(runId), from, '+', 'COUNT', READ_BATCH);
      frames.push(...entries.map(decodeFrame));
      const lastEntry = entries.at(-1);
      if (lastEntry === undefined || entries.length < READ_BATCH) return frames;
      from = `(${lastEntry[0]}`;
    }
  }

  async expire(runId: RunId, seconds: number): Promise<void> {
    await this.redis.expire(this.keys.log(runId), seconds);
  }

  async delete(runId: RunId): Promise<void> {
    await this.redis.del(this.keys.log(runId));
  }

  /** Ends all followers of this process. */
  async close(): Promise<void> {
    await this.tail.close();
  }
}
