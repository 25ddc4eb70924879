import { PassThrough, Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { GatheredBody } from './gathered-body.js';

const STALL_MS = 60_000;

async function piecesOf(body: Readable): Promise<Buffer[]> {
  const pieces: Buffer[] = [];
  for await (const piece of body) pieces.push(Buffer.from(piece as Buffer));
  return pieces;
}

describe('the body of a request', () => {
  it('keeps every byte in order, few pieces for many chunks, none held up behind a large one', async () => {
    const chunks = Array.from({ length: 5000 }, (_, index) => Buffer.alloc([512, 10_000, 240, 1, 40_000][index % 5] ?? 0, index));
    const pieces = await piecesOf(new GatheredBody(Readable.from(chunks, { objectMode: false }), STALL_MS));
    expect(Buffer.concat(pieces).equals(Buffer.concat(chunks))).toBe(true);
    expect(pieces.length).toBeLessThan(chunks.length / 2);
    expect(await piecesOf(new GatheredBody(Readable.from([]), STALL_MS))).toEqual([]);
  });

  it('hands on what has come while nothing more does', async () => {
    const source = new PassThrough();
    const body = new GatheredBody(source, STALL_MS);
    const first = new Promise<Buffer>((resolve) => body.once('data', resolve));
    source.write('a');
    source.write('b');
    expect((await first).toString()).toBe('ab');
    body.destroy();
  });

  it('takes no more than its reader does', async () => {
    let given = 0;
    const source = Readable.from((function* () { for (; given < 100_000_000; given += 1000) yield Buffer.alloc(1000); })(), { objectMode: false, highWaterMark: 65_536 });
    const body = new GatheredBody(source, STALL_MS);
    await new Promise((resolve) => body.once('readable', resolve));
    await sleep(20);
    expect(given).toBeLessThan(500_000);
    body.destroy();
  });

  it('ends when nothing comes though it is waited for, and waits for a reader that takes his time', async () => {
    const source = new PassThrough();
    const body = new GatheredBody(source, 50);
    source.write(Buffer.alloc(300_000));
    await new Promise((resolve) => body.once('readable', resolve));
    await sleep(150);
    expect(body.destroyed).toBe(false);
    await expect(piecesOf(body)).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect(source.destroyed).toBe(true);
  });

  it('fails with its source, and with one that goes away', async () => {
    const failing = new PassThrough();
    const read = piecesOf(new GatheredBody(failing, STALL_MS));
    failing.write('a');
    failing.destroy(new Error('cut'));
    await expect(read).rejects.toThrow('cut');
    const leaving = new PassThrough();
    const left = piecesOf(new GatheredBody(leaving, STALL_MS));
    leaving.write('a');
    leaving.destroy();
    await expect(left).rejects.toMatchObject({ code: 'cancelled' });
    await expect(piecesOf(new GatheredBody(leaving, STALL_MS))).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('is left without harm to the request', async () => {
    const source = new PassThrough();
    const body = new GatheredBody(source, STALL_MS);
    const first = new Promise((resolve) => body.once('data', resolve));
    source.write('a');
    await first;
    body.destroy();
    await sleep(5);
    expect(source.destroyed).toBe(false);
    expect(source.isPaused()).toBe(true);
    source.write('more');
    source.destroy(new Error('nobody minds'));
    await sleep(5);
  });
});
