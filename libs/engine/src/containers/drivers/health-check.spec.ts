import type { HealthCheck, HealthResult } from '../containers.js';
import { healthProbeOf, HealthTracker, mergeHealth } from './health-check.js';

const check = (more: Partial<HealthCheck> = {}): HealthCheck => ({ test: ['CMD', 'true'], intervalMs: 0, timeoutMs: 0, startPeriodMs: 0, startIntervalMs: 0, retries: 0, ...more });
const result = (exitCode: number, startedAt = 0): HealthResult => ({ startedAt, finishedAt: startedAt + 1, exitCode, output: '' });

describe('a health check', () => {
  it("is what was asked for, and what was not said, the image's", () => {
    const image = { Healthcheck: { Test: ['CMD', 'of-image'], Interval: 5e9, Timeout: 2e9, Retries: 7 } };
    expect(mergeHealth(undefined, {})).toBeUndefined();
    expect(mergeHealth(check({ test: [] }), {})).toBeUndefined();
    expect(mergeHealth(undefined, image)).toEqual(check({ test: ['CMD', 'of-image'], intervalMs: 5000, timeoutMs: 2000, retries: 7 }));
    expect(mergeHealth(check({ test: [], intervalMs: 10 }), image)).toEqual(check({ test: ['CMD', 'of-image'], intervalMs: 10, timeoutMs: 2000, retries: 7 }));
    expect(mergeHealth(check({ test: ['NONE'] }), image)).toMatchObject({ test: ['NONE'] });
  });

  it.each<[readonly string[], readonly string[] | undefined, readonly string[] | undefined]>([
    [['CMD', 'a', 'b'], undefined, ['a', 'b']],
    [['CMD-SHELL', 'a || b'], undefined, ['/bin/sh', '-c', 'a || b']],
    [['CMD-SHELL', 'a'], ['/bin/ash', '-ec'], ['/bin/ash', '-ec', 'a']],
    [['NONE'], undefined, undefined],
    [['CMD'], undefined, undefined],
    [['ODD', 'x'], undefined, undefined],
  ])('%j with the shell %j runs %j', (test, shell, argv) => {
    expect(healthProbeOf({ effective: { health: check({ test }) }, imageConfig: shell === undefined ? {} : { Shell: shell } })).toEqual(argv);
  });

  it('is healthy with the first success, and unhealthy after three failures in a row', () => {
    const tracker = new HealthTracker(check(), 0, 'starting');
    expect(tracker.state).toEqual({ status: 'starting', failingStreak: 0, log: [] });
    expect([1, 1].map((code) => tracker.take(result(code)))).toEqual([false, false]);
    expect(tracker.state).toMatchObject({ status: 'starting', failingStreak: 2 });
    expect(tracker.take(result(0))).toBe(true);
    expect(tracker.state).toMatchObject({ status: 'healthy', failingStreak: 0 });
    expect([-1, 2, 1].map((code) => tracker.take(result(code)))).toEqual([false, false, true]);
    expect(tracker.state).toMatchObject({ status: 'unhealthy', failingStreak: 3 });
    expect(tracker.take(result(0))).toBe(true);
  });

  it('does not count failures while it is given time to start', () => {
    const tracker = new HealthTracker(check({ startPeriodMs: 1000, retries: 1 }), 100, 'starting');
    expect(tracker.take(result(1, 1099))).toBe(false);
    expect(tracker.state.failingStreak).toBe(0);
    expect(tracker.take(result(1, 1100))).toBe(true);
    const steady = new HealthTracker(check({ startPeriodMs: 1000, retries: 1 }), 100, 'starting');
    steady.take(result(0, 200));
    expect(steady.take(result(1, 300))).toBe(true);
  });

  it('is looked at more often while it starts', () => {
    const tracker = new HealthTracker(check({ startPeriodMs: 1000 }), 0, 'starting');
    expect([tracker.waitMs(0), tracker.waitMs(1000)]).toEqual([5000, 30_000]);
    tracker.take(result(0));
    expect(tracker.waitMs(0)).toBe(30_000);
    expect(new HealthTracker(check({ intervalMs: 7 }), 0, 'starting').waitMs(0)).toBe(7);
  });

  it('keeps the last five', () => {
    const tracker = new HealthTracker(check(), 0, 'starting');
    for (let exitCode = 0; exitCode < 7; exitCode += 1) tracker.take(result(exitCode));
    expect(tracker.state.log.map(({ exitCode }) => exitCode)).toEqual([2, 3, 4, 5, 6]);
    tracker.end();
    expect(tracker.state.status).toBe('unhealthy');
  });
});
