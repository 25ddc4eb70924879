import { setTimeout as sleep } from 'node:timers/promises';
import type { CreateRunInput, NodeEvent, RunOutcome } from '#contracts';
import { BusyboxNode, type Life } from './busybox-node.contract.js';
import type { Moment } from './grave.contract.js';
import { MILESTONES } from './run-services.js';

const NEVER = new Promise<never>(() => undefined);
/** Two steps with output that is cut within a character, and a pause in each so that lives meet them half done. */
const SPEC = {
  runtime: 'two',
  code: 'printf "c\\303"; sleep 0.15; echo "printf \\"\\\\\\\\303\\"; sleep 0.15; printf \\"\\\\\\\\251\\"; echo one; sleep 0.15; echo two >&2; exit 3" > main.sh; printf "\\251\\n"',
};

describe('a worker that is killed', () => {
  let node: BusyboxNode;

  beforeAll(async () => {
    node = await BusyboxNode.open('crash');
  }, 60_000);
  afterAll(async () => {
    await node.close();
  }, 60_000);

  /** Starts a run in a life that ends at its moment, and takes it up in another: adoption, then the job once more. */
  async function liveTwice(spec: Omit<CreateRunInput, 'runtime'>, first: Parameters<BusyboxNode['live']>[0] & { died: Promise<unknown> }, between?: (second: Life) => Promise<void>) {
    const job = node.job(spec);
    const one = await node.live(first);
    void one.processor.process(job);
    await Promise.race([first.died, sleep(6000).then(() => Promise.reject(new Error('the moment never came')))]);
    await one.crash();
    const two = await node.live();
    await between?.(two);
    const { adopted, done } = await two.adopter.adopt();
    await done;
    await two.processor.process(job);
    expect(two.services.active.ids()).toEqual([]);
    expect(await two.engine.runtime.list()).toEqual([]);
    expect(await two.engine.cgroups.list()).toEqual([]);
    const events = (await node.events()).filter((event) => 'runId' in event && event.runId === job.runId);
    const frames = await node.frames(job.runId);
    await two.crash();
    return { adopted, events, frames };
  }

  function expectOneWholeRun({ events, frames }: Awaited<ReturnType<typeof liveTwice>>): void {
    const ends = events.filter((event): event is NodeEvent & { outcome: RunOutcome } => event.type === 'run.finished');
    expect(ends.length).toBeGreaterThanOrEqual(1);
    for (const { outcome } of ends) {
      expect(outcome).toMatchObject({ state: 'failed', failedStep: 'run', error: null });
      expect(outcome.compile).toMatchObject({ stdout: 'cé\n', stderr: '', exitCode: 0 });
      expect(outcome.run).toMatchObject({ stdout: 'éone\n', stderr: 'two\n', exitCode: 3, encoding: 'utf8' });
    }
    expect(events.findIndex((event) => event.type === 'run.started')).toBe(0);
    expect(frames.map((frame) => frame.seq)).toEqual(frames.map((_, index) => index + 1));
    expect(frames.filter((frame) => frame.type === 'end')).toEqual([expect.objectContaining({ seq: frames.length, state: 'failed', exitCode: 3 })]);
    const text = frames.map((frame) => (frame.type === 'output' ? `${frame.step[0]!}${frame.stream[3]!}:${frame.data}` : '')).join('|');
    expect(frames.every((frame) => frame.type === 'end' || frame.encoding === 'utf8')).toBe(true);
    expect(text.replaceAll(/\|co:|\|ro:/g, '')).toContain('cé\n');
  }

  it.each(MILESTONES)('at the milestone "%s"', async (milestone) => {
    const died = Promise.withResolvers<undefined>();
    let over = false;
    const result = await liveTwice(SPEC, {
      died: died.promise,
      strike: () => over,
      reached: (_run, reached) => {
        if (reached !== milestone) return;
        over = true;
        died.resolve(undefined);
        return NEVER;
      },
    });
    expectOneWholeRun(result);
  }, 20_000);

  const moments: [call: string, nth: number][] = [
    ['take', 1], ['acquire', 1], ['writeFile', 1],
    ['start', 1], ['start', 2], ['start', 3],
    ['append', 1], ['append', 2], ['append', 3], ['append', 4], ['append', 5],
    ['publish', 1], ['publish', 2], ['killAll', 1], ['killAll', 2], ['usage', 2], ['usage', 4],
  ];
  it.each(moments.flatMap(([call, nth]) => (['before', 'after'] as const).map((when) => [when, call, nth] as const)))('just %s %s no. %i', async (when, call, nth) => {
    const died = Promise.withResolvers<undefined>();
    const strike = (moment: Moment): boolean => {
      const hit = moment.call === call && moment.nth === nth && moment.when === when;
      if (hit) died.resolve(undefined);
      return hit;
    };
    expectOneWholeRun(await liveTwice(SPEC, { died: died.promise, strike }));
  }, 20_000);

  const output = { code: 'echo up; sleep 100' };
  const atFirstFrame = () => {
    const died = Promise.withResolvers<undefined>();
    return { died: died.promise, strike: ({ call, when }: Moment) => call === 'append' && when === 'after' && (died.resolve(undefined), true) };
  };

  it('whose sandbox died too: the run is lost, with one end', async () => {
    const { events, frames } = await liveTwice(output, atFirstFrame(), async (second) => {
      for (const { id } of await second.engine.runtime.list()) await second.engine.cgroups.sandbox(node.tenantId, id).kill();
    });
    expect(events.map((event) => (event.type === 'run.finished' ? event.outcome.state : event.type))).toEqual(['run.started', 'lost']);
    expect(frames.map((frame) => frame.type)).toEqual(['output', 'end']);
  }, 20_000);

  it('and whose run was declared over meanwhile: the sandbox goes, nothing is said', async () => {
    const { adopted, events } = await liveTwice(output, atFirstFrame(), async () => {
      for (const event of await node.events()) if ('runId' in event) await node.control.claims.finish(event.runId as Parameters<typeof node.control.claims.finish>[0]);
    });
    expect(adopted).toBe(0);
    expect(events.filter((event) => event.type === 'run.finished')).toEqual([]);
  }, 20_000);

  it('counts wall time from the start, not from the restart', async () => {
    const died = sleep(600);
    const { events } = await liveTwice({ code: 'sleep 100', limits: { wallTimeMs: 1000 } }, { died });
    const [end] = events.filter((event) => event.type === 'run.finished');
    expect(end).toMatchObject({ outcome: { state: 'timed_out' } });
    expect((end as { outcome: RunOutcome }).outcome.run!.wallTimeMs).toBeLessThan(1800);
  }, 20_000);

  it.each([
    ['before', 'writeStdin', 1], ['after', 'writeStdin', 1], ['before', 'writeStdin', 2], ['after', 'writeStdin', 3], ['before', 'closeStdin', 1], ['after', 'closeStdin', 1],
  ] as const)('while stdin is delivered, just %s %s no. %i: the program gets each byte once', async (when, call, nth) => {
    const died = Promise.withResolvers<undefined>();
    const strike = (moment: Moment): boolean => {
      const hit = moment.call === call && moment.nth === nth && moment.when === when;
      if (hit) died.resolve(undefined);
      return hit;
    };
    const stdin = Array.from({ length: 30_000 }, (_, index) => `${index}\n`).join('');
    const { events } = await liveTwice({ code: 'cat; echo end', stdin }, { died: died.promise, strike });
    expect(events.at(-1)).toMatchObject({ outcome: { state: 'succeeded' } });
    expect((events.at(-1) as { outcome: RunOutcome }).outcome.run!.stdout === `${stdin}end\n`).toBe(true);
  }, 20_000);

  it('while a program leaves its stdin unread: the next worker hands over the rest', async () => {
    const stdin = 'x'.repeat(600_000);
    const { events } = await liveTwice({ code: 'sleep 1; wc -c', stdin }, { died: sleep(300) });
    expect(events.at(-1)).toMatchObject({ outcome: { state: 'succeeded', run: { stdout: '600000\n' } } });
  }, 20_000);
});
