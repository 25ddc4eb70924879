import type { RestartPolicy } from '../containers.js';
import { RestartBackOff, startsWithWorker, type ContainerEnd } from './restart-back-off.js';

const end = (kind: RestartPolicy['kind'], more: Partial<ContainerEnd> = {}, maxRetries = 0): ContainerEnd => ({ policy: { kind, maxRetries }, exitCode: 1, ranMs: 0, restarts: 0, byHand: false, ...more });

describe('the restart policy', () => {
  it('waits twice as long each time, up to a minute, and begins anew after ten seconds of running', () => {
    const backOff = new RestartBackOff();
    const waits = Array.from({ length: 12 }, () => backOff.next(end('always')));
    expect(waits).toEqual([100, 200, 400, 800, 1600, 3200, 6400, 12_800, 25_600, 51_200, 60_000, 60_000]);
    expect(backOff.next(end('always', { ranMs: 9_999 }))).toBe(60_000);
    expect(backOff.next(end('always', { ranMs: 10_000 }))).toBe(100);
    backOff.next(end('always'));
    backOff.reset();
    expect(backOff.next(end('always'))).toBe(100);
  });

  it.each<[string, ContainerEnd, boolean]>([
    ['no policy', { ...end('no'), policy: undefined }, false],
    ['no', end('no'), false],
    ['always, after success', end('always', { exitCode: 0 }), true],
    ['always, stopped by hand', end('always', { byHand: true }), false],
    ['unless-stopped', end('unless-stopped', { exitCode: 0 }), true],
    ['unless-stopped, stopped by hand', end('unless-stopped', { byHand: true }), false],
    ['on-failure, after success', end('on-failure', { exitCode: 0 }), false],
    ['on-failure, as often as need be', end('on-failure', { restarts: 1000 }), true],
    ['on-failure, within its retries', end('on-failure', { restarts: 2 }, 3), true],
    ['on-failure, beyond its retries', end('on-failure', { restarts: 3 }, 3), false],
  ])('%s', (_name, ended, again) => {
    expect(new RestartBackOff().next(ended) !== undefined).toBe(again);
  });

  it.each<[string, ContainerEnd, boolean]>([
    ['always, stopped by hand', end('always', { byHand: true, exitCode: 0 }), true],
    ['unless-stopped', end('unless-stopped'), true],
    ['unless-stopped, stopped by hand', end('unless-stopped', { byHand: true }), false],
    ['on-failure that failed', end('on-failure'), true],
    ['on-failure that succeeded', end('on-failure', { exitCode: 0 }), false],
    ['no', end('no'), false],
  ])('when the worker comes back: %s', (_name, ended, again) => {
    expect(startsWithWorker(ended)).toBe(again);
  });
});
