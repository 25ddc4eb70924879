import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { logText, NEVER } from './testing/container-requests.js';
import { IDLE, ProcessHost } from './testing/process-host.js';
import { execOf, outputOf, ProcessWatch } from './testing/process-streams.js';

const NUMBERS = (count: number) => Array.from({ length: count }, (_, index) => `${index + 1}\n`).join('');
const COUNT = (count: number, end: number) => ['sh', '-c', `i=0; while [ $i -lt ${count} ]; do i=$((i+1)); echo $i; sleep 0.01; done; exit ${end}`];

describe('processes after a restart of the worker', () => {
  let host: ProcessHost;
  beforeAll(async () => {
    host = await ProcessHost.open('again');
  }, 120_000);
  afterEach(() => host.removeAll());
  afterAll(async () => {
    expect(await host.close()).toEqual([]);
  }, 60_000);

  it('go on: main ones and execs, nothing of their output lost or doubled, over many restarts', async () => {
    const containers = await Promise.all(Array.from({ length: 4 }, () => host.run(COUNT(300, 4))));
    const execs = await Promise.all(containers.flatMap((id) => [5, 6, 7].map(async (end) => ({ end, ...(await host.exec(id, COUNT(250, end))) }))));
    for (let restart = 0; restart < 5; restart += 1) {
      await sleep(150);
      await host.node.restart();
    }
    for (const { stream } of execs) expect(await stream.ended).toBeUndefined();
    for (const { id, end } of execs) {
      const { stdout, exitCode } = await outputOf(await host.attachExec(id, { logs: true }));
      expect([stdout, exitCode]).toEqual([NUMBERS(250), end]);
    }
    for (const id of containers) {
      expect(await host.node.containers.wait(host.tenant, id, 'not-running', NEVER)).toEqual({ exitCode: 4 });
      expect(await logText(host.node, host.tenant, id)).toBe(NUMBERS(300));
    }
  }, 60_000);

  it('are followed on from the last number that was seen', async () => {
    const id = await host.run(IDLE);
    const { id: execId, stream } = await host.exec(id, COUNT(100, 0));
    const before = new ProcessWatch(stream);
    await before.until('20\n');
    await host.node.restart();
    await before.done;
    const after = new ProcessWatch(await host.attachExec(execId, { after: before.seqs.at(-1)! }));
    await after.done;
    expect(before.text() + after.text()).toBe(NUMBERS(100));
  });

  it('take input where it was left', async () => {
    const id = await host.run(IDLE);
    const { id: execId, stream } = await host.exec(id, ['cat'], { openStdin: true });
    const main = await host.run(['cat'], { openStdin: true, stdinOnce: true });
    const mainBefore = await host.attach(main, { stdin: true, stdout: false });
    const [first, second] = [randomBytes(300_000), randomBytes(300_000)];
    await Promise.all([stream.write(first), mainBefore.write(first)]);
    await host.node.restart();
    const attached = [await host.attachExec(execId, { stdin: true, logs: true }), await host.attach(main, { stdin: true, logs: true })];
    for (const each of attached) {
      const watch = new ProcessWatch(each);
      await each.write(second);
      await each.end();
      await watch.done;
      expect(Buffer.from(watch.text(), 'latin1').equals(Buffer.concat([first, second]))).toBe(true);
    }
  });

  it('are known, started or not, and their ids are not given twice', async () => {
    const id = await host.run(IDLE);
    const created = await host.processes.createExec(host.tenant, id, execOf(['echo', 'late']));
    const { id: done, stream } = await host.exec(id, ['sh', '-c', 'exit 9']);
    await outputOf(stream);
    const failed = await host.processes.createExec(host.tenant, id, execOf(['nothing']));
    await expect(host.processes.startExec(host.tenant, failed.id)).rejects.toMatchObject({ details: { exitCode: 127 } });
    await host.node.restart();
    expect((await host.processes.listExecs(host.tenant, id)).map((exec) => [exec.id, exec.state, exec.exitCode])).toEqual([
      [created.id, 'created', null],
      [done, 'ended', 9],
      [failed.id, 'ended', 127],
    ]);
    for (let more = 0; more < 5; more += 1) expect(await outputOf((await host.exec(id, ['echo', 'new'])).stream)).toMatchObject({ stdout: 'new\n', exitCode: 0 });
    const late = await host.attachExec(created.id);
    await host.processes.startExec(host.tenant, created.id);
    expect(await outputOf(late)).toMatchObject({ stdout: 'late\n', exitCode: 0 });
  });

  it('of containers that have died meanwhile were killed', async () => {
    const id = await host.run(IDLE);
    const { id: execId } = await host.exec(id, ['sh', '-c', 'echo before; sleep 100']);
    const { sandboxId } = await host.node.containers.get(host.tenant, id);
    await sleep(200);
    await host.node.containers.release();
    await (await host.node.runtime.get(sandboxId!))!.destroy();
    await host.node.restart();
    expect(await host.processes.waitExec(host.tenant, execId, NEVER)).toMatchObject({ state: 'ended', exitCode: 137 });
    expect(await outputOf(await host.attachExec(execId, { logs: true }))).toMatchObject({ stdout: 'before\n', exitCode: 137 });
  });

  it('of a paused container go on when it does', async () => {
    const id = await host.run(COUNT(100, 2));
    const { id: execId } = await host.exec(id, COUNT(100, 3));
    await sleep(200);
    await host.node.containers.pause(host.tenant, id);
    await host.node.restart();
    expect(await host.processes.getExec(host.tenant, execId)).toMatchObject({ state: 'running' });
    await host.node.containers.unpause(host.tenant, id);
    expect(await outputOf(await host.attachExec(execId, { logs: true }))).toMatchObject({ stdout: NUMBERS(100) });
    await host.node.containers.wait(host.tenant, id, 'not-running', NEVER);
    expect(await logText(host.node, host.tenant, id)).toBe(NUMBERS(100));
  });
});
