import type { Redis } from 'ioredis';
import { nodeEventSchema, type NodeEvent } from '#contracts';
import { asError, type Logger } from '#kernel';
import { disconnect } from '../connections/connections.js';
import type { QueueKeys } from '../connections/keys.js';
import type { NodeEvents } from '../queue.js';
import { isAborted, pause } from '../connections/pause.js';

const GROUP = 'control';
const BATCH = 100;
const BLOCK_MS = 1000;
const CLAIM_IDLE_MS = 5000;
const CLAIM_EVERY_MS = 1000;
/** Entries beyond about this many are dropped, oldest first: nobody has listened for long, and the reconciler finds out from the rows. */
const MAX_ENTRIES = 100_000;
const TRIES = 5;
const DEAD_CONSUMER_MS = 3_600_000;

interface Entry {
  readonly id: string;
  readonly event: NodeEvent;
}
type RawEntry = [id: string, fields: string[] | null];

/**
 * A Redis stream and the consumer group `control`. Events of one run, operation or build are handled in order, except that one whose events make the
 * handler throw five times is set aside (it stays pending and comes again after 5 s), so that it does not hold up the others.
 * `blocking` makes the connection that a consumer waits on.
 */
export class RedisNodeEvents implements NodeEvents {
  constructor(
    private readonly redis: Redis,
    private readonly blocking: () => Redis,
    private readonly keys: QueueKeys,
    private readonly logger: Logger,
  ) {}

  async publish(event: NodeEvent): Promise<void> {
    await this.redis.xadd(this.keys.events, 'MAXLEN', '~', MAX_ENTRIES, '*', 'e', JSON.stringify(event));
  }

  async consume(consumer: string, handle: (batch: readonly NodeEvent[]) => Promise<void>, signal: AbortSignal): Promise<void> {
    const connection = this.blocking();
    const stop = () => { disconnect(connection); };
    signal.addEventListener('abort', stop, { once: true });
    let grouped = false;
    let claimAt = 0;
    let cursor = '0-0';
    try {
      while (!signal.aborted) {
        try {
          if (!grouped) await this.ensureGroup();
          grouped = true;
          if (Date.now() >= claimAt) {
            const claimed = await this.claim(consumer, cursor);
            cursor = claimed.next;
            // More is waiting to be claimed: go on at once.
            if (cursor === '0-0') claimAt = Date.now() + CLAIM_EVERY_MS;
            await this.process(claimed.entries, handle, signal);
          }
          const entries = await this.read(connection, consumer);
          await this.process(entries, handle, signal);
        } catch (error) {
          if (isAborted(signal)) break;
          // NOGROUP: Redis came back without its data.
          grouped = false;
          this.logger.warn({ error: asError(error).message }, 'reading node events failed; trying again');
          await pause(200, signal);
        }
      }
    } finally {
      signal.removeEventListener('abort', stop);
      disconnect(connection);
    }
  }

  private async ensureGroup(): Promise<void> {
    try {
      await this.redis.xgroup('CREATE', this.keys.events, GROUP, '0', 'MKSTREAM');
    } catch (error) {
      if (!asError(error).message.startsWith('BUSYGROUP')) throw error;
    }
    await this.removeDeadConsumers();
  }

  /** Each start of a gateway may bring a new consumer name; those that hold nothing and were silent for an hour go. */
  private async removeDeadConsumers(): Promise<void> {
    for (const consumer of (await this.redis.xinfo('CONSUMERS', this.keys.events, GROUP)) as unknown[][]) {
      const field = (name: string) => consumer[consumer.indexOf(name) + 1];
      if (Number(field('pending')) === 0 && Number(field('idle')) > DEAD_CONSUMER_MS) {
        await this.redis.xgroup('DELCONSUMER', this.keys.events, GROUP, String(field('name')));
      }
    }
  }

  private async claim(consumer: string, cursor: string): Promise<{ next: string; entries: Entry[] }> {
    const [next, raw] = (await this.redis.xautoclaim(this.keys.events, GROUP, consumer, CLAIM_IDLE_MS, cursor, 'COUNT', BATCH)) as [string, (RawEntry | null)[]];
    return { next, entries: await this.parse(raw) };
  }

  private async read(connection: Redis, consumer: string): Promise<Entry[]> {
    const reply = (await connection.xreadgroup('GROUP', GROUP, consumer, 'COUNT', BATCH, 'BLOCK', BLOCK_MS, 'STREAMS', this.keys.events, '>')) as [string, RawEntry[]][] | null;
    return this.parse(reply?.[0]?.[1] ?? []);
  }

  private async parse(raw: readonly (RawEntry | null)[]): Promise<Entry[]> {
    const entries: Entry[] = [];
    const dropped: string[] = [];
    for (const entry of raw) {
      if (entry === null) continue;
      const [id, fields] = entry;
      const event = parseEvent(fields);
      if (event === undefined) dropped.push(id);
      else entries.push({ id, event });
    }
    if (dropped.length > 0) {
      this.logger.error({ entries: dropped.slice(0, 10), count: dropped.length }, 'malformed node events are dropped');
      await this.acknowledge(dropped);
    }
    return entries;
  }

  private async process(entries: readonly Entry[], handle: (batch: readonly NodeEvent[]) => Promise<void>, signal: AbortSignal): Promise<void> {
    let left: readonly Entry[] = entries;
    for (let tries = 1; left.length > 0 && !signal.aborted; tries += 1) {
      const failed: Entry[] = [];
      // First all together; once that has failed, run by run, so that one bad event costs only its own.
      for (const group of tries === 1 ? [left] : groupBySubject(left)) {
        try {
          await handle(group.map((entry) => entry.event));
        } catch (error) {
          failed.push(...group);
          this.logger.warn({ error: asError(error).message, events: group.length, tries }, 'handling node events failed');
          continue;
        }
        await this.acknowledge(group.map((entry) => entry.id));
      }
      left = failed;
      if (left.length === 0) return;
      if (tries === TRIES) {
        this.logger.error({ events: left.length }, 'node events are set aside; they come again');
        return;
      }
      await pause(50 * 2 ** tries, signal);
    }
  }

  private async acknowledge(ids: readonly string[]): Promise<void> {
    await this.redis.multi().xack(this.keys.events, GROUP, ...ids).xdel(this.keys.events, ...ids).exec();
  }
}

function parseEvent(fields: string[] | null): NodeEvent | undefined {
  const text = fields?.[0] === 'e' ? fields[1] : undefined;
  if (text === undefined) return undefined;
  try {
    return nodeEventSchema.safeParse(JSON.parse(text)).data;
  } catch {
    return undefined;
  }
}

function subjectOf(event: NodeEvent): string {
  if ('runId' in event) return event.runId;
  return 'buildId' in event ? event.buildId : event.operationId;
}

function groupBySubject(entries: readonly Entry[]): Entry[][] {
  return [...Map.groupBy(entries, ({ event }) => subjectOf(event)).values()];
}
