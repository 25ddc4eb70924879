import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPlatform, TerminalSession, type DockerCli, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

/** Foreground runs, exec, attach and terminals by Docker's own client, for two tenants of one platform, over HTTP and TLS. */
describe('docker: exec, attach and terminals', () => {
  let platform: Platform;
  let anna: DockerCli;
  let bert: DockerCli;
  let certificates: string;
  let tlsEnv: Record<string, string | undefined>;

  beforeAll(async () => {
    platform = await startPlatform();
    anna = await platform.docker();
    bert = await platform.docker((await platform.newTenant('bert')).apiKey);
    for (const docker of [anna, bert]) {
      await docker.ok('pull', '-q', 'busybox');
      await docker.ok('run', '-d', '--name', 'box', 'busybox', 'sleep', '3600');
    }
    certificates = await mkdtemp(join(tmpdir(), 'docker-exec-'));
    const answer = await fetch(`${platform.url}/v1/me/certificate`, { method: 'POST', headers: { authorization: `Bearer ${platform.apiKey}`, 'content-type': 'application/json' }, body: '{}' });
    const { certificate, key, authority } = (await answer.json()) as { certificate: string; key: string; authority: string };
    for (const [file, text] of [['ca.pem', authority], ['cert.pem', certificate], ['key.pem', key]] as const) await writeFile(join(certificates, file), text);
    tlsEnv = { PATH: process.env['PATH'], HOME: certificates, DOCKER_CONFIG: certificates, DOCKER_HOST: platform.url.replace('http:', 'tcp:'), DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: certificates };
  }, 120_000);
  afterAll(async () => {
    await Promise.all([anna.close(), bert.close(), rm(certificates, { recursive: true, force: true })]);
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  const plainEnv = (docker: DockerCli, apiKey: string): Record<string, string | undefined> => ({
    PATH: process.env['PATH'], HOME: docker.configDir, DOCKER_CONFIG: docker.configDir, DOCKER_HOST: platform.url.replace('http:', 'tcp:'), DOCKER_CUSTOM_HEADERS: `"Authorization=Bearer ${apiKey}"`,
  });

  interface Running {
    readonly child: ChildProcess;
    readonly out: () => string;
    readonly code: Promise<number | null>;
  }

  function begin(args: readonly string[], env: Record<string, string | undefined> = plainEnv(anna, platform.apiKey)): Running {
    const child = spawn('docker', args, { stdio: ['pipe', 'pipe', 'pipe'], env });
    const timer = setTimeout(() => child.kill('SIGKILL'), 30_000);
    let text = '';
    for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (text += chunk.toString()));
    child.stdin.on('error', () => undefined);
    return { child, out: () => text, code: once(child, 'close').then(([code]) => { clearTimeout(timer); return code as number | null; }) };
  }

  async function until(what: () => boolean | Promise<boolean>): Promise<void> {
    for (let tries = 0; !(await what()); tries += 1) {
      if (tries > 300) throw new Error('it did not come to that');
      await sleep(50);
    }
  }

  async function pressed(screen: TerminalSession, ...keys: string[]): Promise<void> {
    for (const key of keys) {
      screen.type(key);
      await sleep(200);
    }
  }

  for (const how of ['HTTP', 'TLS'] as const) {
    const run = async (args: readonly string[], input = ''): Promise<{ code: number | null; out: string }> => {
      const running = begin(args, how === 'TLS' ? tlsEnv : undefined);
      running.child.stdin?.end(input);
      return { code: await running.code, out: running.out() };
    };

    it(`runs in the foreground over ${how}: both streams, exit codes, input and its end`, async () => {
      expect(await run(['run', '--rm', 'busybox', 'sh', '-c', 'echo out; echo err >&2; exit 3'])).toMatchObject({ code: 3 });
      expect(await run(['run', '--rm', '-i', 'busybox', 'sh', '-c', 'cat; echo the end'], 'line\n')).toEqual({ code: 0, out: 'line\nthe end\n' });
      expect(await run(['run', '--rm', 'busybox', 'nosuch'])).toMatchObject({ code: 127 });
      expect(await run(['run', '--rm', 'busybox', '/etc'])).toMatchObject({ code: 126 });
      // The container is gone when the client is done.
      expect((await run(['run', '--rm', '--name', 'brief', 'busybox', 'true'])).code).toBe(0);
      expect((await run(['run', '--rm', '--name', 'brief', 'busybox', 'true'])).code).toBe(0);
    }, 60_000);

    it(`executes over ${how}: all that comes, where, as whom, with what`, async () => {
      expect(await run(['exec', 'box', 'sh', '-c', 'echo hello; exit 5'])).toEqual({ code: 5, out: 'hello\n' });
      expect(await run(['exec', '-i', 'box', 'wc', '-c'], 'x'.repeat(3_000_000))).toEqual({ code: 0, out: '3000000\n' });
      expect(await run(['exec', '-w', '/tmp', '-e', 'A=b c', '-u', '7:8', 'box', 'sh', '-c', 'pwd; echo "$A"; id -u; id -g'])).toEqual({ code: 0, out: '/tmp\nb c\n7\n8\n' });
      const large = await run(['exec', 'box', 'sh', '-c', 'head -c 20000000 /dev/zero | tr "\\0" x']);
      expect({ code: large.code, length: large.out.length }).toEqual({ code: 0, length: 20_000_000 });
      expect(await run(['exec', 'box', 'nosuch'])).toMatchObject({ code: 127, out: expect.stringContaining('executable file not found in $PATH') as string });
      expect(await run(['exec', 'box', '/etc'])).toMatchObject({ code: 126 });
      expect(await run(['exec', '-w', 'relative', 'box', 'true'])).not.toMatchObject({ code: 0 });
      expect(await run(['exec', 'box', 'sh', '-c', 'kill -9 $$'])).toMatchObject({ code: 137 });
    }, 60_000);
  }

  it('executes in the background', async () => {
    await anna.ok('exec', '-d', 'box', 'sh', '-c', 'echo made > /tmp/made; sleep 2');
    await until(async () => (await anna.run(['exec', 'box', 'cat', '/tmp/made'])).stdout === 'made\n');
  });

  it("keeps to a tenant's own", async () => {
    await anna.ok('run', '-d', '--name', 'only-annas', 'busybox', 'sleep', '3600');
    const id = await anna.ok('ps', '-q', '--no-trunc', '--filter', 'name=only-annas');
    for (const name of ['only-annas', id, id.slice(0, 12)]) {
      expect(await bert.fails('exec', name, 'true')).toMatch(/No such container/);
      expect(await bert.fails('attach', name)).toMatch(/No such container/);
    }
    await anna.ok('exec', 'box', 'sh', '-c', 'echo anna > /tmp/who');
    expect((await bert.run(['exec', 'box', 'cat', '/tmp/who'])).exitCode).not.toBe(0);
    await anna.ok('rm', '-f', 'only-annas');
  }, 60_000);

  it('says why it cannot: stopped, paused, removed', async () => {
    await anna.ok('create', '--name', 'idle', 'busybox', 'sleep', '3600');
    expect(await anna.fails('exec', 'idle', 'true')).toMatch(/is not running/);
    await anna.ok('start', 'idle');
    await anna.ok('pause', 'idle');
    expect(await anna.fails('exec', 'idle', 'true')).toMatch(/is paused, unpause the container before exec/);
    expect(await anna.fails('attach', 'idle')).toMatch(/[Cc]annot attach to a paused container, unpause it first/);
    await anna.ok('unpause', 'idle');
    await anna.ok('rm', '-f', 'idle');
  }, 60_000);

  it('starts with attachment, and attaches many clients to one program', async () => {
    await anna.ok('create', '-i', '--name', 'echoes', 'busybox', 'sh', '-c', 'while read line; do echo "heard $line"; done');
    const first = begin(['start', '-a', '-i', 'echoes']);
    await until(async () => (await anna.ok('inspect', '-f', '{{.State.Running}}', 'echoes')) === 'true');
    const lookers = [1, 2].map(() => begin(['attach', '--no-stdin', 'echoes']));
    await sleep(500);
    first.child.stdin?.write('one\n');
    await until(() => [first, ...lookers].every(({ out }) => out() === 'heard one\n'));
    // A client that is killed takes nothing with it.
    lookers[0]?.child.kill('SIGKILL');
    first.child.stdin?.write('two\n');
    await until(() => first.out() === 'heard one\nheard two\n' && lookers[1]?.out() === 'heard one\nheard two\n');
    first.child.stdin?.end();
    expect(await first.code).toBe(0);
    expect(await lookers[1]?.code).toBe(0);
    await anna.ok('rm', 'echoes');
  }, 60_000);

  it('hands signals on', async () => {
    const running = begin(['run', '--rm', '--name', 'trapped', 'busybox', 'sh', '-c', 'trap "echo got it; exit 9" TERM; echo ready; while :; do sleep 0.1; done']);
    await until(() => running.out() === 'ready\n');
    running.child.kill('SIGTERM');
    expect(await running.code).toBe(9);
    expect(running.out()).toBe('ready\ngot it\n');
  }, 60_000);

  it('is a terminal in which shells, editors and full screens work', async () => {
    for (const command of [['exec', '-it', 'box', 'sh'], ['run', '--rm', '-it', '--name', 'tty', 'busybox', 'sh']]) {
      const screen = await TerminalSession.open(['docker', ...command], { env: plainEnv(anna, platform.apiKey), columns: 101, rows: 31 });
      try {
        await screen.see(/# /);
        screen.type('stty size; tty\n');
        await screen.see(/31 101\r\n\/dev\/(pts|console)/);
        screen.resize(133, 43);
        await sleep(500);
        screen.type('stty size\n');
        await screen.see(/43 133\r\n/);
        screen.type('cat /etc/hostn\t');
        await screen.see(/cat \/etc\/hostname /);
        screen.type('\n');
        await screen.see(/[0-9a-f]{12}\r\n/);
        screen.type('vi /tmp/text\n');
        await screen.see(/\/tmp\/text/);
        screen.type('ihello from vi');
        await screen.see(/hello from vi/);
        screen.type('\x1b');
        await sleep(500);
        screen.type(':wq\n');
        await screen.see(/# /);
        screen.type('cat /tmp/text\n');
        await screen.see(/hello from vi\r\n/);
        screen.type('top\n');
        await screen.see(/Mem: .*used/);
        await screen.see(/PID/);
        screen.type('q');
        await screen.see(/# /);
        // Ctrl-C is the program's.
        screen.type('sleep 100\n');
        await sleep(500);
        screen.type('\x03');
        await screen.see(/# /);
        screen.type('exit 12\n');
        expect(await screen.ended()).toBe(12);
      } finally {
        screen.kill();
      }
    }
  }, 120_000);

  it('lets go by the detach keys, and comes back', async () => {
    await anna.ok('run', '-dit', '--name', 'kept', 'busybox', 'sh');
    // Over TCP without TLS Docker's client does not take its own keys for what they are, whatever server it speaks to.
    const env = tlsEnv;
    const screen = await TerminalSession.open(['docker', 'attach', 'kept'], { env, columns: 80, rows: 24 });
    screen.type('echo first $((40 + 2))\n');
    await screen.see(/first 42/);
    // Key by key, as a person does: the client looks at each read.
    await pressed(screen, '\x10', '\x11');
    await screen.ended();
    expect(await anna.ok('inspect', '-f', '{{.State.Running}}', 'kept')).toBe('true');
    const other = await TerminalSession.open(['docker', 'attach', '--detach-keys', 'ctrl-a,x', 'kept'], { env, columns: 80, rows: 24 });
    other.type('echo second $((40 + 3))\n');
    await other.see(/second 43/);
    await pressed(other, '\x01', 'x');
    await other.ended();
    expect(await anna.ok('inspect', '-f', '{{.State.Running}}', 'kept')).toBe('true');
    await anna.ok('rm', '-f', 'kept');
  }, 60_000);
});
