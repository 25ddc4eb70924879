import type { LogFrame } from '#contracts';
import { newId, silentLogger, systemClock } from '#kernel';
import type { RunLogStream } from '#queue';
import { NO_CHECKPOINT } from './run-checkpoint.js';
import { RunRecorder } from './run-recorder.js';

/** A log whose every write waits to be let through. */
class GatedLog {
  readonly batches: (readonly LogFrame[])[] = [];
  private open = Promise.withResolvers<undefined>();

  readonly stream = {
    append: async (_id: string, frames: readonly LogFrame[]) => {
      this.batches.push(frames);
      await this.open.promise;
    },
  } as unknown as RunLogStream;

  /** All that wait now and all that come. */
  release(): void {
    this.open.resolve(undefined);
  }
}

describe('RunRecorder', () => {
  function record(seq = 0) {
    const log = new GatedLog();
    const acknowledged: number[] = [];
    const recorder = new RunRecorder({ runId: newId('run'), logs: log.stream, clock: systemClock, logger: silentLogger, seq, signal: new AbortController().signal, acknowledge: (at) => acknowledged.push(at) });
    const say = (index: number): void => { recorder.output('run', index % 2 === 0 ? 'stdout' : 'stderr', Buffer.from(index % 2 === 0 ? 'o' : 'e'), { ...NO_CHECKPOINT, agentSeq: index + 1 }); };
    return { log, acknowledged, recorder, say };
  }
  const text = (frames: readonly LogFrame[], stream: string): string => frames.map((frame) => (frame.type === 'output' && frame.stream === stream ? frame.data : '')).join('');

  it.each([
    [0, 34],
    [20_000, 2],
  ])('after %i frames, makes at most %i of single bytes that take turns, loses none and numbers them', async (seq, most) => {
    const { log, acknowledged, recorder, say } = record(seq);
    say(0);
    for (let index = 1; index < 2000; index += 1) say(index);
    log.release();
    await recorder.settle();
    expect(log.batches).toHaveLength(2);
    expect(log.batches[1]!.length).toBeLessThanOrEqual(most);
    const frames = log.batches.flat();
    expect([text(frames, 'stdout'), text(frames, 'stderr')]).toEqual(['o'.repeat(1000), 'e'.repeat(1000)]);
    expect(frames.map((frame) => frame.seq)).toEqual(frames.map((_, index) => seq + index + 1));
    expect(acknowledged).toEqual([1, 2000]);
  });

  it('keeps the order of what takes turns now and then', async () => {
    const { log, recorder, say } = record();
    for (let index = 0; index < 10; index += 1) say(index);
    log.release();
    await recorder.settle();
    expect(log.batches.flat().map((frame) => (frame.type === 'output' ? frame.data : '')).join('')).toBe('oeoeoeoeoe');
  });

  it('has no room while much waits, counted in pieces too', async () => {
    const { log, recorder, say } = record();
    say(0);
    let free = 0;
    while (free < 100_000 && (await Promise.race([recorder.room().then(() => true), Promise.resolve().then(() => Promise.resolve()).then(() => Promise.resolve(false))]))) say((free += 2));
    expect(free).toBeLessThan(20_000);
    log.release();
    await recorder.room();
    await recorder.settle();
  });
});
