import { jest } from '@jest/globals';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CodedError, newId, silentLogger, systemClock } from '#kernel';
import type { AgentEvent, GuestAgent, Sandbox } from '../../runtime/index.js';
import { ContainerExecution, MAIN_PROCESS } from './container-execution.js';
import { ContainerLog } from './container-log.js';
import { ProcessChannel } from './process-channel.js';

/** The agent's end of one connection, played by the test. */
class Connection {
  readonly acknowledged: number[] = [];
  readonly ended = Promise.withResolvers<Error | undefined>();
  private readonly queue: AgentEvent[] = [];
  private wake = Promise.withResolvers<undefined>();

  constructor(private readonly onAcknowledge: (seq: number) => void) {}

  say(...events: AgentEvent[]): void {
    this.queue.push(...events);
    this.wake.resolve(undefined);
  }

  end(reason: Error | undefined): void {
    this.ended.resolve(reason);
    this.wake.resolve(undefined);
  }

  agent(): GuestAgent {
    const acknowledge = (seq: number): void => {
      this.onAcknowledge(seq);
      this.acknowledged.push(seq);
    };
    return { highestId: 0, events: () => this.events(), acknowledge, closed: this.ended.promise, close: () => { this.end(undefined); }, killAll: () => Promise.resolve() } as Partial<GuestAgent> as GuestAgent;
  }

  private async *events(): AsyncGenerator<AgentEvent> {
    const end = { come: false };
    void this.ended.promise.then(() => { end.come = true; });
    for (;;) {
      for (let event = this.queue.shift(); event !== undefined; event = this.queue.shift()) yield event;
      if (end.come) return;
      await this.wake.promise;
      this.wake = Promise.withResolvers();
      await Promise.resolve();
    }
  }
}

const output = (seq: number, text: string, processId = MAIN_PROCESS): AgentEvent => ({ seq, timeUs: seq, type: 'output', processId, stream: 'stdout', data: Buffer.from(text) });
const exit = (seq: number, exitCode: number | null, signal: number | null = null, processId = MAIN_PROCESS): AgentEvent => ({
  seq, timeUs: seq, type: 'exit', processId, exit: { exitCode, signal, userTimeUs: 0, systemTimeUs: 0, maxRssBytes: 0 },
});

