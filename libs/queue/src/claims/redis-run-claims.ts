import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { NodeId, RunId } from '#kernel';
import type { QueueKeys } from '../connections/keys.js';
import { defineScript, readNumber, readOptionalTexts, type Script, type ScriptCall } from '../connections/scripts.js';
import type { Claim, RunClaims } from '../queue.js';

/**
 * A claim is a hash: `n` node, `i` incarnation, `e` epoch, `p` phase (taken, started, finished, cancelled), `f` the phase it was finished
 * in, `t` the time it was taken at in milliseconds, `c` the call that made the last change. Commands in flight when Redis dies are sent again by the client: the call's
 * own random name tells a repetition (same answer) from a second caller (refused).
 */
const HEAD = `
local key = KEYS[1]
local function phase() return redis.call('HGET', key, 'p') end
local function claim()
  local c = redis.call('HMGET', key, 'n', 'i', 'e', 'p', 'f')
  if not c[1] then return false end
  return { c[1], c[2], c[3], c[5] or c[4] }
end
`;
const DAY = 86_400;
const HOUR = 3600;

/** KEYS claim; ARGV node, incarnation, call, prefix of the liveness keys. Returns the claim or nil. */
const TAKE: Script<string[] | undefined> = {
  name: 'sandbarTakeRun',
  keys: 1,
  lua: `${HEAD}
local node, incarnation, call = ARGV[1], ARGV[2], ARGV[3]
local p = phase()
if p and p ~= 'taken' then return false end
if p then
  local held = redis.call('HMGET', key, 'n', 'i', 'c')
  if held[3] == call then return claim() end
  local own = held[1] == node and held[2] == incarnation
  if not own and redis.call('GET', ARGV[4] .. held[1]) == held[2] then return false end
end
redis.call('HINCRBY', key, 'e', 1)
local clock = redis.call('TIME')
redis.call('HSET', key, 'n', node, 'i', incarnation, 'p', 'taken', 'c', call, 't', clock[1] * 1000 + math.floor(clock[2] / 1000))
redis.call('EXPIRE', key, ${DAY})
return claim()`,
  read: readOptionalTexts,
};

/** KEYS claim; ARGV epoch, call. Returns 1 for the one call that starts it. */
const START: Script<number> = {
  name: 'sandbarStartRun',
  keys: 1,
  lua: `${HEAD}
if redis.call('HGET', key, 'e') ~= ARGV[1] then return 0 end
local p = phase()
if p == 'started' and redis.call('HGET', key, 'c') == ARGV[2] then return 1 end
if p ~= 'taken' then return 0 end
redis.call('HSET', key, 'p', 'started', 'c', ARGV[2])
redis.call('EXPIRE', key, ${DAY})
return 1`,
  read: readNumber,
};

/** KEYS claim; ARGV epoch, node, incarnation. */
const ADOPT: Script<number> = {
  name: 'sandbarAdoptRun',
  keys: 1,
  lua: `${HEAD}
local c = redis.call('HMGET', key, 'e', 'n', 'p')
if c[1] ~= ARGV[1] or c[2] ~= ARGV[2] or c[3] ~= 'started' then return 0 end
redis.call('HSET', key, 'i', ARGV[3])
redis.call('EXPIRE', key, ${DAY})
return 1`,
  read: readNumber,
};

/** KEYS claim. Returns the claim as it was, or nil when nobody had it. */
const FINISH: Script<string[] | undefined> = {
  name: 'sandbarFinishRun',
  keys: 1,
  lua: `${HEAD}
local p = phase()
if p == 'taken' or p == 'started' then redis.call('HSET', key, 'f', p) end
if p ~= 'cancelled' then redis.call('HSET', key, 'p', 'finished') end
if p ~= 'finished' then redis.call('EXPIRE', key, ${HOUR}) end
return claim()`,
  read: readOptionalTexts,
};

/** KEYS claim; ARGV node, incarnation and epoch as they were seen ('' for none), liveness key of the node or ''. Returns 1 when it was finished. */
const FINISH_IF_UNCHANGED: Script<number> = {
  name: 'sandbarFinishUnchangedRun',
  keys: 1,
  lua: `${HEAD}
local c = redis.call('HMGET', key, 'n', 'i', 'e', 'p')
for i = 1, 3 do if (c[i] or '') ~= ARGV[i] then return 0 end end
if ARGV[4] ~= '' and redis.call('GET', ARGV[4]) == ARGV[2] then return 0 end
local p = c[4]
if p == 'taken' or p == 'started' then redis.call('HSET', key, 'f', p) end
if p ~= 'cancelled' then redis.call('HSET', key, 'p', 'finished') end
redis.call('EXPIRE', key, ${HOUR})
return 1`,
  read: readNumber,
};

