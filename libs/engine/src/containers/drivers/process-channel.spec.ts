import { jest } from '@jest/globals';
import { mkdtemp, readdir, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import { silentLogger } from '#kernel';
import type { AgentEvent } from '../../runtime/index.js';
import type { ChannelReader, ReaderOptions } from './channel-reader.js';
import { ContainerLog, DEFAULT_LOG_SHAPE, type LogShape } from './container-log.js';
import { ProcessChannel } from './process-channel.js';
import type { EventSource } from './process-sink.js';

const KIB = 1024;
const LIVE: ReaderOptions = { start: 1, kept: false, after: 0, follow: true, output: true };
const output = (seq: number, data: Buffer | string): AgentEvent => ({ seq, timeUs: seq, type: 'output', processId: 1, stream: 'stdout', data: Buffer.from(data) });
const exit = (seq: number): AgentEvent => ({ seq, timeUs: seq, type: 'exit', processId: 1, exit: { exitCode: 0, signal: null, userTimeUs: 0, systemTimeUs: 0, maxRssBytes: 0 } });

/** The first four bytes tell which piece it is. */
function piece(seq: number, bytes: number): AgentEvent {
  const data = Buffer.alloc(bytes, 'x');
  data.writeUInt32LE(seq, 0);
  return output(seq, data);
}

async function textOf(reader: ChannelReader): Promise<string> {
  const pieces: Buffer[] = [];
  for await (const { payload } of reader.pieces()) pieces.push(payload);
  return Buffer.concat(pieces).toString();
}

describe('the channel of a process', () => {
  let folder: string;
  let channel: ProcessChannel;
  let held: boolean[];
  const opened: ProcessChannel[] = [];
  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'channel-'));
    held = [];
    channel = await open();
  });
  afterEach(async () => {
    for (const each of opened.splice(0)) {
      await each.close();
      await each.log.close();
    }
    await rm(folder, { recursive: true, force: true });
  });

  const source: EventSource = { written: () => undefined, hold: (value) => held.push(value), alive: () => true };

  async function open({ keepsOutput = true, patienceMs = 60_000, ...shape }: Partial<LogShape> & { keepsOutput?: boolean; patienceMs?: number } = {}): Promise<ProcessChannel> {
    const made = new ProcessChannel(await ContainerLog.open(join(folder, 'log'), { ...DEFAULT_LOG_SHAPE, ...shape }), { logger: silentLogger, keepsOutput, patienceMs });
    made.connect(source);
    opened.push(made);
    return made;
  }

  it('hands out what comes, to all, and the end', async () => {
    const readers = [channel.read(LIVE), channel.read(LIVE), channel.read({ ...LIVE, output: false })];
    const texts = readers.slice(0, 2).map(textOf);
    channel.take(output(1, 'a'), 1);
    await new Promise(setImmediate);
    channel.take(output(2, 'b'), 1);
    channel.take(exit(3), 1);
    expect(await Promise.all(texts)).toEqual(['ab', 'ab']);
    for (const reader of readers) expect(await reader.ended).toMatchObject({ type: 'exited', value: 0 });
  });

  it('hands out what was before, behind a number, or only what there is', async () => {
    for (const [index, text] of ['a', 'b', 'c'].entries()) channel.take(output(index + 1, text), 1);
    await channel.settled();
    expect(await textOf(channel.read({ ...LIVE, kept: true, follow: false }))).toBe('abc');
    expect(await textOf(channel.read({ ...LIVE, after: 2, follow: false }))).toBe('c');
    expect(await textOf(channel.read({ ...LIVE, follow: false }))).toBe('');
    const late = textOf(channel.read({ ...LIVE, after: 1 }));
    channel.take(output(4, 'd'), 1);
    channel.take(exit(5), 1);
    expect(await late).toBe('bcd');
    expect(await textOf(channel.read({ ...LIVE, kept: true }))).toBe('abcd');
    const [atEnd, behind] = [channel.read(LIVE), channel.read({ ...LIVE, output: false })];
    expect(await textOf(atEnd)).toBe('');
    for (const reader of [atEnd, behind]) expect(await reader.ended).toMatchObject({ type: 'exited' });
  });

  it('goes on over a new start, whose end is not the end before', async () => {
    channel.take(output(1, 'first'), 1);
    channel.take(exit(2), 1);
    const next = textOf(channel.read({ ...LIVE, start: 2, kept: true }));
    channel.take(output(1, ' second'), 2);
    channel.take(exit(2), 2);
    expect(await next).toBe('first second');
    expect(channel.endOf(1)).toBeUndefined();
    expect(channel.endOf(2)).toMatchObject({ number: 2 });
  });

  it('passes over what the agent sends again, in this life and in the next', async () => {
    for (const event of [output(1, 'a'), output(2, 'b'), output(1, 'a'), output(2, 'b')]) channel.take(event, 1);
    await channel.settled();
    const next = await open();
    for (const event of [output(2, 'b'), output(3, 'c'), exit(4)]) next.take(event, 1);
    expect(await textOf(next.read({ ...LIVE, kept: true }))).toBe('abc');
  });

  it('ends what has ended without a word, once', async () => {
    const reader = channel.read(LIVE);
    channel.take(output(1, 'a'), 1);
    for (let again = 0; again < 2; again += 1) channel.conclude(1, { type: 'signalled', value: 9, timeUs: 5 });
    expect(await textOf(reader)).toBe('a');
    expect(await reader.ended).toMatchObject({ type: 'signalled', value: 9 });
    channel.take(output(2, 'late'), 1);
    await channel.settled();
    expect(channel.log.last).toMatchObject({ type: 'signalled', seq: 1 });
  });

  it('takes nothing of what a hostile agent says behind the end', async () => {
    channel.take(output(1, 'a'), 1);
    channel.take(exit(2), 1);
    for (const event of [output(3, 'b'), exit(4), { seq: 5, timeUs: 5, type: 'started', processId: 1, pid: 7 } as const]) channel.take(event, 1);
    await channel.settled();
    expect(channel.endOf(1)).toMatchObject({ seq: 2 });
    const next = await open();
    next.take(output(6, 'c'), 1);
    expect(next.endOf(1)).toMatchObject({ seq: 2 });
    expect(await textOf(next.read({ ...LIVE, kept: true }))).toBe('a');
  });

  it('holds the process back for one who lags, and lets it go on', async () => {
    const [slow, quick] = [channel.read(LIVE), channel.read(LIVE)];
    const taking = (async () => {
      let count = 0;
      for await (const frame of quick.pieces()) count += frame.payload.length;
      return count;
    })();
    const pieces = slow.pieces();
    let seq = 0;
    while (held.length === 0) {
      channel.take(piece((seq += 1), 32 * KIB), 1);
      await new Promise(setImmediate);
    }
    expect(held).toEqual([true]);
    expect(seq * 32).toBeLessThan(4 * KIB);
    channel.connect(source);
    expect(held).toEqual([true, true]);
    // What had been read already still comes.
    for (let more = 0; more < 100; more += 1) channel.take(piece((seq += 1), 32 * KIB), 1);
    for (let wanted = 1; wanted <= seq; wanted += 1) {
      const { value } = await pieces.next();
      expect(value!.payload.readUInt32LE(0)).toBe(wanted);
    }
    expect(held).toEqual([true, true, false]);
    channel.take(exit(seq + 1), 1);
    expect((await pieces.next()).done).toBe(true);
    expect(await taking).toBe(seq * 32 * KIB);
  });

  it('cuts off one who takes nothing, and the others go on', async () => {
    channel = await open({ patienceMs: 100 });
    const [deaf, quick] = [channel.read(LIVE), channel.read(LIVE)];
    const taking = textOf(quick);
    for (let seq = 1; seq <= 100; seq += 1) channel.take(piece(seq, 32 * KIB), 1);
    while (held.length < 2) await sleep(10);
    expect(held).toEqual([true, false]);
    await expect(textOf(deaf)).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect(await deaf.ended).toBeUndefined();
    channel.take(exit(101), 1);
    expect((await taking).length).toBe(100 * 32 * KIB);
  });

  it('keeps files for one who still needs them, and no longer', async () => {
    channel = await open({ segmentBytes: 64 * KIB, segments: 1 });
    const slow = channel.read(LIVE);
    for (let seq = 1; seq <= 200; seq += 1) channel.take(piece(seq, 30 * KIB), 1);
    await channel.settled();
    expect((await readdir(join(folder, 'log'))).length).toBeGreaterThan(40);
    const pieces = slow.pieces();
    for (let wanted = 1; wanted <= 200; wanted += 1) expect((await pieces.next()).value!.payload.readUInt32LE(0)).toBe(wanted);
    slow.close();
    channel.take(piece(201, 30 * KIB), 1);
    channel.take(piece(202, 30 * KIB), 1);
    channel.take(piece(203, 30 * KIB), 1);
    await channel.settled();
    expect(await readdir(join(folder, 'log'))).toHaveLength(1);
  });

  it('writes what is not to be kept only for one who looks on, and the end always', async () => {
    channel = await open({ keepsOutput: false });
    channel.take(piece(1, 30 * KIB), 1);
    await channel.settled();
    const reader = channel.read(LIVE);
    for (let seq = 2; seq <= 100; seq += 1) channel.take(piece(seq, 30 * KIB), 1);
    await channel.settled();
    const pieces = reader.pieces();
    for (let wanted = 2; wanted <= 100; wanted += 1) expect((await pieces.next()).value!.payload.readUInt32LE(0)).toBe(wanted);
    reader.close();
    channel.take(piece(101, 30 * KIB), 1);
    channel.take(exit(102), 1);
    await channel.settled();
    expect(channel.log.last).toMatchObject({ type: 'exited', seq: 102, number: 101 });
    expect(channel.oldestPending).toBeUndefined();
  });

  it('waits while the log cannot be written, and gives up with the connection', async () => {
    const append = jest.spyOn(channel.log, 'append').mockRejectedValue(new Error('ENOSPC'));
    channel.take(output(7, 'a'), 1);
    await sleep(20);
    expect(channel.oldestPending).toBe(7);
    channel.connect({ ...source, alive: () => false });
    await channel.settled();
    expect(channel.oldestPending).toBe(7);
    append.mockRestore();
    channel.connect(source);
    await channel.settled();
    expect(channel.oldestPending).toBeUndefined();
  });

  it('goes on in memory exactly behind what was read from the files, in the middle of a write too', async () => {
    for (const seq of [1, 2, 3]) channel.take(output(seq, String(seq)), 1);
    await channel.settled();
    const { log } = channel;
    const append = log.append.bind(log);
    const [written, told] = [Promise.withResolvers<undefined>(), Promise.withResolvers<undefined>()];
    // The bytes are in the file; the channel does not know it yet.
    jest.spyOn(log, 'append').mockImplementationOnce(async (frames) => {
      const places = await append(frames);
      written.resolve(undefined);
      await told.promise;
      return places;
    });
    const reader = channel.read({ ...LIVE, kept: true });
    channel.take(output(4, '4'), 1);
    await written.promise;
    const text = textOf(reader);
    await sleep(50);
    told.resolve(undefined);
    channel.take(output(5, '5'), 1);
    channel.take(exit(6), 1);
    expect(await text).toBe('12345');
  });

  it('gives each reader everything once and in order, whatever its pace, where it began and how the log turns', async () => {
    const pace = fc.record({ begin: fc.nat(60), kept: fc.boolean(), stops: fc.array(fc.nat(80), { maxLength: 4 }) });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.integer({ min: 4, max: 60 * KIB }), { minLength: 1, maxLength: 80 }), fc.array(pace, { maxLength: 4 }), async (sizes, paces) => {
        await rm(join(folder, 'log'), { recursive: true, force: true });
        const made = await open({ segmentBytes: 100 * KIB, segments: 64 });
        const readings: Promise<void>[] = [];
        const read = async ({ kept, stops }: (typeof paces)[number], next: number): Promise<void> => {
          let wanted = kept ? 1 : next;
          for await (const { payload, head } of made.read({ ...LIVE, kept }).pieces()) {
            expect([payload.readUInt32LE(0), payload.length, head.number]).toEqual([wanted, sizes[wanted - 1], wanted]);
            wanted += 1;
            if (stops.includes(wanted)) await sleep(3);
          }
          expect(wanted).toBe(sizes.length + 1);
        };
        for (const [index, size] of sizes.entries()) {
          for (const each of paces) if (Math.min(each.begin, sizes.length - 1) === index) readings.push(read(each, index + 1));
          made.take(piece(index + 1, size), 1);
          if (size % 3 === 0) await new Promise(setImmediate);
        }
        made.take(exit(sizes.length + 1), 1);
        await Promise.all(readings);
        await made.close();
      }),
      { numRuns: 60 },
    );
  }, 60_000);
});
