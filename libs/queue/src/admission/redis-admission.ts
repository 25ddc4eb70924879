import type { Redis } from 'ioredis';
import type { TenantLimits } from '#contracts';
import { CodedError, type RunId, type TenantId } from '#kernel';
import type { QueueKeys } from '../connections/keys.js';
import { defineScript, readNumber, readText, readTexts, type Script, type ScriptCall } from '../connections/scripts.js';
import type { Admission } from '../queue.js';

/**
 * Shared by the scripts. `executing` and `line` are sorted sets of run ids by the time they came, in microseconds: the line's order
 * and the age that `repair` asks for. Time is Redis' own, hence one clock for all gateways.
 */
const HEAD = `
local executing, line, released = KEYS[1], KEYS[2], KEYS[3]
local clock = redis.call('TIME')
local now = clock[1] * 1000000 + clock[2]

-- Moves the oldest of the line into free places. Returns their ids.
local function promote(limit)
  local free = limit - redis.call('ZCARD', executing)
  if free <= 0 then return {} end
  local popped = redis.call('ZPOPMIN', line, free)
  local runs = {}
  for i = 1, #popped, 2 do
    redis.call('ZADD', executing, now, popped[i])
    runs[#runs + 1] = popped[i]
  end
  return runs
end
`;

/** KEYS executing, line, released; ARGV run, concurrentRuns, queuedRuns. Returns dispatch, wait or full. */
const ADMIT: Script<string> = {
  name: 'sandbarAdmit',
  keys: 3,
  lua: `${HEAD}
local run, concurrent, queued = ARGV[1], tonumber(ARGV[2]), tonumber(ARGV[3])
if redis.call('ZSCORE', executing, run) then return 'dispatch' end
if redis.call('ZSCORE', line, run) then return 'wait' end
local busy, waiting = redis.call('ZCARD', executing), redis.call('ZCARD', line)
-- With nothing executing no release would ever call the line, so a newcomer goes ahead and its release calls.
if busy < concurrent and (waiting == 0 or busy == 0) then
  redis.call('ZADD', executing, now, run)
  return 'dispatch'
end
if waiting >= queued then return 'full' end
redis.call('ZADD', line, now, run)
return 'wait'`,
  read: readText,
};

/** KEYS as above; ARGV run, concurrentRuns. Returns the runs whose turn it is. */
const RELEASE: Script<string[]> = {
  name: 'sandbarRelease',
  keys: 3,
  lua: `${HEAD}
local run, concurrent = ARGV[1], tonumber(ARGV[2])
redis.call('ZREM', executing, run)
redis.call('ZREM', line, run)
-- Remembered for a minute, so that a repair from rows read before does not bring it back.
redis.call('ZADD', released, now, run)
redis.call('ZREMRANGEBYSCORE', released, '-inf', now - 60000000)
redis.call('EXPIRE', released, 120)
return promote(concurrent)`,
  read: readTexts,
};

/**
 * KEYS as above; ARGV executing rows and waiting rows (JSON arrays), concurrentRuns. Runs that came in the last ten seconds stay though
 * no row names them (the row is about to be written). Every waiting row that has a place is named: its job may have been lost, and
 * enqueuing twice is harmless.
 */
const REPAIR: Script<string[]> = {
  name: 'sandbarRepairAdmission',
  keys: 3,
  lua: `${HEAD}
local concurrent = tonumber(ARGV[3])
local young = '(' .. string.format('%.0f', now - 10000000)
local place, known, order = {}, {}, {}
local function over(run) return redis.call('ZSCORE', released, run) end
for _, run in ipairs(cjson.decode(ARGV[1])) do
  known[run] = true
  if not over(run) then place[run] = true end
end
for _, run in ipairs(cjson.decode(ARGV[2])) do
  known[run] = true
  if not over(run) then
    order[#order + 1] = run
    if redis.call('ZSCORE', executing, run) then place[run] = true end
  end
end
for _, run in ipairs(redis.call('ZRANGEBYSCORE', executing, young, '+inf')) do
  if not known[run] then place[run] = true end
end
local newcomers = redis.call('ZRANGEBYSCORE', line, young, '+inf', 'WITHSCORES')
redis.call('DEL', executing, line)
for run in pairs(place) do redis.call('ZADD', executing, now - 10000000, run) end
local start = now - 60000000 - #order
for i, run in ipairs(order) do
  if not place[run] then redis.call('ZADD', line, start + i, run) end
end
for i = 1, #newcomers, 2 do
  if not known[newcomers[i]] then redis.call('ZADD', line, newcomers[i + 1], newcomers[i]) end
end
for _, run in ipairs(promote(concurrent)) do place[run] = true end
local due = {}
for _, run in ipairs(order) do
  if place[run] then due[#due + 1] = run end
end
return due`,
  read: readTexts,
};

/** KEYS executing, line. Returns both sizes. */
const COUNTS: Script<number[]> = {
  name: 'sandbarAdmissionCounts',
  keys: 2,
  lua: `return { redis.call('ZCARD', KEYS[1]), redis.call('ZCARD', KEYS[2]) }`,
  read: (reply) => (reply as unknown[]).map(readNumber),
};

/** Admission by sorted sets per tenant and Lua scripts. */
export class RedisAdmission implements Admission {
  private readonly admitScript: ScriptCall<string>;
  private readonly releaseScript: ScriptCall<string[]>;
  private readonly repairScript: ScriptCall<string[]>;
  private readonly countsScript: ScriptCall<number[]>;

  constructor(
    private readonly redis: Redis,
    private readonly keys: QueueKeys,
  ) {
    this.admitScript = defineScript(redis, ADMIT);
    this.releaseScript = defineScript(redis, RELEASE);
    this.repairScript = defineScript(redis, REPAIR);
    this.countsScript = defineScript(redis, COUNTS);
  }

  async admit(tenantId: TenantId, runId: RunId, limits: Pick<TenantLimits, 'concurrentRuns' | 'queuedRuns'>): Promise<'dispatch' | 'wait'> {
    const verdict = await this.admitScript(this.keysOf(tenantId), [runId, limits.concurrentRuns, limits.queuedRuns]);
    if (verdict === 'dispatch' || verdict === 'wait') return verdict;
    throw new CodedError('quota_exceeded', 'too many runs are waiting', { concurrentRuns: limits.concurrentRuns, queuedRuns: limits.queuedRuns });
  }

  async release(tenantId: TenantId, runId: RunId, limits: Pick<TenantLimits, 'concurrentRuns'>): Promise<RunId[]> {
    return (await this.releaseScript(this.keysOf(tenantId), [runId, limits.concurrentRuns])) as RunId[];
  }

  async repair(tenantId: TenantId, rows: { executing: readonly RunId[]; waiting: readonly RunId[] }, limits: Pick<TenantLimits, 'concurrentRuns'>): Promise<RunId[]> {
    const args = [JSON.stringify(rows.executing), JSON.stringify(rows.waiting), limits.concurrentRuns];
    return (await this.repairScript(this.keysOf(tenantId), args)) as RunId[];
  }

  async counts(tenantId: TenantId): Promise<{ executing: number; waiting: number }> {
    const [executing = 0, waiting = 0] = await this.countsScript([this.keys.executing(tenantId), this.keys.line(tenantId)]);
    return { executing, waiting };
  }

  async forget(tenantId: TenantId): Promise<void> {
    await this.redis.del(...this.keysOf(tenantId));
  }

  private keysOf(tenant: TenantId): string[] {
    return [this.keys.executing(tenant), this.keys.line(tenant), this.keys.released(tenant)];
  }
}
