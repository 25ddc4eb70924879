import type { Redis } from 'ioredis';
import type { QueueKeys } from '../connections/keys.js';
import { defineScript, readNumber, type Script, type ScriptCall } from '../connections/scripts.js';

/** BullMQ's largest priority (2²¹); 1 is served first. */
const MAX_PRIORITY = 2_097_152;
/** Past this virtual time all times are moved back. What is left above holds the longest line any tenant can have. */
const HORIZON = 1_900_000;

export interface FairStart {
  /** The tenant's virtual start time: the job's priority. 0 when the job is there already. */
  readonly priority: number;
  /** Which count of virtual time it belongs to. */
  readonly generation: number;
}

/**
 * Start-time fair queueing (Goyal, Vin, Chen 1996). A job starts at max(clock, finish of its tenant's last job); the clock is the start
 * time of the job served last.
 *
 * KEYS clock, tenants, and BullMQ's prioritized, active and delayed; ARGV tenant, prefix of BullMQ's job keys, job id, horizon.
 * Returns priority and generation.
 *
 * Priorities are bounded, virtual time is not. Past the horizon the script subtracts the clock from every time there is: tenants, waiting
 * jobs (score = priority · 2³² + counter) and the priority fields of jobs that may be pushed back. Differences, hence order, stay as
 * they were. This happens once in about two million jobs and touches what waits at that moment.
 */
const NEXT_START: Script<FairStart> = {
  name: 'sandbarFairStart',
  keys: 5,
  lua: `
local clock, tenants, prioritized, active, delayed = unpack(KEYS)
local tenant, prefix, id, horizon = ARGV[1], ARGV[2], ARGV[3], tonumber(ARGV[4])
local BASE = 0x100000000
if redis.call('EXISTS', prefix .. id) == 1 then return { 0, 0 } end
local now = tonumber(redis.call('HGET', clock, 'now') or '1')
local function start() return math.max(now, tonumber(redis.call('HGET', tenants, tenant) or '1')) end

local function rebase(shift)
  local function moved(priority) return math.max(1, priority - shift) end
  local function moveField(job)
    local priority = tonumber(redis.call('HGET', prefix .. job, 'priority') or '0')
    if priority > 0 then redis.call('HSET', prefix .. job, 'priority', moved(priority)) end
  end
  local waiting = redis.call('ZRANGE', prioritized, 0, -1, 'WITHSCORES')
  for i = 1, #waiting, 2 do
    local score = tonumber(waiting[i + 1])
    redis.call('ZADD', prioritized, moved(math.floor(score / BASE)) * BASE + score % BASE, waiting[i])
    moveField(waiting[i])
  end
  for _, job in ipairs(redis.call('LRANGE', active, 0, -1)) do moveField(job) end
  for _, job in ipairs(redis.call('ZRANGE', delayed, 0, -1)) do moveField(job) end
  local finishes = redis.call('HGETALL', tenants)
  for i = 1, #finishes, 2 do
    local finish = tonumber(finishes[i + 1]) - shift
    if finish <= 1 then redis.call('HDEL', tenants, finishes[i]) else redis.call('HSET', tenants, finishes[i], finish) end
  end
  now = 1
  redis.call('HSET', clock, 'now', now, 'shift', shift)
  redis.call('HINCRBY', clock, 'generation', 1)
end

if start() > horizon and now > 1 then rebase(now - 1) end
local at = math.min(start(), ${MAX_PRIORITY})
redis.call('HSET', tenants, tenant, at + 1)
return { at, tonumber(redis.call('HGET', clock, 'generation') or '0') }`,
  read: (reply) => {
    const [priority, generation] = reply as unknown[];
    return { priority: readNumber(priority), generation: readNumber(generation) };
  },
};

/** KEYS clock, the job's hash. The job is served: the clock moves to its start time, as the hash has it (a rebase keeps it current). */
const ADVANCE: Script<number> = {
  name: 'sandbarFairAdvance',
  keys: 2,
  lua: `
local at = tonumber(redis.call('HGET', KEYS[2], 'priority') or '0')
if at > tonumber(redis.call('HGET', KEYS[1], 'now') or '1') then redis.call('HSET', KEYS[1], 'now', at) end
return at`,
  read: readNumber,
};

/** Virtual time of one BullMQ queue. `horizon` is for tests. */
export class FairClock {
  private readonly nextStartScript: ScriptCall<FairStart>;
  private readonly advanceScript: ScriptCall<number>;
  private readonly jobs: string;

  constructor(
    private readonly redis: Redis,
    private readonly keys: QueueKeys,
    private readonly queue: string,
    private readonly horizon: number = HORIZON,
  ) {
    this.jobs = `${keys.bull}:${queue}:`;
    this.nextStartScript = defineScript(redis, NEXT_START);
    this.advanceScript = defineScript(redis, ADVANCE);
  }

  nextStart(tenant: string, jobId: string): Promise<FairStart> {
    const keys = [this.keys.fairClock(this.queue), this.keys.fairTenants(this.queue), `${this.jobs}prioritized`, `${this.jobs}active`, `${this.jobs}delayed`];
    return this.nextStartScript(keys, [tenant, this.jobs, jobId, this.horizon]);
  }

  /** The priority that `start` has by now: a rebase may have come between asking for it and adding the job. */
  async current(start: FairStart): Promise<number> {
    const [generation, shift] = await this.redis.hmget(this.keys.fairClock(this.queue), 'generation', 'shift');
    return Number(generation ?? 0) === start.generation ? start.priority : Math.max(1, start.priority - Number(shift ?? 0));
  }

  async advance(jobId: string): Promise<void> {
    await this.advanceScript([this.keys.fairClock(this.queue), this.jobs + jobId]);
  }

  jobKey(jobId: string): string {
    return this.jobs + jobId;
  }
}
