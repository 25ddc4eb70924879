import type { Redis } from 'ioredis';
import { operationProgressSchema, type OperationProgress, type ProgressLine } from '#contracts';
import { CodedError, type Logger, type OperationId } from '#kernel';
import type { QueueKeys } from '../connections/keys.js';
import { isAborted } from '../connections/pause.js';
import { defineScript, readNumber, type Script, type ScriptCall } from '../connections/scripts.js';
import { field, type StreamEntry } from '../logs/log-codec.js';
import { LogTail } from '../logs/log-tail.js';
import type { OperationProgressStream } from '../queue.js';

/** Beyond about this many, the oldest lines go: who comes late misses the middle of a progress bar, never its end. */
const MAX_LINES = 4000;
/** Of one whose end never comes. */
const ORPHAN_SECONDS = 24 * 3600;
const AFTER_END_SECONDS = 3600;

/**
 * KEYS stream; ARGV most lines, seconds to live, seconds after the end, `e` when the last line is the end, lines as JSON without number. Numbers go on from
 * the last line's; nothing comes after an end. Returns the number of lines stored.
 */
const APPEND: Script<number> = {
  name: 'sandbarAppendProgress',
  keys: 1,
  lua: `
local key = KEYS[1]
local last = 0
local top = redis.call('XREVRANGE', key, '+', '-', 'COUNT', 1)[1]
if top then
  last = tonumber(string.match(top[1], '^%d+'))
  for i = 1, #top[2], 2 do
    if top[2][i] == 'e' then return 0 end
  end
end
for i = 5, #ARGV do
  last = last + 1
  if ARGV[4] == 'e' and i == #ARGV then
    redis.call('XADD', key, 'MAXLEN', '~', ARGV[1], string.format('%.0f-0', last), 'l', ARGV[i], 'e', '1')
  else
    redis.call('XADD', key, 'MAXLEN', '~', ARGV[1], string.format('%.0f-0', last), 'l', ARGV[i])
  end
end
redis.call('EXPIRE', key, ARGV[4] == 'e' and ARGV[3] or ARGV[2])
return #ARGV - 4`,
  read: readNumber,
};

/** Progress as Redis streams. `blocking` makes the one connection that all followers of this process wait on. */
export class RedisOperationProgress implements OperationProgressStream {
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

  async append(id: OperationId, lines: readonly ProgressLine[], options: { readonly end?: boolean } = {}): Promise<void> {
    if (lines.length === 0) return;
    const ended = options.end === true ? 'e' : '';
    await this.appendScript([this.keys.progress(id)], [MAX_LINES, ORPHAN_SECONDS, AFTER_END_SECONDS, ended, ...lines.map((line) => JSON.stringify(line))]);
  }

  async last(id: OperationId): Promise<OperationProgress | undefined> {
    const [entry] = (await this.redis.xrevrange(this.keys.progress(id), '+', '-', 'COUNT', 1)) as StreamEntry[];
    return entry === undefined ? undefined : decode(entry);
  }

  async *follow(id: OperationId, after: number, signal: AbortSignal): AsyncIterable<OperationProgress> {
    const key = this.keys.progress(id);
    const last = await this.last(id);
    // The end is said to everybody, also to who has it.
    if (last?.end === true && last.seq <= after) {
      yield last;
      return;
    }
    let position = `${after}-0`;
    let seen = last !== undefined;
    while (!signal.aborted) {
      const entries = await this.tail.next(key, position, seen, signal);
      if (entries === undefined) return;
      seen = true;
      for (const entry of entries) {
        if (isAborted(signal)) return;
        const line = decode(entry);
        yield line;
        if (line.end === true) return;
        position = entry[0];
      }
    }
  }

  async close(): Promise<void> {
    await this.tail.close();
  }
}

function decode(entry: StreamEntry): OperationProgress {
  const [id, fields] = entry;
  const end = field(fields, 'e') === '1';
  try {
    return operationProgressSchema.parse({ ...(JSON.parse(field(fields, 'l')) as object), seq: Number(id.split('-', 1)[0]), ...(end ? { end } : {}) });
  } catch (error) {
    throw new CodedError('protocol_violation', 'a line of progress is malformed', { id }, { cause: error });
  }
}
