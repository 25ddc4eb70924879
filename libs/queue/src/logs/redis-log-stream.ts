import type { Redis } from 'ioredis';
import type { Logger } from '#kernel';
import type { QueueKeys } from '../connections/keys.js';
import { isAborted } from '../connections/pause.js';
import { defineScript, readNumber, type Script, type ScriptCall } from '../connections/scripts.js';
import type { LogStream } from '../queue.js';
import { field, seqOf, type LogCodec, type NumberedFrame, type StreamEntry } from './log-codec.js';
import { LogTail } from './log-tail.js';

/** A log nobody expires (the end of what it is of never reached the control side) goes by itself. Longer than any run or build may last. */
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
export class RedisLogStream<I extends string, F extends NumberedFrame> implements LogStream<I, F> {
  private readonly appendScript: ScriptCall<number>;
  private readonly tail: LogTail;

  constructor(
    private readonly redis: Redis,
    blocking: () => Redis,
    private readonly keys: QueueKeys,
    private readonly codec: LogCodec<F>,
    logger: Logger,
  ) {
    this.appendScript = defineScript(redis, APPEND);
    this.tail = new LogTail(redis, blocking, keys, logger);
  }

  async append(id: I, frames: readonly F[], checkpoint = ''): Promise<void> {
    if (frames.length === 0 && checkpoint === '') return;
    const keys = [this.keys.log(id), this.keys.checkpoint(id)];
    // With a checkpoint all is one step: the caller keeps it short.
    const perCall = checkpoint === '' ? APPEND_FRAMES : Math.max(1, frames.length);
    const calls: Promise<number>[] = [];
    for (let from = 0; from < frames.length || calls.length === 0; from += perCall) {
      const args: (string | number)[] = [ORPHAN_SECONDS, checkpoint];
      for (const frame of frames.slice(from, from + perCall)) {
        const { kind, data, time } = this.codec.encode(frame);
        args.push(frame.seq, kind, data, time);
      }
      // Sent one after the other on one connection, hence applied in order.
      calls.push(this.appendScript(keys, args));
    }
    await Promise.all(calls);
  }

  async last(id: I): Promise<{ seq: number; ended: boolean; checkpoint: string | undefined } | undefined> {
    // In one step: a frame without its checkpoint, or the other way round, would be written or left out twice.
    const replies = await this.redis.multi().xrevrange(this.keys.log(id), '+', '-', 'COUNT', 1).get(this.keys.checkpoint(id)).exec();
    const [entries, checkpoint] = (replies ?? []).map(([error, reply]) => {
      if (error !== null) throw error;
      return reply;
    }) as [StreamEntry[], string | null];
    const [entry] = entries;
    if (entry === undefined) return checkpoint === null ? undefined : { seq: 0, ended: false, checkpoint };
    return { seq: seqOf(entry[0]), ended: field(entry[1], 'k') === 'e', checkpoint: checkpoint ?? undefined };
  }

  async *follow(id: I, after: number, signal: AbortSignal): AsyncIterable<F> {
    const key = this.keys.log(id);
    let position = `${after}-0`;
    let seen = after > 0;
    while (!signal.aborted) {
      const entries = await this.tail.next(key, position, seen, signal);
      if (entries === undefined) return;
      seen = true;
      for (const entry of entries) {
        if (isAborted(signal)) return;
        const frame = this.decode(entry);
        yield frame;
        if (frame.type === 'end') return;
        position = entry[0];
      }
    }
  }

  async readAll(id: I): Promise<F[]> {
    const frames: F[] = [];
    let from = '-';
    for (;;) {
      const entries: StreamEntry[] = await this.redis.xrange(this.keys.log(id), from, '+', 'COUNT', READ_BATCH);
      frames.push(...entries.map((entry) => this.decode(entry)));
      const lastEntry = entries.at(-1);
      if (lastEntry === undefined || entries.length < READ_BATCH) return frames;
      from = `(${lastEntry[0]}`;
    }
  }

  async expire(id: I, seconds: number): Promise<void> {
    await Promise.all([this.redis.expire(this.keys.log(id), seconds), this.redis.expire(this.keys.checkpoint(id), seconds)]);
  }

  async delete(id: I): Promise<void> {
    await this.redis.del(this.keys.log(id), this.keys.checkpoint(id));
  }

  private decode(entry: StreamEntry): F {
    return this.codec.decode(entry, seqOf(entry[0]));
  }

  /** Ends all followers of this process. */
  async close(): Promise<void> {
    await this.tail.close();
  }
}
