import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AgentConnection } from './agent-connection.js';
import { buildAgent, Collector, guest, LaunchedAgent, run } from './launched-agent.contract.js';

const MEGABYTE = 1_000_000;
const EVENT_BUFFER_BYTES = 4 * 1024 * 1024;
const PIPE_BYTES = 256 * 1024;

/** `seq` prints numbers; what it printed is known without keeping it. */
function numbers(last: number): string {
  return Array.from({ length: last }, (_, index) => `${index + 1}\n`).join('');
}

describe('the guest agent and its host', () => {
  let programs: string;
  let launched: LaunchedAgent;

  beforeAll(async () => {
    programs = await buildAgent();
  });
  afterAll(async () => {
    await rm(programs, { recursive: true, force: true });
  });
  beforeEach(async () => {
    launched = await LaunchedAgent.launch(programs);
  });
  afterEach(async () => {
    await launched.stop();
  });

  async function blocked(agent: AgentConnection): Promise<boolean> {
    return agent.readFile('/mnt/done', 10).then(() => false, () => true);
  }

  /** Waits until nothing has come for a second, which is longer than the agent's deadline for a descendant's output. */
  async function silence(collector: Collector): Promise<void> {
    for (let seen = -1; seen !== collector.lastSeq || seen < 1;) {
      seen = collector.lastSeq;
      await sleep(1000);
    }
  }

  it('makes a guest wait for a host that does not read; then everything comes', async () => {
    const agent = await launched.connect();
    const spec = guest(['sh', '-c', `head -c ${50 * MEGABYTE} /dev/zero; echo yes > /mnt/done`]);
    await agent.start(spec);
    await sleep(700);
    expect(await blocked(agent)).toBe(true);
    let bytes = 0;
    let exited = false;
    for await (const event of agent.events()) {
      if (event.type === 'output') bytes += event.data.length;
      agent.acknowledge(event.seq);
      if (event.type !== 'exit') continue;
      exited = true;
      break;
    }
    expect({ bytes, exited }).toEqual({ bytes: 50 * MEGABYTE, exited: true });
    expect(await blocked(agent)).toBe(false);
    agent.close();
  });

  it('keeps at most its buffer for a host that does not acknowledge, and other processes find room', async () => {
    const agent = await launched.connect();
    const collector = new Collector(agent, 0, false);
    const spec = guest(['sh', '-c', `head -c ${20 * MEGABYTE} /dev/zero; echo yes > /mnt/done`]);
    await agent.start(spec);
    await silence(collector);
    const size = (): number => collector.of(spec.id).reduce((sum, event) => sum + (event.type === 'output' ? event.data.length : 0), 0);
    expect(size()).toBeGreaterThan(EVENT_BUFFER_BYTES / 2);
    expect(size()).toBeLessThanOrEqual(EVENT_BUFFER_BYTES);
    expect((await run(agent, collector, guest(['echo', 'newcomer']))).stdout).toBe('newcomer\n');
    expect(await blocked(agent)).toBe(true);
    const acknowledging = setInterval(() => { agent.acknowledge(collector.lastSeq); }, 5);
    await collector.exit(spec.id);
    clearInterval(acknowledging);
    expect(size()).toBe(20 * MEGABYTE);
    agent.close();
  });

  it('reports of a descendant\'s endless output what lay in the pipe at the deadline, and then the exit', async () => {
    const agent = await launched.connect();
    const collector = new Collector(agent, 0, false);
    const spec = guest(['sh', '-c', 'yes & yes & yes & exit 5']);
    await agent.start(spec);
    await silence(collector);
    const before = collector.text(spec.id, 'stdout').length;
    agent.acknowledge(collector.lastSeq);
    const finished = await collector.exit(spec.id);
    expect(finished.exit.exitCode).toBe(5);
    expect(finished.stdout.length - before).toBeGreaterThan(0);
    expect(finished.stdout.length - before).toBeLessThanOrEqual(PIPE_BYTES);
    agent.close();
  });

  it('loses and repeats nothing when the host comes back, again and again', async () => {
    const last = 300_000;
    const first = await launched.connect();
    const spec = guest(['seq', '1', String(last)]);
    await first.start(spec);
    first.close();
    let after = 0;
    let safe = 0;
    let text = '';
    let connections = 0;
    for (let exited = false; !exited; connections += 1) {
      const agent = await launched.connect(after);
      let seen = 0;
      for await (const event of agent.events()) {
        expect(event.seq).toBe(after + 1);
        after = event.seq;
        if (event.type === 'output') text += event.data.toString();
        exited = event.type === 'exit';
        // Sometimes what is safe is told, sometimes only the next greeting tells.
        if (connections % 2 === 0) agent.acknowledge((safe = after));
        seen += 1;
        if (exited || seen === 7) break;
      }
      agent.close();
    }
    expect(connections).toBeGreaterThan(3);
    expect(safe).toBeGreaterThan(0);
    expect(text === numbers(last)).toBe(true);
  });

  it('leaves a program alone for a moment that writes on and on, so that its small writes come in large pieces', async () => {
    const agent = await launched.connect();
    const collector = new Collector(agent);
    const finished = await run(agent, collector, guest(['dd', 'if=/dev/zero', 'bs=512', 'count=100000', 'status=none']));
    expect(finished.stdout.length).toBe(100_000 * 512);
    const pieces = finished.events.flatMap((event) => (event.type === 'output' ? [{ timeUs: event.timeUs, emptied: event.data.length < 65_536 }] : []));
    const gaps = pieces.slice(1).map(({ timeUs }, index) => ({ us: timeUs - pieces[index]!.timeUs, emptied: pieces[index]!.emptied }));
    // Whenever it has been slow the next eight pieces are taken as they come, since it may have stopped pouring.
    const pauses = gaps.filter(({ us }) => us > 900).length;
    expect(gaps.filter(({ us, emptied }) => emptied && us < 200).length).toBeLessThanOrEqual(10 * (1 + pauses));
    agent.close();
  });

  it('keeps the end of a process that ended while nobody was there', async () => {
    const agent = await launched.connect();
    const spec = guest(['sh', '-c', 'sleep 0.1; echo alone; exit 3']);
    await agent.start(spec);
    agent.close();
    await expect(agent.closed).resolves.toBeUndefined();
    await sleep(300);
    const again = await launched.connect();
    const collector = new Collector(again);
    expect(await collector.exit(spec.id)).toMatchObject({ stdout: 'alone\n', exit: { exitCode: 3 } });
    again.close();
  });

  it('refuses to begin before what was acknowledged, or behind what has happened', async () => {
    const agent = await launched.connect();
    await run(agent, new Collector(agent), guest(['true']));
    await agent.ping();
    agent.close();
    await expect(launched.connect(0)).rejects.toMatchObject({ code: 'failed_precondition' });
    await expect(launched.connect(99)).rejects.toMatchObject({ code: 'protocol_violation' });
    (await launched.connect(2)).close();
  });

  it('lets a new connection take over, in the middle of a flood too', async () => {
    const old = await launched.connect();
    const spec = guest(['seq', '1', '400000']);
    await old.start(spec);
    await sleep(100);
    const heir = await launched.connect();
    const late = expect(old.ping()).rejects.toMatchObject({ code: 'unavailable' });
    const drained = new Collector(old, 0, false);
    await expect(old.closed).resolves.toBeUndefined();
    await Promise.all([late, drained.done]);
    const finished = await new Collector(heir).exit(spec.id);
    expect(finished.stdout === numbers(400_000)).toBe(true);
    await heir.ping();
    heir.close();
  });

  it('holds one process back when it is told to, the others not, until it is told otherwise or the connection ends', async () => {
    const agent = await launched.connect();
    const collector = new Collector(agent);
    const size = (id: number): number => collector.of(id).reduce((sum, event) => sum + (event.type === 'output' ? event.data.length : 0), 0);
    const [held, free] = [guest(['head', '-c', String(20 * MEGABYTE), '/dev/zero'], { stdio: { kind: 'pipes', stdin: true } }), guest(['head', '-c', String(20 * MEGABYTE), '/dev/zero'])];
    await expect(agent.holdOutput(held.id, true)).rejects.toMatchObject({ code: 'not_found' });
    await agent.start(held);
    await agent.holdOutput(held.id, true);
    const before = size(held.id);
    expect((await run(agent, collector, free)).exit.exitCode).toBe(0);
    expect(size(held.id) - before).toBeLessThan(EVENT_BUFFER_BYTES);
    expect(collector.of(held.id).some((event) => event.type === 'exit')).toBe(false);
    await agent.holdOutput(held.id, false);
    expect((await collector.exit(held.id)).exit.exitCode).toBe(0);
    expect(size(held.id)).toBe(20 * MEGABYTE);
    await agent.holdOutput(held.id, true);
    const left = guest(['sh', '-c', `head -c ${20 * MEGABYTE} /dev/zero; exit 3`]);
    await agent.start(left);
    await agent.holdOutput(left.id, true);
    agent.close();
    const again = await launched.connect('kept');
    expect((await new Collector(again).exit(left.id)).exit.exitCode).toBe(3);
    again.close();
  });

  it('kills with a connection what was tied to it, and nothing else', async () => {
    const agent = await launched.connect();
    const [tied, free] = [guest(['sh', '-c', 'sleep 100 & sleep 100'], { tied: true }), guest(['sleep', '100'])];
    for (const spec of [tied, free]) await agent.start(spec);
    const again = await launched.connect('kept');
    const collector = new Collector(again);
    expect((await collector.exit(tied.id)).exit.signal).toBe(9);
    await again.ping();
    expect(collector.of(free.id).map((event) => event.type)).toEqual(['started']);
    again.close();
  });

  it('tells a host that knows nothing what it still has, and which ids were used', async () => {
    const first = await launched.connect('kept');
    expect(first.highestId).toBe(0);
    const [spec, other] = [guest(['echo', 'one']), guest(['nothing-of-that-name'])];
    await run(first, new Collector(first), spec);
    await expect(first.start(other)).rejects.toMatchObject({ code: 'not_found' });
    const late = guest(['sh', '-c', 'echo two; exit 2']);
    await first.ping();
    first.close();
    const second = await launched.connect('kept');
    expect(second.highestId).toBe(other.id);
    const collector = new Collector(second);
    expect((await run(second, collector, late)).stdout).toBe('two\n');
    const [started] = collector.of(late.id);
    expect(started).toMatchObject({ type: 'started', pid: expect.any(Number) });
    expect(started).not.toMatchObject({ pid: 1 });
    expect(collector.of(spec.id)).toEqual([]);
    second.close();
  });

  it('tells when the sandbox is gone', async () => {
    const agent = await launched.connect();
    const waiting = expect(agent.start(guest(['sleep', '1'])).then(() => agent.writeStdin(1, 0, Buffer.alloc(1)))).rejects.toBeDefined();
    await launched.stop();
    await waiting;
    await expect(agent.closed).resolves.toMatchObject({ code: 'unavailable' });
    await expect(agent.ping()).rejects.toMatchObject({ code: 'unavailable' });
    await expect(launched.connect()).rejects.toMatchObject({ code: 'unavailable' });
  });
});
