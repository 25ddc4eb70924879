import type { NodeHeartbeat } from '#contracts';
import { newId, type RunId } from '#kernel';
import type { RunHead } from '#persistence';
import type { Claim } from '#queue';
import { judge, type Judgement } from './judgement.js';
import { Suspicions } from './suspicions.js';

const NOW = 1_000_000;
const nodeId = newId('node');
const run = (change: Partial<RunHead> = {}): RunHead => ({
  id: 'run_1' as RunId, tenantId: newId('tenant'), state: 'queued', epoch: 0, nodeId: null, runtime: 'python',
  createdAt: new Date(NOW - 10_000), startedAt: null, finishedAt: null, cancelRequestedAt: null, ...change,
});
const claim = (phase: Claim['phase'], incarnation = 'i1'): Claim => ({ nodeId, incarnation, epoch: 1, phase });
const node = (change: Partial<NodeHeartbeat> = {}): NodeHeartbeat => ({ nodeId, incarnation: 'i1', rpcUrl: 'unix:/x', startedAt: NOW - 60_000, runIds: [], runtimes: [], availableRuntimes: [], ready: true, ...change });
const holds = node({ runIds: ['run_1'] });

describe('judging an unfinished row', () => {
  it.each<[string, Parameters<typeof judge>[0], Judgement]>([
    ['in the queue', { run: run(), claim: undefined, hasJob: true, node: undefined, now: NOW }, 'executing'],
    ['in the line', { run: run(), claim: undefined, hasJob: false, node: undefined, now: NOW }, 'waiting'],
    ['just inserted', { run: run({ createdAt: new Date(NOW - 100) }), claim: undefined, hasJob: false, node: undefined, now: NOW }, 'young'],
    ['taken, held by its node', { run: run(), claim: claim('taken'), hasJob: false, node: holds, now: NOW }, 'executing'],
    ['taken by a node that is gone', { run: run(), claim: claim('taken'), hasJob: false, node: undefined, now: NOW }, 'orphaned'],
    ['taken by an earlier start of the node', { run: run(), claim: claim('taken', 'i0'), hasJob: false, node: node(), now: NOW }, 'orphaned'],
    ['taken by a node that does not know it', { run: run(), claim: claim('taken'), hasJob: false, node: node(), now: NOW }, 'unknown_to_node'],
    ['taken by a node that is gone, the job comes again', { run: run(), claim: claim('taken'), hasJob: true, node: undefined, now: NOW }, 'executing'],
    ['started, held', { run: run({ state: 'running', nodeId }), claim: claim('started'), hasJob: false, node: holds, now: NOW }, 'executing'],
    ['started, node gone', { run: run({ state: 'running', nodeId }), claim: claim('started'), hasJob: false, node: undefined, now: NOW }, 'node_gone'],
    ['started before its row says so, node gone, its stalled job still there', { run: run(), claim: claim('started'), hasJob: true, node: undefined, now: NOW }, 'node_gone'],
    ['running, Redis knows nothing, its node holds it', { run: run({ state: 'running', nodeId }), claim: undefined, hasJob: false, node: holds, now: NOW }, 'executing'],
    ['started, its node is starting', { run: run({ state: 'running' }), claim: claim('started', 'i0'), hasJob: false, node: node({ ready: false, startedAt: NOW - 5_000 }), now: NOW }, 'executing'],
    ['started, its node never gets ready', { run: run({ state: 'running' }), claim: claim('started', 'i0'), hasJob: false, node: node({ ready: false, startedAt: NOW - 31_000 }), now: NOW }, 'unknown_to_node'],
    ['started, adopted by the next start of the node', { run: run({ state: 'running' }), claim: claim('started', 'i0'), hasJob: false, node: node({ incarnation: 'i2', runIds: ['run_1'] }), now: NOW }, 'executing'],
    ['started, the node came back without it', { run: run({ state: 'running' }), claim: claim('started', 'i0'), hasJob: false, node: node({ incarnation: 'i2' }), now: NOW }, 'unknown_to_node'],
  ])('%s', (_name, evidence, expected) => {
    expect(judge(evidence)).toBe(expected);
  });
});

describe('suspicions', () => {
  const id = 'run_1' as RunId;
  const rounds = (suspicions: Suspicions, times: readonly number[], reason: 'node_gone' | 'unknown_to_node', ended = false): boolean[] =>
    times.map((time) => {
      const verdict = suspicions.note(id, reason, time, ended);
      suspicions.endRound();
      return verdict;
    });

  it('wait for a worker that is started again', () => {
    expect(rounds(new Suspicions(), [0, 2_000, 4_000, 6_000, 8_000], 'node_gone')).toEqual([false, false, false, false, true]);
  });
  it('wait two rounds for a heartbeat that names the run', () => {
    expect(rounds(new Suspicions(), [0, 2_000, 4_000], 'unknown_to_node')).toEqual([false, false, true]);
  });
  it('wait longer for the result of a run whose log has ended', () => {
    expect(rounds(new Suspicions(), [0, 8_000, 29_000, 30_000], 'unknown_to_node', true)).toEqual([false, false, false, true]);
  });
  it('are forgotten after a round without them, and begin anew for another reason', () => {
    const suspicions = new Suspicions();
    rounds(suspicions, [0], 'node_gone');
    suspicions.endRound();
    expect(rounds(suspicions, [9_000], 'node_gone')).toEqual([false]);
    expect(rounds(suspicions, [17_000], 'unknown_to_node')).toEqual([false]);
  });
});
