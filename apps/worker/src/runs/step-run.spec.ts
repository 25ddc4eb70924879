import type { GuestAgent, Sandbox } from '#engine';
import { CodedError, silentLogger } from '#kernel';
import type { PlannedStep } from './run-plan.js';
import { errorOf, StepRun } from './step-run.js';

const HOUR_MS = 3_600_000;
const BEGIN_MS = 1_800_000_000_000;
const PLAN: PlannedStep = {
  name: 'run', processId: 2, argv: ['true'], env: [], uid: 1000, stdin: false,
  limits: { cpuTimeMs: 1000, wallTimeMs: 1000, memoryBytes: 1 << 24, pids: 8, cpuMillis: 1000, openFiles: 64, outputBytes: 100 },
};

/** A step in a sandbox that does nothing, under clocks that the test sets. */
function stepAt() {
  const time = { wall: BEGIN_MS, monotonic: 5 };
  const usage = { cpuTimeUs: 0, memoryBytes: 0, memoryPeakBytes: 1, oomKills: 0, pids: 1 };
  const limits: string[] = [];
  const sandbox = {
    createdAt: BEGIN_MS - 10,
    usage: () => Promise.resolve({ ...usage }),
    resetMemoryPeak: () => Promise.resolve(),
    updateLimits: () => (limits.push('set'), Promise.resolve()),
  } as unknown as Sandbox;
  const agent = { start: () => Promise.resolve(), killAll: () => Promise.resolve() } as unknown as GuestAgent;
  const clock = { now: () => time.wall, monotonicMs: () => time.monotonic };
  const gone = new Promise<undefined>(() => undefined);
  const step = new StepRun(PLAN, { sandbox, agent, gone, clock, logger: silentLogger, earlierCpuUs: undefined, limitsInForce: undefined });
  const exit = { exitCode: 0, signal: null, userTimeUs: 0, systemTimeUs: 0, maxRssBytes: 0 };
  return {
    step,
    time,
    usage,
    start: (timeMs: number) => { step.onStarted({ type: 'started', pid: 2, seq: 1, processId: 2, timeUs: timeMs * 1000 }); },
    exit: (timeMs: number) => { step.onExit({ type: 'exit', seq: 9, processId: 2, timeUs: timeMs * 1000, exit }); },
  };
}

describe('StepRun', () => {
  it.each([
    ['is left alone', 0],
    ['is set forward', HOUR_MS],
    ['is set back', -HOUR_MS],
  ])('measures the same time when the machine\u2019s clock %s', async (_name, jumpMs) => {
    const { step, time, start, exit } = stepAt();
    await step.begin();
    start(BEGIN_MS);
    time.wall += jumpMs + 50;
    time.monotonic += 50;
    exit(time.wall);
    expect(await step.end()).toMatchObject({ state: 'succeeded', summary: { wallTimeMs: 50 } });
  });

  it('does not let its start be told anew', async () => {
    const { step, time, start, exit } = stepAt();
    await step.begin();
    start(BEGIN_MS);
    time.wall += 900;
    time.monotonic += 900;
    start(BEGIN_MS + 890);
    exit(BEGIN_MS + 900);
    expect(await step.end()).toMatchObject({ summary: { wallTimeMs: 900 } });
  });

  it('ends within moments of a kill for memory, while its own process lives on', async () => {
    const { step, time, start, exit, usage } = stepAt();
    await step.begin();
    start(BEGIN_MS);
    const killed = new Promise<void>((resolve) => {
      const agent = Reflect.get(Reflect.get(step, 'context') as object, 'agent') as { killAll: () => Promise<void> };
      agent.killAll = () => (resolve(), Promise.resolve());
    });
    usage.oomKills = 1;
    const before = performance.now();
    await killed;
    expect(performance.now() - before).toBeLessThan(300);
    time.monotonic += 100;
    exit(BEGIN_MS + 100);
    expect(await step.end()).toMatchObject({ state: 'memory_exceeded' });
  });

  it('tells a tenant no path of the node', () => {
    expect(errorOf(new Error("ENOSPC: no space left on device, open '/var/lib/sandbar/engine/x'"))).toEqual({ code: 'internal', message: 'the node could not carry out the run' });
    expect(errorOf(new CodedError('internal', 'crun failed: /var/lib/sandbar')).message).not.toContain('/var');
    expect(errorOf(new CodedError('unavailable', 'the sandbox is dead'))).toEqual({ code: 'unavailable', message: 'the sandbox is dead' });
  });
});
