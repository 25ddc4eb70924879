import { appendFile, mkdtemp, readdir, rm, stat, truncate } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import fc from 'fast-check';
import type { LogChunk, LogOptions } from '../containers.js';
import { ContainerLog, DEFAULT_LOG_SHAPE } from './container-log.js';
import { encodeLogHead, type FrameHead } from './log-frames.js';
import { readLog } from './log-reader.js';

const ALL: LogOptions = { stdout: true, stderr: true, follow: false };

describe('the log of a container', () => {
  let folder: string;
  let seq: number;
  let logs: ContainerLog[];
  beforeEach(async () => {
    folder = join(await mkdtemp(join(tmpdir(), 'container-log-')), 'log');
    seq = 0;
    logs = [];
  });
  afterEach(async () => {
    for (const log of logs) await log.close();
    await rm(join(folder, '..'), { recursive: true, force: true });
  });

  async function open(segmentBytes = DEFAULT_LOG_SHAPE.segmentBytes): Promise<ContainerLog> {
    const log = await ContainerLog.open(folder, { segmentBytes, segments: 2 });
    logs.push(log);
    return log;
  }

  async function write(log: ContainerLog, text: string, { type = 'stdout', timeMs = 1000 * (seq + 1), value = 0 }: { type?: FrameHead['type']; timeMs?: number; value?: number } = {}): Promise<void> {
    seq += 1;
    const payload = Buffer.from(text);
    const head = { type, start: 1, value, timeUs: timeMs * 1000, seq, length: payload.length, number: seq };
    await log.append([{ head, payload }]);
  }

  async function read(log: ContainerLog, options: Partial<LogOptions> = {}, signal = new AbortController().signal): Promise<LogChunk[]> {
    const chunks: LogChunk[] = [];
    for await (const chunk of readLog({ log, options: { ...ALL, ...options }, running: () => false, signal, now: () => 0 })) chunks.push(chunk);
    return chunks;
  }

  function textOf(chunks: readonly LogChunk[]): string {
    return Buffer.concat(chunks.map(({ bytes }) => bytes)).toString();
  }

  it('gives whole lines, each with its stream and time', async () => {
    const log = await open();
    await write(log, 'one\ntw');
    await write(log, 'oops\n', { type: 'stderr' });
    await write(log, 'o\nrest');
    await write(log, '', { type: 'exited' });
    expect((await read(log)).map(({ stream, timeMs, bytes }) => [stream, timeMs, bytes.toString()])).toEqual([
      ['stdout', 1000, 'one\n'],
      ['stderr', 2000, 'oops\n'],
      ['stdout', 3000, 'two\n'],
      ['stdout', 3000, 'rest'],
    ]);
    expect(textOf(await read(log, { stdout: false }))).toBe('oops\n');
    expect(textOf(await read(log, { tail: 2 }))).toBe('two\nrest');
    expect(textOf(await read(log, { tail: 0 }))).toBe('');
    expect(textOf(await read(log, { sinceMs: 2000, untilMs: 2999 }))).toBe('oops\n');
  });

  it('knows after a crash where it was, without what was torn', async () => {
    const log = await open();
    await write(log, 'first\n');
    await write(log, 'second\n');
    const file = join(folder, '00000001');
    const whole = (await stat(file)).size;
    await appendFile(file, Buffer.concat([encodeLogHead({ type: 'stdout', start: 1, value: 0, timeUs: 0, seq: 3, length: 4, number: 3 }), Buffer.from('to')]));
    const reopened = await open();
    expect(reopened.last).toMatchObject({ seq: 2, start: 1 });
    expect(textOf(await read(reopened))).toBe('first\nsecond\n');
    await write(reopened, 'third\n');
    expect(textOf(await read(await open()))).toBe('first\nsecond\nthird\n');
    await truncate(file, whole - 1);
    expect((await open()).last).toMatchObject({ seq: 1 });
  });

  it('keeps the newest two halves, and a reader that was slow goes on', async () => {
    const log = await open(1000);
    for (let line = 0; line < 100; line += 1) await write(log, `${String(line).padStart(67, '.')}\n`);
    expect(await readdir(folder)).toHaveLength(2);
    const text = textOf(await read(log));
    expect(text.length).toBeGreaterThan(600);
    expect(text.length).toBeLessThan(2000);
    expect(text).toMatch(/\.99\n$/);
    expect((await open(1000)).last).toMatchObject({ seq: 100 });
  });

  it('is followed until the container ends', async () => {
    const log = await open(2000);
    await write(log, 'before\n');
    let running = true;
    const seen: string[] = [];
    const reading = (async () => {
      for await (const chunk of readLog({ log, options: { ...ALL, tail: 0, follow: true }, running: () => running, signal: new AbortController().signal, now: () => 0 })) seen.push(chunk.bytes.toString());
    })();
    for (let line = 0; line < 50; line += 1) {
      await write(log, `line ${line}\n`);
      if (line % 7 === 0) await new Promise((resolve) => setTimeout(resolve, 2));
    }
    await write(log, 'partial');
    running = false;
    log.nudge();
    await reading;
    expect(seen.join('')).toMatch(/line 49\npartial$/);
    expect(seen.join('').match(/line \d+\n/g)!.length).toBe(new Set(seen.join('').match(/line \d+\n/g)).size);
  });

  it('keeps for one who follows slowly what it has not read yet, within bounds', async () => {
    const log = await open(1000);
    await write(log, 'before\n');
    let running = true;
    const reader = readLog({ log, options: { ...ALL, follow: true }, running: () => running, signal: new AbortController().signal, now: () => 0 });
    expect((await reader.next()).value).toMatchObject({ bytes: Buffer.from('before\n') });
    for (let line = 0; line < 200; line += 1) await write(log, `${String(line).padStart(67, '.')}\n`);
    running = false;
    const seen: string[] = [];
    for await (const { bytes } of reader) seen.push(bytes.toString());
    expect(seen.map((line) => Number(line.replaceAll('.', '')))).toEqual(Array.from({ length: 200 }, (_, line) => line));
    await write(log, 'turn\n'.repeat(190));
    await write(log, 'turn\n'.repeat(190));
    expect(await readdir(folder)).toHaveLength(2);
  });

  it('stops following when it is told to', async () => {
    const log = await open();
    const quit = new AbortController();
    const reading = (async () => {
      for await (const chunk of readLog({ log, options: { ...ALL, follow: true }, running: () => true, signal: quit.signal, now: () => 0 })) expect(chunk).toBeUndefined();
    })();
    quit.abort();
    await reading;
  });

  it('gives back every byte, and any tail, whatever the pieces', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.stringMatching(/^[ab\n]{0,12}$/), { maxLength: 30 }), fc.nat(12), async (pieces, tail) => {
        await rm(folder, { recursive: true, force: true });
        const log = await ContainerLog.open(folder);
        for (const piece of pieces) if (piece !== '') await write(log, piece);
        const text = pieces.join('');
        expect(textOf(await read(log))).toBe(text);
        const lines = text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
        expect(textOf(await read(log, { tail }))).toBe(tail === 0 ? '' : lines.slice(-tail).join(''));
        await log.close();
      }),
      { numRuns: 60 },
    );
  });
});
