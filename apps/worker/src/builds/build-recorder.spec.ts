import fc from 'fast-check';
import { buildFrameSchema, parseBuildCheckpoint, type BuildCheckpoint, type BuildFrame } from '#contracts';
import type { BuildEvent } from '#engine';
import { newId } from '#kernel';
import { BuildRecorder } from './build-recorder.js';

/** What Redis holds: frames and checkpoint change in one step, and may be cut off after any. */
class MemoryLog {
  frames: BuildFrame[] = [];
  checkpoint: string | undefined;
  dead = false;

  append = (_id: string, frames: readonly BuildFrame[], checkpoint = ''): Promise<void> => {
    if (this.dead) return Promise.reject(new Error('killed'));
    this.frames.push(...frames);
    this.checkpoint = checkpoint;
    return Promise.resolve();
  };

  get last(): { seq: number; checkpoint: string | undefined } {
    return { seq: this.frames.at(-1)?.seq ?? 0, checkpoint: this.checkpoint };
  }

  get kept(): BuildCheckpoint {
    const kept = parseBuildCheckpoint(this.checkpoint ?? '');
    if (kept === undefined) throw new Error('no checkpoint was written');
    return kept;
  }
}

const clock = { now: () => 1_700_000_000_000, monotonicMs: () => 0 };
const recorder = (log: MemoryLog, earlier?: MemoryLog['last']): BuildRecorder => new BuildRecorder({ logs: log, id: newId('build'), clock }, earlier);
const step = (number: number, text = `RUN ${number}`): BuildEvent => ({ kind: 'step', step: number, total: 9, stage: 0, stageName: null, text });
const said = (number: number, text: string): BuildEvent => ({ kind: 'log', step: number, stream: 'stdout', text });
const done = (number: number): BuildEvent => ({ kind: 'done', step: number, imageId: null, durationMs: 5 });
const FAILED = { state: 'failed', imageId: null, digest: null, error: { code: 'invalid_argument', message: 'no' } } as const;

describe('BuildRecorder', () => {
  it('numbers frames from one on, keeps a summary of the steps, and ends once', async () => {
    const log = new MemoryLog();
    const one = recorder(log);
    for (const event of [{ ...step(1, 'ARG A'), stage: -1 } as BuildEvent, step(2), { kind: 'cached', step: 2 } as const, done(2), step(3), said(3, 'a'), said(3, 'b'), { kind: 'failed', step: 3, line: 4, durationMs: 7 } as const]) await one.report(event);
    const outcome = await one.end(FAILED);
    expect(log.frames.map((frame) => [frame.seq, frame.type])).toEqual([[1, 'step.started'], [2, 'step.finished'], [3, 'step.started'], [4, 'step.finished'], [5, 'step.started'], [6, 'output'], [7, 'step.finished'], [8, 'end']]);
    expect(log.frames[5]).toMatchObject({ data: 'ab' });
    for (const frame of log.frames) expect(buildFrameSchema.safeParse(frame).success).toBe(true);
    expect(outcome.steps).toMatchObject([{ step: 1, stage: -1, state: 'succeeded' }, { step: 2, state: 'succeeded', cached: true, durationMs: 5 }, { step: 3, state: 'failed', durationMs: 7 }]);
    expect(one.failedLine).toBe(4);
    expect(log.kept.outcome).toEqual(outcome);
  });

  it('says that steps were cancelled which nobody ended', async () => {
    const log = new MemoryLog();
    const one = recorder(log);
    await one.report(step(1));
    expect((await one.end(FAILED)).steps).toMatchObject([{ state: 'cancelled', durationMs: null }]);
    expect(log.frames.map(({ type }) => type)).toEqual(['step.started', 'step.finished', 'end']);
  });

  it('leaves out output beyond its limit and still tells the steps', async () => {
    const log = new MemoryLog();
    const one = recorder(log);
    await one.report(step(1));
    const megabyte = 'x'.repeat(1024 * 1024);
    for (let count = 0; count < 40; count += 1) await one.report(said(1, megabyte));
    await one.report(done(1));
    await one.end(FAILED);
    const bytes = log.frames.reduce((sum, frame) => sum + (frame.type === 'output' ? frame.data.length : 0), 0);
    expect(bytes).toBeGreaterThan(15 * 1024 * 1024);
    expect(bytes).toBeLessThanOrEqual(16 * 1024 * 1024);
    expect(log.frames.filter(({ type }) => type === 'clipped')).toHaveLength(1);
    expect(log.frames.slice(-2).map(({ type }) => type)).toEqual(['step.finished', 'end']);
  });

  it('bounds the summary of a build of very many steps, not its log', async () => {
    const log = new MemoryLog();
    const one = recorder(log);
    for (let number = 1; number <= 600; number += 1) {
      await one.report(step(number, 'x'.repeat(1000)));
      await one.report(done(number));
    }
    const { steps } = await one.end(FAILED);
    expect(steps).toHaveLength(500);
    expect(steps.every(({ text, state }) => text.length === 200 && state === 'succeeded')).toBe(true);
    expect(log.frames.filter(({ type }) => type === 'step.finished')).toHaveLength(600);
  });

  it('goes on without a gap or a repetition wherever an earlier attempt was killed', async () => {
    const events = fc.array(fc.oneof(fc.integer({ min: 1, max: 4 }).map((number) => step(number)), fc.integer({ min: 1, max: 4 }).map(done), fc.tuple(fc.integer({ min: 1, max: 4 }), fc.string()).map(([number, text]) => said(number, text))), { maxLength: 30 });
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(events, fc.boolean()), { minLength: 1, maxLength: 4 }), async (lives) => {
        const log = new MemoryLog();
        for (const [index, [told, saved]] of lives.entries()) {
          log.dead = false;
          const life = recorder(log, index === 0 ? undefined : log.last);
          expect(life.attempt).toBe(index + 1);
          life.begin();
          await life.save();
          for (const event of told) await life.report(event);
          // Killed before, or after, what it said is written.
          if (saved && index < lives.length - 1) await life.save();
          log.dead = index < lives.length - 1;
          if (!log.dead) await life.end(FAILED);
        }
        expect(log.frames.map(({ seq }) => seq)).toEqual(log.frames.map((_, index) => index + 1));
        expect(log.frames.filter(({ type }) => type === 'end')).toHaveLength(1);
        const attempts = log.frames.flatMap((frame) => ('attempt' in frame ? [frame.attempt] : []));
        expect(attempts).toEqual([...attempts].sort((one, other) => one - other));
        expect(log.kept.steps.every(({ state }) => state !== 'running')).toBe(true);
      }),
      { numRuns: 50 },
    );
  });

  it('counts the deaths of its worker, not the times that it was shut down', async () => {
    const log = new MemoryLog();
    let life = recorder(log);
    for (const released of [true, true, false, true, false]) {
      life.begin();
      await life.save();
      await life.report(step(1));
      if (released) await life.release();
      life = recorder(log, log.last);
    }
    expect([life.attempt, life.deaths]).toEqual([6, 2]);
  });

  it('tells what goes wrong with writing to whoever reports next', async () => {
    const log = new MemoryLog();
    const one = recorder(log);
    log.dead = true;
    await one.report(step(1));
    await expect(one.end(FAILED)).rejects.toThrow('killed');
    await expect(one.report(done(1))).rejects.toThrow('killed');
  });
});
