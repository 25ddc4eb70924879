import { newId, type NodeId } from '#kernel';
import { openFixture, type QueueFixture } from '../queue-fixture.contract.js';

describe('RedisRunClaims', () => {
  let fixture: QueueFixture;
  beforeAll(async () => { fixture = await openFixture(); });
  afterAll(async () => { await fixture.close(); });

  async function live(incarnation = '1'): Promise<{ nodeId: NodeId; incarnation: string }> {
    const nodeId = newId('node');
    await beat(nodeId, incarnation);
    return { nodeId, incarnation };
  }
  const beat = (nodeId: NodeId, incarnation: string) => fixture.node.nodes.beat({ nodeId, incarnation, rpcUrl: 'unix:/x', startedAt: 1, runIds: [], runtimes: [], availableRuntimes: [], ready: true });

  it('gives a run to one of many', async () => {
    const { claims } = fixture.node;
    const run = newId('run');
    const nodes = await Promise.all(Array.from({ length: 8 }, () => live()));
    const taken = (await Promise.all(nodes.map((node) => claims.take(run, node)))).filter((claim) => claim !== undefined);
    expect(taken).toEqual([{ ...nodes.find((node) => node.nodeId === taken[0]?.nodeId), epoch: 1, phase: 'taken' }]);
  });

  it('starts once, and what is started is taken by nobody', async () => {
    const { claims } = fixture.node;
    const [run, node, other] = [newId('run'), await live(), await live()];
    await claims.take(run, node);
    expect(await Promise.all([claims.start(run, 1), claims.start(run, 1)])).toEqual([true, false]);
    expect(await claims.take(run, node)).toBeUndefined();
    expect(await claims.take(run, other)).toBeUndefined();
    await fixture.node.nodes.leave(node.nodeId);
    expect(await claims.take(run, other)).toBeUndefined();
    expect(await claims.get(run)).toEqual({ ...node, epoch: 1, phase: 'started' });
    expect(await claims.cancelUnlessStarted(run)).toBe(false);
  });

  it('takes over from the dead and from former incarnations with the next epoch', async () => {
    const { claims } = fixture.node;
    const [run, node, other] = [newId('run'), await live(), await live()];
    await claims.take(run, node);
    expect(await claims.take(run, other)).toBeUndefined();
    expect(Math.abs(Number(await claims.takenAt(run)) - Date.now())).toBeLessThan(1000);
    expect(await claims.takenAt(newId('run'))).toBeUndefined();
    await beat(node.nodeId, '2');
    expect(await claims.take(run, other)).toMatchObject({ nodeId: other.nodeId, epoch: 2 });
    expect(await claims.start(run, 1)).toBe(false);
    await fixture.node.nodes.leave(other.nodeId);
    expect(await claims.take(run, { nodeId: node.nodeId, incarnation: '2' })).toMatchObject({ epoch: 3 });
    expect(await claims.start(run, 3)).toBe(true);
  });

  it('fences the first delivery when the same node takes the run again', async () => {
    const { claims } = fixture.node;
    const [run, node] = [newId('run'), await live()];
    await claims.take(run, node);
    expect(await claims.take(run, node)).toMatchObject({ epoch: 2 });
    expect([await claims.start(run, 1), await claims.start(run, 2)]).toEqual([false, true]);
  });

  it('lets a restarted worker go on with what it had started, and nobody else', async () => {
    const { claims } = fixture.node;
    const [run, node, other] = [newId('run'), await live(), await live()];
    await claims.take(run, node);
    expect(await claims.adopt(run, 1, { ...node, incarnation: '2' })).toBe(false);
    await claims.start(run, 1);
    expect(await claims.adopt(run, 1, other)).toBe(false);
    expect(await claims.adopt(run, 2, { ...node, incarnation: '2' })).toBe(false);
    expect(await claims.adopt(run, 1, { ...node, incarnation: '2' })).toBe(true);
    expect(await claims.finish(run)).toEqual({ nodeId: node.nodeId, incarnation: '2', epoch: 1, phase: 'started' });
    expect(await claims.finish(run)).toEqual({ nodeId: node.nodeId, incarnation: '2', epoch: 1, phase: 'started' });
    expect(await claims.adopt(run, 1, { ...node, incarnation: '3' })).toBe(false);
    expect(await claims.take(run, node)).toBeUndefined();
    expect(await claims.cancelUnlessStarted(run)).toBe(false);
  });

  it('finishes a claim only as it was seen', async () => {
    const { claims } = fixture.control;
    const [run, node] = [newId('run'), await live()];
    expect(await claims.finishIfUnchanged(run, { ...node, epoch: 1, phase: 'started' })).toBe(false);
    const seen = await claims.take(run, node);
    expect(await claims.finishIfUnchanged(run, undefined)).toBe(false);
    await claims.start(run, 1);
    // The node is said to be gone and beats: whoever said so looked too early.
    expect(await claims.finishIfUnchanged(run, seen, { nodeGone: true })).toBe(false);
    const back = { ...node, incarnation: '2' };
    await claims.adopt(run, 1, back);
    expect(await claims.finishIfUnchanged(run, seen)).toBe(false);
    expect(await claims.adopt(run, 1, back)).toBe(true);
    const adopted = await claims.get(run);
    await fixture.node.nodes.leave(node.nodeId);
    // Twice: a gateway that dies after the first comes again.
    expect(await claims.finishIfUnchanged(run, adopted, { nodeGone: true })).toBe(true);
    expect(await claims.finishIfUnchanged(run, await claims.get(run), { nodeGone: true })).toBe(true);
    expect(await claims.adopt(run, 1, back)).toBe(false);
    expect(await claims.get(run)).toMatchObject({ phase: 'started', epoch: 1 });
    const lost = newId('run');
    expect(await claims.finishIfUnchanged(lost, undefined)).toBe(true);
    expect(await claims.take(lost, node)).toBeUndefined();
  });

  it('decides between cancel and start once', async () => {
    const { claims } = fixture.control;
    const node = await live();
    const never = newId('run');
    expect(await claims.cancelUnlessStarted(never)).toBe(true);
    expect(await claims.cancelUnlessStarted(never)).toBe(true);
    expect(await claims.take(never, node)).toBeUndefined();
    expect(await claims.finish(never)).toBeUndefined();
    for (let round = 0; round < 20; round += 1) {
      const run = newId('run');
      await fixture.node.claims.take(run, node);
      const [cancelled, startedIt] = await Promise.all([claims.cancelUnlessStarted(run), fixture.node.claims.start(run, 1)]);
      expect(cancelled).toBe(!startedIt);
    }
  });
});
