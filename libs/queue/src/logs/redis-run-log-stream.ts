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
 * KEYS log, checkpoint; ARGV time to live of a new log in seconds, checkpoint ('' for none), then for each frame: seq, kind, data, time.
 * Frames that are there already and frames after the end frame are skipped; a checkpoint is stored unless all its frames were. Returns
 * how many frames were stored.
 */
const APPEND: Script<number> = {
  name: 'sandbarAppendLog',
  keys: 2,
  lua: `
local key = KEYS[1]
local last, ended, new = 0, false, true
local top = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
if top then
  new = false
  last = tonumber(string.match(top[1], '^%d+'))
  for i = 1, #top[2], 2 do
    if top[2][i] == 'k' then ended = top[2][i + 1] == 'e' end
  end
end
local closed = ended
local stored = 0
for i = 3, #ARGV, 4 do
  local seq = tonumber(ARGV[i])
  if not ended and seq > last then
    redis.call('XADD', key, ARGV[i] .. '-0', 'k', ARGV[i + 1], 'd', ARGV[i + 2], 't', ARGV[i + 3])
    last, ended, stored = seq, ARGV[i + 1] == 'e', stored + 1
  end
end
if new and stored > 0 then redis.call('EXPIRE', key, ARGV[1]) end
if ARGV[2] ~= '' and not closed and (stored > 0 or #ARGV == 2) then redis.call('SET', KEYS[2], ARGV[2], 'EX', ARGV[1]) end
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

  async append(runId: RunId, frames: readonly LogFrame[], checkpoint = ''): Promise<void> {
    if (frames.length === 0 && checkpoint === '') return;
    const keys = [this.keys.log(runId), this.keys.checkpoint(runId)];
    // With a checkpoint all is one step: the caller keeps it short.
    const perCall = checkpoint === '' ? APPEND_FRAMES : Math.max(1, frames.length);
    const calls: Promise<number>[] = [];
    for (let from = 0; from < frames.length || calls.length === 0; from += perCall) {
      const args: (string | number)[] = [ORPHAN_SECONDS, checkpoint];
      for (const frame of frames.slice(from, from + perCall)) {
        const { kind, data, time } = encodeFrame(frame);
        args.push(frame.seq, kind, data, time);
      }
      // Sent one after the other on one connection, hence applied in order.
      calls.push(this.appendScript(keys, args));
    }
    await Promise.all(calls);
  }

  async last(runId: RunId): Promise<{ seq: number; ended: boolean; checkpoint: string | undefined } | undefined> {
    // In one step: a frame without its checkpoint, or the other way round, would be written or left out twice.
    const replies = await this.redis.multi().xrevrange(this.keys.log(runId), '+', '-', 'COUNT', 1).get(this.keys.checkpoint(runId)).exec();
    const [entries, checkpoint] = (replies ?? []).map(([error, reply]) => {
      if (error !== null) throw error;
      return reply;
    }) as [StreamEntry[], string | null];
    const [entry] = entries;
    if (entry === undefined) return checkpoint === null ? undefined : { seq: 0, ended: false, checkpoint };
    return { seq: seqOf(entry[0]), ended: field(entry[1], 'k') === 'e', checkpoint: checkpoint ?? undefined };
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
    await Promise.all([this.redis.expire(this.keys.log(runId), seconds), this.redis.expire(this.keys.checkpoint(runId), seconds)]);
  }

  async delete(runId: RunId): Promise<void> {
    await this.redis.del(this.keys.log(runId), this.keys.checkpoint(runId));
  }

  /** Ends all followers of this process. */
  async close(): Promise<void> {
    await this.tail.close();
  }
}