describe('the execution of a container', () => {
  let folder: string;
  let log: ContainerLog;
  let main: ProcessChannel;
  let connections: Connection[];
  let destroyed: number;
  let afters: (number | 'kept')[];
  let refuse: Error | undefined;

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'execution-'));
    log = await ContainerLog.open(join(folder, 'log'));
    main = new ProcessChannel(log, { logger: silentLogger, keepsOutput: true });
    [connections, afters, destroyed, refuse] = [[], [], 0, undefined];
  });
  afterEach(async () => {
    await log.close();
    await rm(folder, { recursive: true, force: true });
  });

  const sandbox = {
    id: newId('sandbox'),
    createdAt: 0,
    connect: (after: number | 'kept') => {
      if (refuse !== undefined) return Promise.reject(refuse);
      afters.push(after);
      const connection = new Connection((seq) => {
        // The promise of it all: nothing is acknowledged that a crash could still take away.
        expect(main.oldestPending ?? Number.POSITIVE_INFINITY).toBeGreaterThan(seq);
      });
      connections.push(connection);
      return Promise.resolve(connection.agent());
    },
    usage: () => Promise.resolve({ cpuTimeUs: 0, memoryBytes: 0, memoryPeakBytes: 0, oomKills: 1, pids: 0 }),
    thaw: () => Promise.resolve(),
    destroy: () => {
      destroyed += 1;
      connections.at(-1)?.end(new CodedError('unavailable', 'gone'));
      return Promise.resolve();
    },
  } as Partial<Sandbox> as Sandbox;

  async function started(): Promise<ContainerExecution> {
    const execution = new ContainerExecution({ sandbox, main, start: 1, clock: systemClock, logger: silentLogger });
    await execution.connect();
    execution.follow();
    return execution;
  }

  it('acknowledges what stands in the log, and no sooner', async () => {
    const execution = await started();
    connections[0]!.say({ seq: 1, timeUs: 1, type: 'started', processId: MAIN_PROCESS, pid: 2 }, output(2, 'a'), output(3, 'b'));
    while (connections[0]!.acknowledged.at(-1) !== 3) await new Promise(setImmediate);
    connections[0]!.say(output(4, 'c'), exit(5, 9));
    expect(await execution.ended).toMatchObject({ exitCode: 9, oomKilled: true });
    expect(connections[0]!.acknowledged.at(-1)).toBe(5);
    expect(log.last).toMatchObject({ type: 'exited', value: 9, seq: 5 });
    expect(destroyed).toBe(1);
  });

  it('makes the guest wait while the log cannot be written', async () => {
    const append = jest.spyOn(log, 'append').mockRejectedValueOnce(new Error('ENOSPC'));
    const execution = await started();
    connections[0]!.say(output(1, 'a'));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(connections[0]!.acknowledged).toEqual([]);
    connections[0]!.say(exit(2, null, 15));
    expect(await execution.ended).toMatchObject({ exitCode: 143 });
    expect(append.mock.calls.length).toBeGreaterThan(1);
    append.mockRestore();
  });

  it('goes on over a new connection behind what it has', async () => {
    const execution = await started();
    connections[0]!.say(output(1, 'a'), output(2, 'b'));
    connections[0]!.end(new CodedError('unavailable', 'gone'));
    while (connections.length < 2) await new Promise(setImmediate);
    // What was not acknowledged comes again.
    connections[1]!.say(output(2, 'b'), exit(3, 0));
    expect(await execution.ended).toMatchObject({ exitCode: 0 });
    expect(afters).toEqual(['kept', 'kept']);
    expect(log.last).toMatchObject({ seq: 3, number: 2 });
  });

  it.each(['protocol_violation', 'unavailable'] as const)('ends what cannot be talked to: %s', async (code) => {
    const reason = new CodedError(code, 'no more');
    const execution = await started();
    if (reason.code === 'unavailable') refuse = reason;
    connections[0]!.end(reason);
    expect(await execution.ended).toMatchObject({ exitCode: 137 });
    expect(destroyed).toBe(1);
  });

  it('lets go when another takes over, and when it is told to', async () => {
    const one = await started();
    connections[0]!.end(undefined);
    expect(await one.ended).toBeUndefined();
    const other = await started();
    connections[1]!.say(output(1, 'a'));
    await other.release();
    expect(await other.ended).toBeUndefined();
    expect(destroyed).toBe(0);
  });

  it('brings each process its own, and acknowledges no event before all that came before it are written', async () => {
    const exec = new ProcessChannel(await ContainerLog.open(join(folder, 'exec')), { logger: silentLogger, keepsOutput: true });
    const execution = await started();
    const id = execution.newProcessId();
    expect(id).toBeGreaterThan(MAIN_PROCESS);
    execution.attach(id, exec);
    const blocked = Promise.withResolvers<never[]>();
    const append = jest.spyOn(exec.log, 'append').mockReturnValueOnce(blocked.promise);
    connections[0]!.say(output(1, 'a'), output(2, 'x', id), output(3, 'b'), output(4, 'nobody', 77));
    while (log.last?.seq !== 3) await new Promise(setImmediate);
    expect(connections[0]!.acknowledged.every((seq) => seq <= 1)).toBe(true);
    connections[0]!.end(new CodedError('unavailable', 'gone'));
    blocked.reject(new Error('EIO'));
    while (connections.length < 2) await new Promise(setImmediate);
    append.mockRestore();
    // Everything that was not acknowledged comes again, to each its own.
    connections[1]!.say(output(2, 'x', id), output(3, 'b'), output(4, 'nobody', 77), output(5, 'y', id));
    while (connections[1]!.acknowledged.at(-1) !== 5) await new Promise(setImmediate);
    expect([log.last.number, exec.log.last?.number]).toEqual([2, 2]);
    connections[1]!.say(exit(6, 0));
    expect(await execution.ended).toMatchObject({ exitCode: 0 });
    await exec.settled();
    expect(exec.log.last).toMatchObject({ type: 'signalled', value: 9 });
    await exec.log.close();
  });

  it('says again over the next connection what a lost one did not answer, and nothing when all is over', async () => {
    const execution = await started();
    let calls = 0;
    const asked = execution.talk(async (agent) => {
      calls += 1;
      if (calls === 1) {
        connections[0]!.end(new CodedError('unavailable', 'gone'));
        await agent.closed;
        throw new CodedError('unavailable', 'gone');
      }
      return calls;
    });
    expect(await asked).toBe(2);
    await expect(execution.talk(() => Promise.reject(new CodedError('not_found', 'no such process')))).rejects.toMatchObject({ code: 'not_found' });
    connections[1]!.say(exit(1, 0));
    await execution.ended;
    await expect(execution.talk(() => Promise.resolve(1))).rejects.toMatchObject({ code: 'unavailable' });
  });

  it('needs nobody when the end is in the log already', async () => {
    const first = await started();
    connections[0]!.say(exit(1, 4));
    await first.ended;
    const second = new ContainerExecution({ sandbox, main, start: 1, clock: systemClock, logger: silentLogger });
    second.follow();
    expect(await second.ended).toMatchObject({ exitCode: 4 });
    expect(connections).toHaveLength(1);
    expect(new ContainerExecution({ sandbox, main, start: 2, clock: systemClock, logger: silentLogger }).connected).toBe(false);
  });

  it('destroys what does not die', async () => {
    const execution = await started();
    await execution.kill(20);
    expect(await execution.ended).toMatchObject({ exitCode: 137 });
  });
});