/** KEYS claim. Returns 1 when nobody will ever start it, 0 when it is or was started. */
const CANCEL: Script<number> = {
  name: 'sandbarCancelRun',
  keys: 1,
  lua: `${HEAD}
local p = phase()
if p == 'started' then return 0 end
if p == 'finished' then return redis.call('HGET', key, 'f') == 'started' and 0 or 1 end
if p == 'taken' then redis.call('HSET', key, 'f', p) end
redis.call('HSET', key, 'p', 'cancelled')
redis.call('EXPIRE', key, ${DAY})
return 1`,
  read: readNumber,
};

/** Claims by a hash per run and Lua scripts. A node lives while its liveness key holds the incarnation of the claim. */
export class RedisRunClaims implements RunClaims {
  private readonly takeScript: ScriptCall<string[] | undefined>;
  private readonly startScript: ScriptCall<number>;
  private readonly adoptScript: ScriptCall<number>;
  private readonly finishScript: ScriptCall<string[] | undefined>;
  private readonly finishIfUnchangedScript: ScriptCall<number>;
  private readonly cancelScript: ScriptCall<number>;

  constructor(
    private readonly redis: Redis,
    private readonly keys: QueueKeys,
  ) {
    this.takeScript = defineScript(redis, TAKE);
    this.startScript = defineScript(redis, START);
    this.adoptScript = defineScript(redis, ADOPT);
    this.finishScript = defineScript(redis, FINISH);
    this.finishIfUnchangedScript = defineScript(redis, FINISH_IF_UNCHANGED);
    this.cancelScript = defineScript(redis, CANCEL);
  }

  async take(runId: RunId, by: { nodeId: NodeId; incarnation: string }): Promise<Claim | undefined> {
    return toClaim(await this.takeScript([this.keys.claim(runId)], [by.nodeId, by.incarnation, randomUUID(), this.keys.nodeAlive('')]));
  }

  async start(runId: RunId, epoch: number): Promise<boolean> {
    return (await this.startScript([this.keys.claim(runId)], [epoch, randomUUID()])) === 1;
  }

  async adopt(runId: RunId, epoch: number, by: { nodeId: NodeId; incarnation: string }): Promise<boolean> {
    return (await this.adoptScript([this.keys.claim(runId)], [epoch, by.nodeId, by.incarnation])) === 1;
  }

  async finish(runId: RunId): Promise<Claim | undefined> {
    return toClaim(await this.finishScript([this.keys.claim(runId)]));
  }

  async finishIfUnchanged(runId: RunId, seen: Claim | undefined, { nodeGone = false }: { readonly nodeGone?: boolean } = {}): Promise<boolean> {
    const was = seen === undefined ? ['', '', ''] : [seen.nodeId, seen.incarnation, seen.epoch];
    const alive = nodeGone && seen !== undefined ? this.keys.nodeAlive(seen.nodeId) : '';
    return (await this.finishIfUnchangedScript([this.keys.claim(runId)], [...was, alive])) === 1;
  }

  async cancelUnlessStarted(runId: RunId): Promise<boolean> {
    return (await this.cancelScript([this.keys.claim(runId)])) === 1;
  }

  /** The claim as it is, or as it was when the run was finished or cancelled. */
  async get(runId: RunId): Promise<Claim | undefined> {
    const [node, incarnation, epoch, phase, finishedIn] = await this.redis.hmget(this.keys.claim(runId), 'n', 'i', 'e', 'p', 'f');
    if (node == null || incarnation == null || epoch == null) return undefined;
    return toClaim([node, incarnation, epoch, finishedIn ?? phase ?? 'taken']);
  }

  async takenAt(runId: RunId): Promise<Date | undefined> {
    const time = await this.redis.hget(this.keys.claim(runId), 't');
    return time === null ? undefined : new Date(Number(time));
  }
}

function toClaim(reply: readonly string[] | undefined): Claim | undefined {
  const [nodeId, incarnation, epoch, phase] = reply ?? [];
  if (nodeId === undefined || incarnation === undefined) return undefined;
  return { nodeId: nodeId as NodeId, incarnation, epoch: Number(epoch), phase: phase === 'started' ? 'started' : 'taken' };
}
