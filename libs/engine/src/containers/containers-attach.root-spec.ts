import { setTimeout as sleep } from 'node:timers/promises';
import type { ContainerLogging } from './index.js';
import { logText, NEVER } from './testing/container-requests.js';
import { IDLE, ProcessHost } from './testing/process-host.js';
import { outputOf, ProcessWatch } from './testing/process-streams.js';

const MIB = 1024 * 1024;
const NOT_KEPT: ContainerLogging = { driver: 'none', options: {} };

describe('attaching to containers', () => {
  let host: ProcessHost;
  beforeAll(async () => {
    host = await ProcessHost.open('attach');
  }, 120_000);
  afterEach(() => host.removeAll());
  afterAll(async () => {
    expect(await host.close()).toEqual([]);
  }, 60_000);

  const exited = (id: string) => host.node.containers.wait(host.tenant, id, 'not-running', NEVER);

  it('sees the first byte when it comes before the start, and the end', async () => {
    const id = await host.create(['sh', '-c', 'echo out; echo err >&2; exit 3']);
    const streams = await Promise.all([host.attach(id), host.attach(id, { stderr: false }), host.attach(id, { stdout: false, stderr: false })]);
    await host.node.containers.start(host.tenant, id);
    expect(await streams[2].ended).toEqual({ exitCode: 3 });
    expect(await outputOf(streams[0])).toEqual({ stdout: 'out\n', stderr: 'err\n', exitCode: 3 });
    expect(await outputOf(streams[1])).toEqual({ stdout: 'out\n', stderr: '', exitCode: 3 });
    const again = await host.attach(id, { logs: true });
    await host.node.containers.start(host.tenant, id);
    expect(await outputOf(again)).toEqual({ stdout: 'out\nout\n', stderr: 'err\nerr\n', exitCode: 3 });
    await exited(id);
    expect(await outputOf(await host.attach(id, { logs: true, follow: false }))).toMatchObject({ stdout: 'out\nout\n' });
  });

  it('ends when the start fails, when the container is removed, and when it is closed', async () => {
    const broken = await host.create(['nothing']);
    const waiting = [await host.attach(broken), await host.attach(broken, { stdin: true, stdout: false, stderr: false })];
    await expect(host.node.containers.start(host.tenant, broken)).rejects.toMatchObject({ details: { exitCode: 127 } });
    for (const stream of waiting) expect(await stream.ended).toBeUndefined();
    const removed = await host.attach(broken);
    await host.node.containers.remove(host.tenant, broken, { force: false, volumes: false });
    expect(await outputOf(removed)).toMatchObject({ exitCode: undefined });
    const id = await host.run(IDLE);
    const closed = await host.attach(id);
    const watch = new ProcessWatch(closed);
    closed.close();
    await watch.done;
    expect((await host.node.containers.get(host.tenant, id)).state.status).toBe('running');
  });

  it('writes of many clients come one after the other, and the input ends with the first that ends its own', async () => {
    const id = await host.create(['cat'], { openStdin: true, stdinOnce: true });
    const [one, other] = [await host.attach(id, { stdin: true }), await host.attach(id, { stdin: true, stdout: false, stderr: false })];
    const early = one.write(Buffer.from('before '));
    await host.node.containers.start(host.tenant, id);
    await early;
    await Promise.all(Array.from({ length: 20 }, (_, index) => (index % 2 === 0 ? one : other).write(Buffer.from(`[${index}]`))));
    await other.end();
    await one.write(Buffer.from('too late'));
    expect(await outputOf(one)).toEqual({ stdout: `before ${Array.from({ length: 20 }, (_, index) => `[${index}]`).join('')}`, stderr: '', exitCode: 0 });
  });

  it('ends the input with a client that goes away only when it is for one', async () => {
    const once = await host.run(['cat'], { openStdin: true, stdinOnce: true });
    (await host.attach(once, { stdin: true })).close();
    await exited(once);
    const kept = await host.run(['cat'], { openStdin: true });
    const first = await host.attach(kept, { stdin: true });
    await first.end();
    first.close();
    const second = await host.attach(kept, { stdin: true });
    const watch = new ProcessWatch(second);
    await second.write(Buffer.from('still there\n'));
    await watch.until('still there');
    const deaf = await host.run(['sh', '-c', 'cat; echo ended'], {});
    await exited(deaf);
    expect(await logText(host.node, host.tenant, deaf)).toBe('ended\n');
  });

  it('gives a terminal the size that it was told before the start', async () => {
    const id = await host.create(['sh', '-c', 'stty size; read line; stty size'], { tty: true, openStdin: true });
    await host.processes.resize(host.tenant, id, { columns: 111, rows: 41 });
    const stream = await host.attach(id, { stdin: true });
    const watch = new ProcessWatch(stream);
    await host.node.containers.start(host.tenant, id);
    await watch.until('41 111');
    await host.processes.resize(host.tenant, id, { columns: 50, rows: 10 });
    await stream.write(Buffer.from('\n'));
    await watch.done;
    expect(watch.text()).toContain('10 50');
    await exited(id);
    await expect(host.processes.resize(host.tenant, id, { columns: 1, rows: 1 })).rejects.toMatchObject({ code: 'conflict', message: `Container ${id} is not running` });
  });

  it('is refused while the container is paused', async () => {
    const id = await host.run(IDLE);
    await host.node.containers.pause(host.tenant, id);
    await expect(host.attach(id)).rejects.toMatchObject({ code: 'conflict', message: 'You cannot attach to a paused container, unpause it first' });
    await host.node.containers.unpause(host.tenant, id);
    await expect(host.attach('nobody')).rejects.toMatchObject({ code: 'not_found', message: 'No such container: nobody' });
  });

  it('holds a process back for one who does not read, not the others, and lets it go when that one is gone', async () => {
    const id = await host.run(['sh', '-c', 'head -c 40000000 /dev/zero; echo done > /tmp/done; sleep 100']);
    const slow = await host.attach(id);
    const done = async () => (await outputOf((await host.exec(id, ['cat', '/tmp/done'])).stream)).stdout;
    await sleep(1000);
    expect(await done()).toBe('');
    const pieces = slow.output()[Symbol.asyncIterator]();
    expect((await pieces.next()).done).toBe(false);
    slow.close();
    while ((await done()) !== 'done\n') await sleep(50);
    const other = await host.attach(id);
    expect(await done()).toBe('done\n');
    await host.node.restart();
    other.close();
    expect(await done()).toBe('done\n');
  });

  it('is let go by a worker that ends', async () => {
    const id = await host.run(['sh', '-c', 'sleep 0.2; head -c 40000000 /dev/zero; echo done > /tmp/done; sleep 100']);
    await host.attach(id);
    await sleep(800);
    await host.node.restart();
    const done = async () => (await outputOf((await host.exec(id, ['cat', '/tmp/done'])).stream)).stdout;
    while ((await done()) !== 'done\n') await sleep(50);
  });

  it('keeps what it is asked to keep, while it is followed over every turn', async () => {
    const id = await host.create(['sh', '-c', 'i=0; while [ $i -lt 30000 ]; do i=$((i+1)); echo line $i; done'], {}, { logging: { driver: 'json-file', maxSizeBytes: 128 * 1024, maxFiles: 2, options: {} } });
    const stream = await host.attach(id);
    await host.node.containers.start(host.tenant, id);
    const expected = Array.from({ length: 30_000 }, (_, index) => `line ${index + 1}\n`).join('');
    expect((await outputOf(stream)).stdout === expected).toBe(true);
    await exited(id);
    const kept = await logText(host.node, host.tenant, id);
    expect(kept.length).toBeGreaterThan(64 * 1024);
    expect(kept.length).toBeLessThan(256 * 1024);
    expect(expected.endsWith(kept)).toBe(true);
    expect(await logText(host.node, host.tenant, id, undefined, { tail: 2 })).toBe('line 29999\nline 30000\n');
  }, 30_000);

  it('works live where nothing is kept; reading the log is refused', async () => {
    const id = await host.create(['sh', '-c', 'head -c 20000000 /dev/zero; exit 5'], {}, { logging: NOT_KEPT });
    const stream = await host.attach(id);
    await host.node.containers.start(host.tenant, id);
    const { stdout, exitCode } = await outputOf(stream);
    expect([stdout.length, exitCode]).toEqual([20_000_000, 5]);
    await expect(logText(host.node, host.tenant, id)).rejects.toMatchObject({ code: 'unsupported', message: 'configured logging driver does not support reading' });
    await host.node.containers.start(host.tenant, id);
    expect(await exited(id)).toEqual({ exitCode: 5 });
  });

  it('sees the same as everybody else, at any pace', async () => {
    const id = await host.create(['sh', '-c', `head -c ${8 * MIB} /dev/urandom`]);
    const streams = await Promise.all(Array.from({ length: 8 }, () => host.attach(id)));
    await host.node.containers.start(host.tenant, id);
    const seen = await Promise.all(
      streams.map(async (stream, index) => {
        const pieces: Buffer[] = [];
        for await (const { bytes } of stream.output()) {
          pieces.push(Buffer.from(bytes));
          if (index === 3) await sleep(2);
        }
        return Buffer.concat(pieces);
      }),
    );
    for (const each of seen) expect(each.equals(seen[0]!)).toBe(true);
    expect(seen[0]!.length).toBe(8 * MIB);
  }, 30_000);
});
