import { createHash, randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { isCodedError } from '#kernel';
import type { ExecSpec } from './index.js';
import { logText, NEVER } from './testing/container-requests.js';
import { IDLE, ProcessHost } from './testing/process-host.js';
import { execOf, outputOf, ProcessWatch } from './testing/process-streams.js';

const FAILURE = 'OCI runtime exec failed: exec failed: unable to start container process: ';

describe('execs', () => {
  let host: ProcessHost;
  beforeAll(async () => {
    host = await ProcessHost.open('execs');
  }, 120_000);
  afterEach(() => host.removeAll());
  afterAll(async () => {
    expect(await host.close()).toEqual([]);
  }, 60_000);

  async function output(container: string, argv: readonly string[], more: Partial<ExecSpec> = {}): Promise<string> {
    return (await outputOf((await host.exec(container, argv, more)).stream)).stdout;
  }

  it('run a program in the container\u2019s surroundings, and tell its output and exit code', async () => {
    const since = host.node.events.position(host.tenant);
    const id = await host.run(IDLE, { env: ['A=1'], workingDir: '/tmp' });
    const { id: execId, stream } = await host.exec(id, ['sh', '-c', 'echo $A $B $FROM_IMAGE $HOME $HOSTNAME; pwd; echo err >&2; exit 7'], { env: ['B=2'] });
    expect(await outputOf(stream)).toEqual({ stdout: `1 2 1 /root ${id.slice(0, 12)}\n/tmp\n`, stderr: 'err\n', exitCode: 7 });
    const seen = await host.processes.getExec(host.tenant, execId);
    expect(seen).toMatchObject({ id: execId, containerId: id, state: 'ended', exitCode: 7, signal: null, pid: 0 });
    expect(seen.finishedAt!).toBeGreaterThanOrEqual(seen.startedAt!);
    expect(await logText(host.node, host.tenant, id)).toBe('');
    const published: string[] = [];
    for await (const { action, attributes } of host.node.events.follow(host.tenant, since - 1n, NEVER)) {
      if (attributes['execID'] === execId) published.push(`${action.split(':')[0]} ${attributes['exitCode'] ?? ''}`);
      if (action === 'exec_die') break;
    }
    expect(published).toEqual(['exec_create ', 'exec_start ', 'exec_die 7']);
  });

  it('talk through a terminal whose size follows, until the detach keys', async () => {
    const id = await host.run(IDLE);
    const { id: execId } = await host.processes.createExec(host.tenant, id, execOf(['sh'], { tty: true, openStdin: true }));
    const stream = await host.attachExec(execId, { stdin: true });
    const watch = new ProcessWatch(stream);
    await host.processes.startExec(host.tenant, execId, { columns: 101, rows: 31 });
    await stream.write(Buffer.from('stty size; echo $TERM\n'));
    await watch.until('31 101\r\nxterm');
    await host.processes.resizeExec(host.tenant, execId, { columns: 60, rows: 20 });
    await host.processes.resizeExec(host.tenant, execId, { columns: 0, rows: 0 });
    await stream.write(Buffer.from('stty size\n'));
    await watch.until('20 60\r\n');
    await stream.write(Buffer.from('\u0010\u0011echo never typed\n'));
    expect(await stream.ended).toBeUndefined();
    await watch.done;
    const again = await host.attachExec(execId, { stdin: true, logs: true, detachKeys: Buffer.from('XY') });
    const later = new ProcessWatch(again);
    await again.write(Buffer.from('echo \u0010\u0011 X-Z; exit 4\n'));
    await later.done;
    expect(later.text()).not.toContain('never typed');
    expect(later.text()).toContain('X-Z');
    expect(again.tty).toBe(true);
    expect(await again.ended).toEqual({ exitCode: 4 });
  });

  it('hand 100 MB through stdin and back, equal to the last byte, and end with the input', async () => {
    const id = await host.run(IDLE);
    const { stream } = await host.exec(id, ['cat'], { openStdin: true });
    const [sent, got] = [createHash('sha256'), createHash('sha256')];
    const block = randomBytes(1024 * 1024);
    const writing = (async () => {
      for (let n = 0; n < 100; n += 1) {
        block.writeUInt32LE(n, 0);
        sent.update(block);
        await stream.write(Buffer.from(block));
      }
      await stream.end();
    })();
    let bytes = 0;
    for await (const chunk of stream.output()) {
      got.update(chunk.bytes);
      bytes += chunk.bytes.length;
    }
    await writing;
    expect(bytes).toBe(100 * 1024 * 1024);
    expect(got.digest('hex')).toBe(sent.digest('hex'));
    expect(await stream.ended).toEqual({ exitCode: 0 });
  }, 60_000);

  it('run fifty at once, each with its own output and end', async () => {
    const id = await host.run(IDLE, {}, { limits: { pids: 500 } });
    const results = await Promise.all(
      Array.from({ length: 50 }, async (_, index) => outputOf((await host.exec(id, ['sh', '-c', `echo out ${index}; echo err ${index} >&2; exit ${index}`])).stream)),
    );
    for (const [index, result] of results.entries()) expect(result).toEqual({ stdout: `out ${index}\n`, stderr: `err ${index}\n`, exitCode: index });
    const execs = await host.processes.listExecs(host.tenant, id);
    expect(execs).toHaveLength(50);
    expect(new Set(execs.map((exec) => exec.state))).toEqual(new Set(['ended']));
    for (let more = 0; more < 20; more += 1) await output(id, ['true']);
    // The last 64 that have ended.
    while ((await host.processes.listExecs(host.tenant, id)).length > 64) await sleep(5);
    const kept = new Set((await host.processes.listExecs(host.tenant, id)).map((exec) => exec.id));
    const gone = execs.filter((exec) => !kept.has(exec.id));
    expect(gone).toHaveLength(6);
    await expect(host.processes.getExec(host.tenant, gone[0]!.id)).rejects.toMatchObject({ code: 'not_found', message: `No such exec instance: ${gone[0]!.id}` });
  }, 60_000);

  it('are looked at late, from any number on, by many', async () => {
    const id = await host.run(IDLE);
    const { id: execId, stream } = await host.exec(id, ['sh', '-c', 'for i in 1 2 3 4 5; do echo $i; sleep 0.05; done; exit 3']);
    const whole = new ProcessWatch(stream);
    await whole.done;
    expect(whole.seqs).toEqual(whole.seqs.map((_, index) => index + 1));
    const rest = new ProcessWatch(await host.attachExec(execId, { after: whole.seqs.length - 2 }));
    await rest.done;
    expect(rest.text()).toBe('4\n5\n');
    expect(await outputOf(await host.attachExec(execId, { logs: true, follow: false }))).toEqual({ stdout: '1\n2\n3\n4\n5\n', stderr: '', exitCode: 3 });
    expect(await outputOf(await host.attachExec(execId))).toEqual({ stdout: '', stderr: '', exitCode: 3 });
  });

  it('are who they are told to be, by the container\u2019s files as they are now', async () => {
    const id = await host.run(IDLE);
    const who = (user: string) => output(id, ['sh', '-c', 'id -u; id -g; id -G; echo $HOME'], { user });
    expect(await who('')).toBe('0\n0\n0\n/root\n');
    expect(await who('app')).toBe('1000\n1000\n1000 50\n/home/app\n');
    expect(await who('app:staff')).toBe('1000\n50\n50\n/home/app\n');
    expect(await who('1234:77')).toBe('1234\n77\n77\n/\n');
    await output(id, ['sh', '-c', 'echo new:x:2000:2000::/home/new:/bin/sh >> /etc/passwd']);
    expect(await who('new')).toBe('2000\n2000\n2000\n/home/new\n');
    await output(id, ['sed', '-i', 's/^new:x:2000:2000/new:x:3000:2000/', '/etc/passwd']);
    await output(id, ['sed', '-i', 's/^staff:.*/&,new/', '/etc/group']);
    expect(await who('new')).toBe('3000\n2000\n2000 50\n/home/new\n');
    await output(id, ['sed', '-i', '/^new:/d', '/etc/passwd']);
    const { id: late } = await host.processes.createExec(host.tenant, id, execOf(['true'], { user: 'new' }));
    await expect(host.processes.startExec(host.tenant, late)).rejects.toMatchObject({ message: 'unable to find user new: no matching entries in passwd file', details: { exitCode: 126 } });
    await output(id, ['rm', '/etc/passwd', '/etc/group']);
    expect(await who('')).toBe('0\n0\n0\n/\n');
    const grouped = await host.run(IDLE, { groups: ['staff', '99'], user: 'app', ulimits: { nofile: { soft: 100, hard: 200 } } });
    expect(await output(grouped, ['sh', '-c', 'id -G; ulimit -n; ulimit -Hn'])).toBe('1000 50 99\n100\n200\n');
  });

  it('have every capability when they are privileged, and the container\u2019s otherwise', async () => {
    const id = await host.run(IDLE);
    const caps = async (more: Partial<ExecSpec>) => (await output(id, ['sed', '-n', 's/^CapEff:.//p', '/proc/self/status'], more)).trim();
    expect(await caps({ privileged: true })).toBe('000001ffffffffff');
    expect(await caps({})).toBe('00000000a80425fb');
    expect(await caps({ user: 'app', privileged: true })).toBe('0000000000000000');
  });

  it('get signals with their group, and say by which one they ended', async () => {
    const id = await host.run(IDLE);
    const { id: execId, stream } = await host.exec(id, ['sh', '-c', 'sleep 100 & echo up; wait']);
    const watch = new ProcessWatch(stream);
    await watch.until('up');
    const running = await host.processes.getExec(host.tenant, execId);
    expect(running).toMatchObject({ state: 'running', exitCode: null, finishedAt: undefined });
    expect((await output(id, ['cat', `/proc/${running.pid}/cmdline`])).split('\0')).toContain('sleep 100 & echo up; wait');
    await host.processes.signalExec(host.tenant, execId, 'HUP');
    expect(await host.processes.waitExec(host.tenant, execId, NEVER)).toMatchObject({ exitCode: 129, signal: 1 });
    await host.processes.signalExec(host.tenant, execId, 'KILL');
    await host.processes.resizeExec(host.tenant, execId, { columns: 1, rows: 1 });
    expect(await output(id, ['sh', '-c', 'ps | grep -c "[s]leep 100"'])).toBe('0\n');
  });

  it('end with their container, and belong to its run', async () => {
    const id = await host.run(IDLE);
    const { id: execId, stream } = await host.exec(id, ['sleep', '100']);
    const created = await host.processes.createExec(host.tenant, id, execOf(['true']));
    const ended = outputOf(stream);
    await host.node.containers.stop(host.tenant, id);
    expect(await ended).toMatchObject({ exitCode: 137 });
    expect(await host.processes.getExec(host.tenant, execId)).toMatchObject({ state: 'ended', exitCode: 137 });
    await expect(host.processes.startExec(host.tenant, created.id)).rejects.toMatchObject({ code: 'conflict', message: `container ${id} is not running` });
    await host.node.containers.start(host.tenant, id);
    await expect(host.processes.startExec(host.tenant, created.id)).rejects.toMatchObject({ code: 'conflict' });
    expect(await output(id, ['echo', 'again'])).toBe('again\n');
    const waiting = expect(host.processes.waitExec(host.tenant, created.id, NEVER)).rejects.toMatchObject({ code: 'not_found' });
    await host.node.containers.remove(host.tenant, id, { force: true, volumes: true });
    await waiting;
  });

  it('refuse in the words by which clients know what was wrong', async () => {
    const id = await host.run(IDLE);
    const tell = async (argv: readonly string[], more: Partial<ExecSpec> = {}) => {
      const { id: execId } = await host.processes.createExec(host.tenant, id, execOf(argv, more));
      const stream = await host.attachExec(execId);
      const error: unknown = await host.processes.startExec(host.tenant, execId).catch((failure: unknown) => failure);
      const [code, message] = isCodedError(error) ? [error.details['exitCode'], error.message] : [];
      expect((await outputOf(stream)).exitCode).toBe(code);
      expect((await host.processes.getExec(host.tenant, execId)).exitCode).toBe(code);
      return [code, message];
    };
    expect(await tell(['nothing'])).toEqual([127, `${FAILURE}exec: "nothing": executable file not found in $PATH: unknown`]);
    expect(await tell(['/bin/nothing'])).toEqual([127, `${FAILURE}exec: "/bin/nothing": stat /bin/nothing: no such file or directory: unknown`]);
    expect(await tell(['/etc/passwd'])).toEqual([126, `${FAILURE}exec: "/etc/passwd": permission denied: unknown`]);
    expect(await tell(['true'], { workingDir: '/nowhere' })).toEqual([127, `${FAILURE}chdir to cwd ("/nowhere") set in config.json failed: no such file or directory: unknown`]);
    expect(await tell(['true'], { user: 'nobody-here' })).toEqual([126, 'unable to find user nobody-here: no matching entries in passwd file']);
  });

  it('refuse what cannot be, and make nothing of it', async () => {
    const id = await host.run(IDLE);
    const create = (spec: ExecSpec, container = id) => host.processes.createExec(host.tenant, container, spec);
    for (const spec of [execOf([]), execOf(['']), execOf(['a\0b']), execOf(['true'], { env: ['=x'] }), execOf(['true'], { workingDir: '/proc/self/fd/9' }), execOf(['true'], { id: 'short' }), execOf(['x'.repeat(1024 * 1024)])]) {
      await expect(create(spec)).rejects.toMatchObject({ code: 'invalid_argument' });
    }
    const mine = 'a'.repeat(64);
    expect(await create(execOf(['true'], { id: mine }))).toEqual({ id: mine });
    expect(await create(execOf(['false'], { id: mine }))).toEqual({ id: mine });
    await host.processes.startExec(host.tenant, mine);
    await expect(host.processes.startExec(host.tenant, mine)).rejects.toMatchObject({ code: 'conflict', message: expect.stringMatching(/^exec command a{64} (is already running|has already run)$/) });
    const stranger = await host.node.newTenant();
    await expect(host.processes.getExec(stranger, mine)).rejects.toMatchObject({ code: 'not_found' });
    await host.node.containers.pause(host.tenant, id);
    await expect(create(execOf(['true']), id)).rejects.toMatchObject({ code: 'conflict', message: `container ${id} is paused, unpause the container before exec` });
    await host.node.containers.unpause(host.tenant, id);
    const stopped = await host.create(['true'], {}, { name: 'stopped' });
    await expect(create(execOf(['true']), 'stopped')).rejects.toMatchObject({ code: 'conflict', message: 'container stopped is not running' });
    await expect(create(execOf(['true']), 'nobody')).rejects.toMatchObject({ code: 'not_found', message: 'No such container: nobody' });
    expect(await host.processes.listExecs(host.tenant, stopped)).toEqual([]);
  });
});
