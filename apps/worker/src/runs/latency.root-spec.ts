import type { RunId } from '#kernel';
import { BusyboxNode } from './busybox-node.contract.js';
import { MILESTONES, type Milestone } from './run-services.js';

const RUNS = 60;

/** Not a benchmark (that is bench/): shows where the time of a run goes, and that no phase has grown out of proportion. */
describe('the time of a run', () => {
  it('of a program that does nothing', async () => {
    const node = await BusyboxNode.open('latency');
    const marks = new Map<RunId, Partial<Record<Milestone | 'begin', number>>>();
    const life = await node.live({ reached: (runId, milestone) => void ((marks.get(runId) ?? {})[milestone] = performance.now()) });
    for (let index = 0; index < RUNS; index += 1) {
      const job = node.job({ code: 'true' });
      marks.set(job.runId, { begin: performance.now() });
      await life.processor.process(job);
    }
    await node.close();
    const measured = [...marks.values()].slice(10);
    const at = (p: number, values: number[]) => values.sort((a, b) => a - b)[Math.floor(values.length * p)] ?? NaN;
    const names = ['begin', ...MILESTONES] as const;
    const phases = names.slice(1).map((name, index) => {
      const before = names[index]!;
      return `${name} ${at(0.5, measured.map((run) => run[name]! - run[before]!)).toFixed(2)}`;
    });
    const total = measured.map((run) => run.published! - run.begin!);
    process.stdout.write(`job → published: p50 ${at(0.5, total).toFixed(1)} ms, p90 ${at(0.9, total).toFixed(1)} ms; by phase (p50, ms): ${phases.join(', ')}\n`);
    expect(at(0.5, total)).toBeLessThan(200);
  }, 60_000);
});
