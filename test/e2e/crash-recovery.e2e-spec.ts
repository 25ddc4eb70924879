import type { LogFrame, RunView } from '#contracts';
import { startPlatform, type Platform } from '#testing';
import { ApiClient } from './api-client.js';
import { stopAndExpectNothingLeft } from './nothing-left.js';

const RUNS = 20;
/** Each prints 1 … 40 over four seconds, so that a crash always falls into the middle of its output. */
const COUNTING = { runtime: 'python', code: 'import time\nfor i in range(1, 41):\n  print(i, flush=True)\n  time.sleep(0.1)', limits: { wallTimeMs: 60_000 } };
const EXPECTED = Array.from({ length: 40 }, (_, index) => `${String(index + 1)}\n`).join('');
const FINAL_WITHIN_MS = 15_000;

describe.each(['worker', 'gateway', 'redis'] as const)('kill -9 of the %s while runs are in flight', (service) => {
  let platform: Platform;
  let api: ApiClient;
  let runs: RunView[];

  beforeAll(async () => {
    platform = await startPlatform();
    const tenant = await platform.newTenant('busy', { concurrentRuns: RUNS, requestsPerSecond: 1000, requestBurst: 1000 });
    api = new ApiClient(platform.url, tenant.apiKey);
  }, 180_000);
  afterAll(async () => {
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  it('every run reaches a final state, its log whole', async () => {
    runs = await Promise.all(Array.from({ length: RUNS }, () => api.submit(COUNTING)));
    await api.until(runs.at(-1)!.id, ({ state }) => state !== 'queued');
    await platform.kill(service);
    await platform.untilReady();

    const ends = await Promise.all(runs.map(({ id }) => api.until(id, ({ state }) => state !== 'queued' && state !== 'running', FINAL_WITHIN_MS)));
    for (const end of ends) {
      expect(end.state).toMatch(/^(succeeded|lost)$/);
      const frames = await readLog(platform, api, end.id);
      expect(frames.map(({ seq }) => seq)).toEqual(frames.map((_, index) => index + 1));
      expect(frames.filter(({ type }) => type === 'end')).toHaveLength(1);
      expect(frames.at(-1)).toMatchObject({ type: 'end', state: end.state });
      const output = frames.map((frame) => (frame.type === 'output' ? frame.data : '')).join('');
      if (end.state === 'succeeded') expect(output).toBe(EXPECTED);
      else expect(EXPECTED.startsWith(output)).toBe(true);
    }
    // A sandbox outlives the worker, the gateway and Redis: nothing that had started needs to be lost.
    expect(ends.filter(({ state }) => state === 'succeeded')).toHaveLength(RUNS);
  }, 120_000);

  it('goes on serving afterwards', async () => {
    expect(await api.run({ runtime: 'python', code: 'print("after")' })).toMatchObject({ state: 'succeeded', stdout: 'after\n' });
  }, 60_000);
});

async function readLog(platform: Platform, api: ApiClient, id: string): Promise<LogFrame[]> {
  const answer = await fetch(`${platform.url}/v1/runs/${id}/logs?follow=false`, { headers: api.authorization });
  expect(answer.status).toBe(200);
  return (await answer.text())
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as LogFrame);
}
