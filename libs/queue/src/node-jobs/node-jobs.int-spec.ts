import { setTimeout as sleep } from 'node:timers/promises';
import { tenantLimitsSchema, type BuildFrame, type BuildJob } from '#contracts';
import { newId, type BuildId, type NodeId, type TenantId } from '#kernel';
import { openFixture, until, type QueueFixture } from '../queue-fixture.contract.js';

function buildJob(tenantId: TenantId, concurrentBuilds: number): BuildJob {
  return { buildId: newId('build'), tenantId, requestId: newId('request'), tenantLimits: tenantLimitsSchema.parse({ concurrentBuilds }) };
}

describe('jobs of a node', () => {
  let fixture: QueueFixture;
  let nodeId: NodeId;

  beforeEach(async () => {
    fixture = await openFixture();
    nodeId = newId('node');
  }, 30_000);
  afterEach(() => fixture.close());

  it('lets a tenant that comes late go ahead of those that wait for a place of another', async () => {
    const [many, late]: [TenantId, TenantId] = [newId('tenant'), newId('tenant')];
    const line = Array.from({ length: 30 }, () => buildJob(many, 8));
    for (const job of line) await fixture.control.builds.enqueue(nodeId, job);
    const order: string[] = [];
    const gate = Promise.withResolvers<undefined>();
    fixture.node.builds(nodeId).start(async (job) => {
      order.push(job.buildId);
      await gate.promise;
    });
    await until(() => order.length === 8);
    const single = buildJob(late, 8);
    await fixture.control.builds.enqueue(nodeId, single);
    gate.resolve(undefined);
    await until(() => order.length === 31);
    expect(order.indexOf(single.buildId)).toBeLessThan(8 + 8);
  }, 30_000);

  it('keeps a tenant to its share, and to what room there is beside its jobs', async () => {
    const tenant: TenantId = newId('tenant');
    const jobs = Array.from({ length: 4 }, () => buildJob(tenant, 2));
    for (const job of jobs) await fixture.control.builds.enqueue(nodeId, job);
    let running = 0;
    let most = 0;
    let room = false;
    const over: string[] = [];
    fixture.node.builds(nodeId).start(
      async (job) => {
        most = Math.max(most, (running += 1));
        await sleep(50);
        running -= 1;
        over.push(job.buildId);
      },
      () => room,
    );
    await sleep(400);
    expect(over).toEqual([]);
    room = true;
    await until(() => over.length === 4, 15_000);
    expect(most).toBeLessThanOrEqual(2);
  }, 30_000);

  it('is idempotent by id, says whether a job is there, and takes one away that waits', async () => {
    const job = buildJob(newId('tenant'), 1);
    const id = job.buildId as BuildId;
    await fixture.control.builds.enqueue(nodeId, job);
    await fixture.control.builds.enqueue(nodeId, job);
    expect(await fixture.control.builds.has(nodeId, id)).toBe(true);
    expect(await fixture.control.builds.remove(nodeId, id)).toBe(true);
    expect(await fixture.control.builds.remove(nodeId, id)).toBe(false);
    expect(await fixture.control.builds.has(nodeId, id)).toBe(false);
  });

  it("carries a build's frames as they are, and refuses what is none", async () => {
    const id = newId('build');
    const frames: BuildFrame[] = [
      { type: 'step.started', seq: 1, time: 5, attempt: 1, step: 1, total: 2, stage: 0, stageName: 'base', text: 'RUN "\0" 💥' },
      { type: 'output', seq: 2, time: 6, attempt: 1, step: 1, stream: 'stderr', data: '\u0000\ud800é' },
      { type: 'pull', seq: 3, time: 6, attempt: 1, step: 1, id: null, status: 'Pulling' },
      { type: 'step.finished', seq: 4, time: 7, attempt: 1, step: 1, state: 'failed', cached: false, durationMs: 1.5 },
      { type: 'end', seq: 5, time: 8, state: 'failed', imageId: null, error: { code: 'invalid_argument', message: 'no', line: 3, column: 1, exitCode: 7 } },
    ];
    await fixture.node.buildLogs.append(id, frames, 'a checkpoint');
    await fixture.node.buildLogs.append(id, [{ type: 'warning', seq: 6, time: 9, message: 'too late' }]);
    expect(await fixture.control.buildLogs.readAll(id)).toEqual(frames);
    expect(await fixture.control.buildLogs.last(id)).toEqual({ seq: 5, ended: true, checkpoint: 'a checkpoint' });
    const bad = newId('build');
    await fixture.node.buildLogs.append(bad, [{ type: 'odd', seq: 1, time: 1 } as unknown as BuildFrame]);
    await expect(fixture.control.buildLogs.readAll(bad)).rejects.toMatchObject({ code: 'protocol_violation' });
  });
});
