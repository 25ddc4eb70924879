import type { Redis } from 'ioredis';

/** A Lua script, run by Redis in one atomic step. Arguments reach it as strings. */
export interface Script<Reply> {
  readonly name: string;
  readonly keys: number;
  readonly lua: string;
  /** Gives the raw reply its type; throws when it is not what the script promises. */
  readonly read: (reply: unknown) => Reply;
}

export type ScriptCall<Reply> = (keys: readonly string[], args?: readonly (string | number)[]) => Promise<Reply>;

/** Registers the script on the connection (EVALSHA, EVAL when Redis has forgotten it). */
export function defineScript<Reply>(redis: Redis, script: Script<Reply>): ScriptCall<Reply> {
  redis.defineCommand(script.name, { numberOfKeys: script.keys, lua: script.lua });
  const command = Reflect.get(redis, script.name) as (...args: (string | number)[]) => Promise<unknown>;
  return async (keys, args = []) => script.read(await command.call(redis, ...keys, ...args));
}

export function readText(reply: unknown): string {
  if (typeof reply !== 'string') throw new TypeError('the script answered no text');
  return reply;
}

export function readNumber(reply: unknown): number {
  if (typeof reply !== 'number') throw new TypeError('the script answered no number');
  return reply;
}

export function readTexts(reply: unknown): string[] {
  if (!Array.isArray(reply)) throw new TypeError('the script answered no list');
  return reply.map(readText);
}

export function readOptionalTexts(reply: unknown): string[] | undefined {
  return reply === null ? undefined : readTexts(reply);
}
