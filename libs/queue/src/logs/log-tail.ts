import { randomUUID } from 'node:crypto';
import { setImmediate as nextTurn } from 'node:timers/promises';
import type { Redis } from 'ioredis';
import { asError, type Logger } from '#kernel';
import { disconnect } from '../connections/connections.js';
import type { QueueKeys } from '../connections/keys.js';
import { isAborted, pause } from '../connections/pause.js';
import type { StreamEntry } from './log-codec.js';

const BLOCK_MS = 1000;
/** Entries of one stream per read: what a follower holds in memory at most. */
const BATCH = 64;

interface Waiter {
  readonly key: string;
  readonly after: string;
  /** Whether the stream was there before: if so, its absence means that it is gone. */
  readonly seen: boolean;
  readonly settle: (entries: readonly StreamEntry[] | undefined) => void;
}

/**
 * Waits on many streams with one connection. Only followers that ask wait; a slow one is simply not waiting, hence costs no
 * memory. The blocking XREAD also reads a stream of this tail's own, where an entry says that the set of waiters has changed.
 */
export class LogTail {
  private readonly waiters = new Set<Waiter>();
  private readonly stop = new AbortController();
  private readonly wakeKey: string;
  private wakeId = '0-0';
  private connection: Redis | undefined;
  private running: Promise<void> | undefined;
  /** The waiters that the XREAD in flight was sent without must wake it. */
  private blocked = false;
  private waking = false;

  constructor(
    private readonly redis: Redis,
    private readonly blocking: () => Redis,
    keys: QueueKeys,
    private readonly logger: Logger,
  ) {
    this.wakeKey = keys.wake(randomUUID());
  }

  /** The next entries of the stream after `after`; undefined when the stream was seen and is gone, or on `signal`, or when the tail closes. */
  async next(key: string, after: string, seen: boolean, signal: AbortSignal): Promise<readonly StreamEntry[] | undefined> {
    if (signal.aborted || this.stop.signal.aborted) return undefined;
    const { promise, resolve } = Promise.withResolvers<readonly StreamEntry[] | undefined>();
    const waiter: Waiter = { key, after, seen, settle: resolve };
    const abort = () => { resolve(undefined); };
    signal.addEventListener('abort', abort, { once: true });
    this.waiters.add(waiter);
    this.running ??= this.run();
    if (this.blocked) this.wake();
    try {
      return await promise;
    } finally {
      this.waiters.delete(waiter);
      signal.removeEventListener('abort', abort);
    }
  }

  async close(): Promise<void> {
    this.stop.abort();
    for (const waiter of this.waiters) waiter.settle(undefined);
    if (this.connection !== undefined) disconnect(this.connection);
    await this.running;
  }

  /** One entry is enough for all that come before the read returns. */
  private wake(): void {
    if (this.waking) return;
    this.waking = true;
    this.redis
      .multi()
      .xadd(this.wakeKey, 'MAXLEN', 1, '*', 'w', '1')
      .expire(this.wakeKey, 60)
      .exec()
      .catch((error: unknown) => {
        // The read ends by itself within a second.
        this.logger.debug({ error: asError(error).message }, 'waking the log tail failed');
      });
  }

  private async run(): Promise<void> {
    const connection = (this.connection = this.blocking());
    let checkedAt = Date.now();
    while (!this.stop.signal.aborted) {
      try {
        // Those who were served just now ask again in this turn: they are then part of the next read and need not wake it.
        await nextTurn();
        await this.read(connection);
        if (Date.now() - checkedAt >= BLOCK_MS) {
          await this.dismissGone();
          checkedAt = Date.now();
        }
      } catch (error) {
        if (isAborted(this.stop.signal)) return;
        this.logger.warn({ error: asError(error).message }, 'reading run logs failed; trying again');
        await pause(100, this.stop.signal);
      } finally {
        this.blocked = false;
      }
    }
  }

  private async read(connection: Redis): Promise<void> {
    const waiters = [...this.waiters];
    // One id per stream: the lowest that any of its followers waits for.
    const from = new Map<string, string>([[this.wakeKey, this.wakeId]]);
    for (const { key, after } of waiters) {
      const other = from.get(key);
      if (other === undefined || compareIds(after, other) < 0) from.set(key, after);
    }
    this.waking = false;
    this.blocked = true;
    const reply = (await connection.xread('COUNT', BATCH, 'BLOCK', BLOCK_MS, 'STREAMS', ...from.keys(), ...from.values())) as [string, StreamEntry[]][] | null;
    this.blocked = false;
    for (const [key, entries] of reply ?? []) {
      if (key === this.wakeKey) {
        this.wakeId = entries.at(-1)?.[0] ?? this.wakeId;
        continue;
      }
      for (const waiter of waiters) {
        if (waiter.key !== key) continue;
        const news = entries.filter(([id]) => compareIds(id, waiter.after) > 0);
        if (news.length > 0) waiter.settle(news);
      }
    }
  }

  private async dismissGone(): Promise<void> {
    const seen = [...this.waiters].filter((waiter) => waiter.seen);
    if (seen.length === 0) return;
    const pipeline = this.redis.pipeline();
    for (const { key } of seen) pipeline.exists(key);
    const replies = await pipeline.exec();
    replies?.forEach(([error, exists], index) => {
      if (error === null && exists === 0) seen[index]?.settle(undefined);
    });
  }
}

/** Our ids are `<seq>-0`; the wake stream's are Redis' own. */
function compareIds(a: string, b: string): number {
  const [aMs = '0', aSeq = '0'] = a.split('-');
  const [bMs = '0', bSeq = '0'] = b.split('-');
  return Number(aMs) - Number(bMs) || Number(aSeq) - Number(bSeq);
}
