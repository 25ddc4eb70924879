import { rm } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';
import type { CodedError } from '#kernel';
import type { AgentConnection } from './agent-connection.js';
import { buildAgent, Collector, guest, LaunchedAgent, run } from './launched-agent.contract.js';

const WITH_STDIN = { stdio: { kind: 'pipes', stdin: true } } as const;
const PTY = { stdio: { kind: 'pty', columns: 80, rows: 24 } } as const;

describe('the guest agent and its processes', () => {
  let programs: string;
  let launched: LaunchedAgent;
  let agent: AgentConnection;
  let collector: Collector;

  beforeAll(async () => {
    programs = await buildAgent();
  });
  afterAll(async () => {
    await rm(programs, { recursive: true, force: true });
  });
  beforeEach(async () => {
    launched = await LaunchedAgent.launch(programs);
    agent = await launched.connect();
    collector = new Collector(agent);
  });
  afterEach(async () => {
    await launched.stop();
    agent.close();
  });

  it('keeps stdout and stderr apart and tells the exit code, behind the last output', async () => {
    const finished = await run(agent, collector, guest(['sh', '-c', 'echo out; echo err >&2; exit 7']));
    expect(finished).toMatchObject({ stdout: 'out\n', stderr: 'err\n', exit: { exitCode: 7, signal: null } });
    expect(finished.events.map((event) => event.type)).toEqual(['started', 'output', 'output', 'exit']);
    expect(finished.events.map((event) => event.seq)).toEqual([1, 2, 3, 4]);
    expect(Math.abs(finished.events[0]!.timeUs / 1000 - Date.now())).toBeLessThan(5000);
  });

  it('reports CPU time and peak memory', async () => {
    const { exit } = await run(agent, collector, guest(['sh', '-c', 'i=0; while [ $i -lt 200000 ]; do i=$((i+1)); done']));
    expect(exit.userTimeUs + exit.systemTimeUs).toBeGreaterThan(10_000);
    expect(exit.maxRssBytes).toBeGreaterThan(500_000);
    expect(exit.maxRssBytes).toBeLessThan(100_000_000);
  });

  it('feeds stdin up to its end', async () => {
    const spec = guest(['sh', '-c', 'wc -c; echo over'], WITH_STDIN);
    await agent.start(spec);
    await Promise.all([agent.writeStdin(spec.id, 0, Buffer.alloc(3_000_000, 'x')), agent.writeStdin(spec.id, 3_000_000, Buffer.from('abc')), agent.closeStdin(spec.id)]);
    expect((await collector.exit(spec.id)).stdout).toBe('3000003\nover\n');
    await expect(agent.writeStdin(spec.id, 3_000_003, Buffer.from('x'))).rejects.toMatchObject({ code: expect.stringMatching(/failed_precondition|not_found/) });
    await expect(agent.writeStdin(2_000_000, 0, Buffer.from('x'))).rejects.toMatchObject({ code: 'not_found' });
  });

  it('makes a writer wait for a guest that does not read, and lets it go when the guest ends', async () => {
    const spec = guest(['sleep', '100'], WITH_STDIN);
    await agent.start(spec);
    let settled = false;
    const writing = agent.writeStdin(spec.id, 0, Buffer.alloc(4_000_000)).finally(() => { settled = true; });
    const refused = expect(writing).rejects.toMatchObject({ code: 'failed_precondition' });
    await sleep(300);
    expect(settled).toBe(false);
    await agent.ping();
    await agent.signal(spec.id, 9);
    await refused;
    expect((await collector.exit(spec.id)).exit).toMatchObject({ exitCode: null, signal: 9 });
  });

  it('takes each byte of stdin once, however often it is sent, and no gap', async () => {
    const spec = guest(['sh', '-c', 'cat; echo over'], WITH_STDIN);
    await agent.start(spec);
    expect(await agent.writeStdin(spec.id, 0, Buffer.from('0123'))).toBe(4);
    expect(await agent.writeStdin(spec.id, 0, Buffer.from('0123'))).toBe(4);
    expect(await agent.writeStdin(spec.id, 2, Buffer.from('2345'))).toBe(6);
    expect(await agent.writeStdin(spec.id, 0, Buffer.alloc(0))).toBe(6);
    await expect(agent.writeStdin(spec.id, 7, Buffer.from('7'))).rejects.toMatchObject({ code: 'failed_precondition' });
    await agent.closeStdin(spec.id);
    expect([6, 'not_found']).toContain(await agent.writeStdin(spec.id, 1, Buffer.from('1234')).catch((error: unknown) => (error as CodedError).code));
    expect((await collector.exit(spec.id)).stdout).toBe('012345over\n');
  });

  it('lets a new connection go on where a write of the old one still waits', async () => {
    const spec = guest(['sh', '-c', 'sleep 0.5; wc -c'], WITH_STDIN);
    await agent.start(spec);
    const bytes = Buffer.alloc(3_000_000, 'y');
    const waiting = expect(agent.writeStdin(spec.id, 0, bytes)).rejects.toMatchObject({ code: 'unavailable' });
    await sleep(100);
    const heir = await launched.connect(collector.lastSeq);
    const heard = new Collector(heir, collector.lastSeq);
    await waiting;
    expect(await heir.writeStdin(spec.id, 0, bytes)).toBe(3_000_000);
    await heir.closeStdin(spec.id);
    expect((await heard.exit(spec.id)).stdout).toBe('3000000\n');
    heir.close();
  });

  it('gives no stdin to who asked for none', async () => {
    expect((await run(agent, collector, guest(['sh', '-c', 'cat; readlink /proc/self/fd/0']))).stdout).toBe('/dev/null\n');
  });

  it('signals the whole process group', async () => {
    const spec = guest(['sh', '-c', 'sh -c "trap \\"echo child; exit\\" TERM; echo ready; while :; do sleep 0.05; done" & wait; wait']);
    await agent.start(spec);
    await collector.until(() => collector.text(spec.id, 'stdout').includes('ready'));
    await agent.signal(spec.id, 15);
    const finished = await collector.exit(spec.id);
    expect(finished.exit.signal).toBe(15);
    expect(finished.stdout).toBe('ready\nchild\n');
    await agent.signal(spec.id, 15);
    await expect(agent.signal(2_000_000, 15)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('signals the process alone when it is told to', async () => {
    const spec = guest(['sh', '-c', 'trap "echo parent; exit" TERM; sh -c "trap \\"echo child\\" TERM; echo ready; sleep 0.3; echo over" & while :; do sleep 0.05; done']);
    await agent.start(spec);
    await collector.until(() => collector.text(spec.id, 'stdout').includes('ready'));
    await agent.signal(spec.id, 15, { alone: true });
    const { stdout, exit } = await collector.exit(spec.id);
    expect(stdout).toMatch(/^ready\nparent\n/);
    expect(stdout).not.toContain('child');
    expect(exit.exitCode).toBe(0);
  });

  it('runs a terminal, resizes it and ends its input', async () => {
    const spec = guest(['bash', '-c', 'stty -echo; tty; stty size; trap "stty size" WINCH; while read -r line; do echo "<$line>"; done; echo end; stty size'], PTY);
    await agent.start(spec);
    await collector.until(() => collector.text(spec.id, 'stdout').includes('24 80'));
    await agent.resize(spec.id, 132, 43);
    await agent.writeStdin(spec.id, 0, Buffer.from('hello\n'));
    await agent.writeStdin(spec.id, 6, Buffer.from('no newline'));
    await agent.closeStdin(spec.id);
    const { stdout, exit } = await collector.exit(spec.id);
    expect(exit.exitCode).toBe(0);
    expect(stdout).toContain('/dev/pts/0\r\n24 80\r\n');
    expect(stdout).toContain('<hello>\r\n');
    expect(stdout).toMatch(/end\r\n43 132\r\n$/);
    await expect(agent.resize(2_000_000, 1, 1)).rejects.toMatchObject({ code: 'not_found' });
  });

  it('interrupts the terminal\'s foreground job by its control character', async () => {
    // No shell: dash loses a SIGINT that arrives while it starts a child. Started means that execve has set the default action.
    const spec = guest(['sleep', '100'], PTY);
    await agent.start(spec);
    await agent.writeStdin(spec.id, 0, Buffer.from([3]));
    expect((await collector.exit(spec.id)).exit.signal).toBe(2);
  });

  it('says why a program could not be started', async () => {
    await agent.writeFile({ path: '/mnt/plain', content: Buffer.from('text'), mode: 0o644, uid: 1000, gid: 1000 });
    await agent.writeFile({ path: '/mnt/strange', content: Buffer.from('text'), mode: 0o755, uid: 1000, gid: 1000 });
    await agent.writeFile({ path: '/mnt/closed/x', content: Buffer.from(''), mode: 0o600, uid: 0, gid: 0 });
    await run(agent, collector, guest(['chmod', '700', '/mnt/closed'], { uid: 0, gid: 0 }));
    const cases: [Parameters<typeof guest>, string][] = [
      [[['no-such-program']], 'not_found'],
      [[['/mnt/none']], 'not_found'],
      [[['/mnt/plain']], 'permission_denied'],
      [[['/mnt/plain/x']], 'not_found'],
      [[['/mnt/strange']], 'invalid_argument'],
      [[['true'], { cwd: '/none' }], 'not_found'],
      [[['true'], { cwd: '/mnt/plain' }], 'not_found'],
      [[['true'], { cwd: '/mnt/closed' }], 'permission_denied'],
      [[['true', 'x'.repeat(200_000)]], 'invalid_argument'],
      [[['true'], { uid: 70_000 }], 'invalid_argument'],
    ];
    for (const [words, code] of cases) await expect(agent.start(guest(...words))).rejects.toMatchObject({ code });
    // An error is an answer, not an event: the only events are those of chmod.
    expect(collector.events.map((event) => event.type)).toEqual(['started', 'exit']);
  });

  it('starts an id once', async () => {
    const spec = guest(['sh', '-c', 'echo once; sleep 0.2']);
    await Promise.all([agent.start(spec), agent.start(spec), agent.start(spec)]);
    await agent.start(spec);
    const finished = await collector.exit(spec.id);
    await agent.ping();
    await agent.start(spec);
    expect(finished.stdout).toBe('once\n');
    const absent = guest(['/mnt/later']);
    await expect(agent.start(absent)).rejects.toMatchObject({ code: 'not_found' });
    await agent.writeFile({ path: '/mnt/later', content: Buffer.from('#!/bin/sh\n'), mode: 0o755, uid: 0, gid: 0 });
    await expect(agent.start(absent)).rejects.toMatchObject({ code: 'not_found' });
    await run(agent, collector, guest(['/mnt/later']));
    expect(collector.events.filter((event) => event.type === 'started')).toHaveLength(2);
  });

  it('starts nothing when a file does not hold what is expected of it', async () => {
    const write = (path: string, text: string) => agent.writeFile({ path, content: Buffer.from(text), mode: 0o600, uid: 0, gid: 0 });
    const expecting = (...files: readonly (readonly [string, string])[]) => guest(['echo', 'yes'], { expects: files.map(([path, text]) => ({ path, content: Buffer.from(text) })) });
    const long = 'x'.repeat(10_000);
    await write('/mnt/short', 'one\n');
    await write('/mnt/long', long);
    await run(agent, collector, guest(['ln', '-s', '/mnt/short', '/mnt/link'], { uid: 0, gid: 0 }));
    for (const spec of [expecting(['/mnt/short', 'one\n'], ['/mnt/long', long]), expecting(['/mnt/none', ''], ['/mnt/link', ''], ['/mnt', '']), expecting()]) {
      expect((await run(agent, collector, spec)).stdout).toBe('yes\n');
    }
    const others = [['/mnt/short', 'one'], ['/mnt/short', 'one\n\n'], ['/mnt/short', 'two\n'], ['/mnt/short', ''], ['/mnt/none', 'one\n'], ['/mnt/link', 'one\n'], ['/mnt/long', `${long.slice(1)}y`]] as const;
    for (const other of others) {
      const spec = expecting(['/mnt/long', long], other);
      await expect(agent.start(spec)).rejects.toMatchObject({ code: 'failed_precondition' });
      // The id is free: nothing has come of it.
      expect((await run(agent, collector, { ...spec, argv: ['echo', 'now'], expects: [] })).stdout).toBe('now\n');
    }
    await expect(agent.start(expecting(['/mnt/../x', '']))).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(agent.start(expecting(...Array.from({ length: 5 }, () => ['/mnt/none', ''] as const)))).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('answers a start that it knows whatever is expected of files by now', async () => {
    const file = { path: '/mnt/file', mode: 0o600, uid: 0, gid: 0 };
    await agent.writeFile({ ...file, content: Buffer.from('then') });
    const spec = guest(['cat'], { ...WITH_STDIN, expects: [{ path: file.path, content: Buffer.from('then') }] });
    await agent.start(spec);
    await agent.writeFile({ ...file, content: Buffer.from('now') });
    await agent.start(spec);
    await agent.closeStdin(spec.id);
    expect((await collector.exit(spec.id)).exit.exitCode).toBe(0);
  });

  it('reaps orphans', async () => {
    await run(agent, collector, guest(['sh', '-c', 'for i in 1 2 3 4 5 6 7 8; do (sleep 0.05 >/dev/null 2>&1 &) ; done']));
    await sleep(300);
    const { stdout } = await run(agent, collector, guest(['sh', '-c', 'cat /proc/[0-9]*/stat | grep -c " Z "; ls -d /proc/[0-9]* | wc -l']));
    expect(stdout).toMatch(/^0\n[1-6]\n$/);
  });

  it('does not wait for descendants that keep the streams open', async () => {
    const began = Date.now();
    const spec = guest(['sh', '-c', 'echo first; sleep 100 & yes > /dev/null & exit 4']);
    const finished = await run(agent, collector, spec);
    expect(finished).toMatchObject({ stdout: 'first\n', exit: { exitCode: 4 } });
    expect(Date.now() - began).toBeGreaterThanOrEqual(90);
    expect(Date.now() - began).toBeLessThan(10_000);
    const flooded = Date.now();
    const flood = await run(agent, collector, guest(['sh', '-c', 'yes & yes & yes & yes & exit 5']));
    expect(flood.exit.exitCode).toBe(5);
    expect(Date.now() - flooded).toBeLessThan(10_000);
    await agent.killAll();
  });

  it('stays in command of a fork bomb', async () => {
    const bomb = guest(['bash', '-c', ':(){ :|:& };:; while :; do sleep 1; done'], { rlimits: { nproc: 150 } });
    await agent.start(bomb);
    await sleep(500);
    await agent.ping();
    await agent.killAll();
    expect((await collector.exit(bomb.id)).exit.signal).toBe(9);
    await sleep(200);
    expect((await run(agent, collector, guest(['sh', '-c', 'ls -d /proc/[0-9]* | wc -l']))).stdout).toMatch(/^[1-6]\n$/);
  }, 20_000);

  it('gives the limits, groups, folder and environment that were asked for', async () => {
    const spec = guest(['sh', '-c', 'ulimit -n; ulimit -Hn; ulimit -c; id -u; id -G; pwd; env | sort | head -3; umask'], {
      rlimits: { nofile: { soft: 123, hard: 456 }, core: 0 },
      supplementaryGids: [2000, 3000],
      env: ['ONLY=this', 'PATH=/usr/bin:/bin'],
      cwd: '/usr',
    });
    expect((await run(agent, collector, spec)).stdout).toBe('123\n456\n0\n1000\n1000 2000 3000\n/usr\nONLY=this\nPATH=/usr/bin:/bin\nPWD=/usr\n0022\n');
  });
});
