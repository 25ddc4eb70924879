import { existsSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CreateRunInput, LogFrame, RunOutcome } from '#contracts';
import type { RunId } from '#kernel';
import { BusyboxNode, type Life } from './busybox-node.contract.js';

const MiB = 1024 * 1024;

describe('runs on the real engine', () => {
  let node: BusyboxNode;
  let life: Life;

  beforeAll(async () => {
    node = await BusyboxNode.open('runs');
    life = await node.live();
  }, 60_000);
  afterAll(async () => {
    await node.close();
    expect(existsSync(node.dataDir)).toBe(false);
  }, 60_000);
  afterEach(async () => {
    expect(await life.engine.runtime.list()).toEqual([]);
    expect(await life.engine.cgroups.list()).toEqual([]);
  });

  async function run(spec: Omit<CreateRunInput, 'runtime'> & { runtime?: string }, meanwhile?: (runId: RunId) => Promise<void>): Promise<RunOutcome> {
    const job = node.job(spec);
    await Promise.all([life.processor.process(job), meanwhile?.(job.runId)]);
    const outcome = await outcomeOf(job.runId);
    expectWholeLog(await node.frames(job.runId), outcome);
    return outcome;
  }

  async function outcomeOf(runId: RunId): Promise<RunOutcome> {
    const ends = (await node.events()).filter((event) => event.type === 'run.finished' && event.runId === runId);
    expect(ends).toHaveLength(1);
    const [end] = ends;
    if (end?.type !== 'run.finished') throw new Error('no end');
    return end.outcome;
  }

  it('hello', async () => {
    const outcome = await run({ code: 'echo hello; echo oops >&2; id -u; exit 0' });
    expect(outcome).toMatchObject({ state: 'succeeded', failedStep: null, compile: null, error: null });
    expect(outcome.run).toMatchObject({ stdout: 'hello\n1000\n', stderr: 'oops\n', exitCode: 0, signal: null, encoding: 'utf8', stdoutTruncated: false });
    expect(outcome.run!.wallTimeMs).toBeGreaterThan(0);
    expect(outcome.run!.memoryPeakBytes).toBeGreaterThan(0);
  });

  it.each([
    ['an exit code', 'exit 7', { state: 'failed', exitCode: 7, signal: null }],
    ['a signal', 'kill -SEGV $$', { state: 'failed', exitCode: null, signal: 'SIGSEGV' }],
  ])('%s', async (_name, code, { state, ...result }) => {
    const outcome = await run({ code });
    expect(outcome).toMatchObject({ state, failedStep: 'run' });
    expect(outcome.run).toMatchObject(result);
  });

  it('stdin with the run and after it', async () => {
    expect((await run({ code: 'cat', stdin: 'x'.repeat(300_000) })).run!.stdout).toHaveLength(300_000);
    const outcome = await run({ code: 'cat', stdin: 'first ', stdinOpen: true }, async (runId) => {
      while (life.services.active.get(runId)?.stdin === undefined) await sleep(5);
      const stdin = life.services.active.get(runId)!.stdin!;
      await Promise.all([stdin.write(Buffer.from('second '), false), stdin.write(Buffer.from('third'), true)]);
    });
    expect(outcome.run!.stdout).toBe('first second third');
    expect(outcome.state).toBe('succeeded');
  });

  it('a command that is not there', async () => {
    const outcome = await run({ code: '', entry: ['nope'] });
    expect(outcome).toMatchObject({ state: 'failed', run: { exitCode: 127 } });
    expect(outcome.run!.stderr).toContain('nope');
  });

  it('two steps: what compiles runs, what does not ends there', async () => {
    const outcome = await run({ runtime: 'two', code: 'echo compiling; echo "echo running" > main.sh; sleep 100 &' });
    expect(outcome).toMatchObject({ state: 'succeeded', compile: { stdout: 'compiling\n' }, run: { stdout: 'running\n' } });
    const failed = await run({ runtime: 'two', code: 'echo no >&2; exit 1' });
    expect(failed).toMatchObject({ state: 'failed', failedStep: 'compile', compile: { exitCode: 1, stderr: 'no\n' }, run: null });
  });

  it('wall time', async () => {
    const outcome = await run({ code: 'echo a; sleep 100', limits: { wallTimeMs: 300 } });
    expect(outcome).toMatchObject({ state: 'timed_out', run: { stdout: 'a\n', signal: 'SIGKILL' } });
    expect(outcome.run!.wallTimeMs).toBeLessThan(1500);
  });

  it('CPU time', async () => {
    const outcome = await run({ code: 'while :; do :; done', limits: { cpuTimeMs: 200 } });
    expect(outcome).toMatchObject({ state: 'timed_out' });
    expect(outcome.run!.cpuTimeMs).toBeGreaterThanOrEqual(200);
    expect(outcome.run!.cpuTimeMs).toBeLessThan(600);
  });

  it('memory', async () => {
    const outcome = await run({ code: 'x=$(yes | tr -d "\\n" | head -c 100000000); echo survived', limits: { memoryBytes: 32 * MiB } });
    expect(outcome.state).toBe('memory_exceeded');
  });

  it('memory: a child killed for it ends the step at once, whatever its parent waits for', async () => {
    const outcome = await run({ code: '(x=$(yes | tr -d "\\n" | head -c 100000000)); sleep 100', limits: { memoryBytes: 32 * MiB, cpuTimeMs: 10_000, wallTimeMs: 10_000 } });
    expect(outcome.state).toBe('memory_exceeded');
    expect(outcome.run!.wallTimeMs).toBeLessThan(3000);
  });

  it('files of the run beyond its disk, or in each other\u2019s way, are its own failure', async () => {
    const [full, clash] = [
      await run({ code: 'true', files: { big: { content: 'x'.repeat(3 * MiB) } }, limits: { diskBytes: 2 * MiB } }),
      await run({ code: 'true', files: { 'a/b': { content: '' }, a: { content: '' } } }),
    ];
    expect(full).toMatchObject({ state: 'failed', failedStep: null, error: { code: 'resource_exhausted' } });
    expect(clash).toMatchObject({ state: 'failed', failedStep: null, error: { code: 'invalid_argument' } });
  });

  it('what a compile step leaves beyond the memory of the run step is memory_exceeded', async () => {
    const limits = { memoryBytes: 16 * MiB, diskBytes: 64 * MiB };
    const outcome = await run({ runtime: 'two', code: 'dd if=/dev/zero of=big bs=65536 count=640; echo true > main.sh', limits });
    expect(outcome).toMatchObject({ state: 'memory_exceeded', failedStep: 'run', compile: { exitCode: 0 } });
  });

  it('output, cut exactly', async () => {
    const outcome = await run({ code: 'yes', limits: { outputBytes: 100_001 } });
    expect(outcome).toMatchObject({ state: 'output_exceeded', run: { stdoutTruncated: true } });
    expect(outcome.run!.stdout).toHaveLength(100_001);
    expect(await run({ code: 'echo a', limits: { outputBytes: 0 } })).toMatchObject({ state: 'output_exceeded', run: { stdout: '' } });
  });

  it('a fork bomb, kill -9 -1 and a full disk end only themselves', async () => {
    const [bomb, kill, disk] = [
      await run({ code: 'f() { f | f & }; f; sleep 1', limits: { wallTimeMs: 2000 } }),
      await run({ code: 'sleep 100 & kill -9 -1; echo still; exit 3' }),
      await run({ code: 'dd if=/dev/zero of=big bs=65536 2>&1; echo $?; wc -c < big', limits: { diskBytes: 2 * MiB } }),
    ];
    expect(['succeeded', 'failed', 'timed_out']).toContain(bomb.state);
    expect(kill.state).toBe('failed');
    expect(disk.run!.stdout).toContain('No space left');
    expect(disk.state).toBe('succeeded');
    expect((await run({ code: 'echo fine' })).run!.stdout).toBe('fine\n');
  });

  it('cancel', async () => {
    const outcome = await run({ code: 'echo up; sleep 100' }, async (runId) => {
      while ((await node.frames(runId)).length === 0) await sleep(10);
      life.services.active.get(runId)!.interrupt('cancelled');
    });
    expect(outcome).toMatchObject({ state: 'cancelled', run: { stdout: 'up\n' } });
  });

  it('text that is cut anywhere stays text, bytes stay bytes', async () => {
    const outcome = await run({ code: 'for i in 1 2 3; do printf "\\303"; sleep 0.05; printf "\\251"; done' });
    expect(outcome.run).toMatchObject({ stdout: 'ééé', encoding: 'utf8' });
    expect((await run({ code: 'printf "a\\377"' })).run).toMatchObject({ stdout: Buffer.from([0x61, 0xff]).toString('base64'), encoding: 'base64' });
  });

  it('a worker that dies with output going on: the next one goes on without gap or duplicate', async () => {
    const jobs = Array.from({ length: 6 }, () => node.job({ code: 'i=0; while [ $i -lt 60 ]; do echo line $i; i=$((i+1)); sleep 0.02; done; exit 5' }));
    for (const job of jobs) void life.processor.process(job);
    for (const job of jobs) while ((await node.frames(job.runId)).length < 5) await sleep(10);
    await life.crash();
    await sleep(200);
    life = await node.live();
    const { adopted, done } = await life.adopter.adopt();
    expect(adopted).toBe(jobs.length);
    await done;
    const expected = Array.from({ length: 60 }, (_, index) => `line ${index}\n`).join('');
    const ends = (await node.events()).filter((event) => event.type === 'run.finished');
    for (const job of jobs) {
      const mine = ends.filter((event) => event.runId === job.runId);
      expect(mine).toHaveLength(1);
      expect(mine[0]).toMatchObject({ outcome: { state: 'failed', run: { exitCode: 5, stdout: expected } } });
      expectWholeLog(await node.frames(job.runId), (mine[0] as { outcome: RunOutcome }).outcome);
    }
  }, 30_000);
});

/** Numbers without gaps, one end frame at the end, and the very bytes of the result. */
function expectWholeLog(frames: readonly LogFrame[], outcome: RunOutcome): void {
  expect(frames.map((frame) => frame.seq)).toEqual(frames.map((_, index) => index + 1));
  expect(frames.map((frame) => frame.type).filter((type) => type === 'end')).toEqual(['end']);
  expect(frames.at(-1)).toMatchObject({ type: 'end', state: outcome.state });
  for (const stream of ['stdout', 'stderr'] as const) {
    const bytes = frames.flatMap((frame) => (frame.type === 'output' && frame.step === 'run' && frame.stream === stream ? [Buffer.from(frame.data, frame.encoding)] : []));
    expect(Buffer.concat(bytes)).toEqual(outcome.run === null ? Buffer.alloc(0) : Buffer.from(outcome.run[stream], outcome.run.encoding));
  }
}
