import { randomBytes, randomInt } from 'node:crypto';
import { once } from 'node:events';
import { rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { GuestFileSpec } from './agent.js';
import type { AgentConnection } from './agent-connection.js';
import { encodeFrame, FrameType } from './frames.js';
import { buildAgent, Collector, type Finished, guest, LaunchedAgent, run } from './launched-agent.contract.js';
import { encodeHello } from './requests.js';

const ROOT = { uid: 0, gid: 0 };

describe('the walls of the guest agent', () => {
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

  const shell = (script: string, changes: Parameters<typeof guest>[1] = {}): Promise<Finished> => run(agent, collector, guest(['sh', '-c', script], changes));
  const file = (path: string, content: string | Buffer = 'new', changes: Partial<GuestFileSpec> = {}): GuestFileSpec => ({
    path, content: Buffer.from(content), mode: 0o644, uid: 1000, gid: 1000, ...changes,
  });

  it.each([['root', ROOT], ['the user', {}]])('is closed to %s of the guest', async (_name, who) => {
    const { stdout } = await shell(
      'for f in environ mem maps; do head -c 1 /proc/1/$f 2>/dev/null && echo open; done; for f in 0 1 2 3 4 5 6; do readlink /proc/1/fd/$f; head -c 1 /proc/1/task/1/fd/$f 2>/dev/null; done; kill -9 1; kill -STOP 1; kill -TERM 1; kill -CHLD 1; ls /proc/self/fd | wc -l',
      who,
    );
    // 0, 1, 2 and the folder that ls itself opened.
    expect(stdout).toBe('4\n');
    await agent.ping();
  });

  it('leaves root a few capabilities and the user none', async () => {
    const status = 'grep -E "^(Cap|NoNewPrivs)" /proc/self/status; cat /proc/self/oom_score_adj';
    // CHOWN DAC_OVERRIDE FOWNER FSETID KILL SETGID SETUID SETPCAP NET_BIND_SERVICE SYS_CHROOT AUDIT_WRITE SETFCAP
    const allowed = '00000000a00405fb';
    expect((await shell(status, ROOT)).stdout.split('\n')).toEqual([
      'CapInh:\t0000000000000000', `CapPrm:\t${allowed}`, `CapEff:\t${allowed}`, `CapBnd:\t${allowed}`, 'CapAmb:\t0000000000000000', 'NoNewPrivs:\t1', '500', '',
    ]);
    const none = '0000000000000000';
    expect((await shell(status)).stdout.split('\n')).toEqual([
      `CapInh:\t${none}`, `CapPrm:\t${none}`, `CapEff:\t${none}`, `CapBnd:\t${none}`, `CapAmb:\t${none}`, 'NoNewPrivs:\t1', '500', '',
    ]);
    expect((await shell('mount -t tmpfs none /mnt || echo no mount; mknod /mnt/n c 1 3 || echo no device', ROOT)).stdout).toBe('no mount\nno device\n');
  });

  it('writes files whole, with parents, owner and mode', async () => {
    const content = randomBytes(3_000_000);
    await agent.writeFile(file('/mnt/a/b/c.bin', content, { mode: 0o4750 }));
    await agent.writeFile(file('/mnt/empty', '', { mode: 0o600 }));
    await agent.writeFile(file('/mnt/a/root', 'x', { uid: 0, gid: 0 }));
    expect((await agent.readFile('/mnt/a/b/c.bin', 3_000_000)).equals(content)).toBe(true);
    expect(await agent.readFile('/mnt/empty', 0)).toHaveLength(0);
    const { stdout } = await shell('stat -c "%n %a %u %g" a a/b a/b/c.bin empty a/root; ls -A . a/b | grep sandbar');
    expect(stdout).toBe('a 755 1000 1000\na/b 755 1000 1000\na/b/c.bin 4750 1000 1000\nempty 600 1000 1000\na/root 644 0 0\n');
    await agent.writeFile(file('/mnt/a/b/c.bin', 'short'));
    expect((await agent.readFile('/mnt/a/b/c.bin', 100)).toString()).toBe('short');
  });

  it('makes folders alone, where no link is in the way', async () => {
    await agent.writeFile(file('/mnt/new/folder/', ''));
    await agent.writeFile(file('/mnt/new/folder/', ''));
    await shell('ln -s new soft; ln -s / new/root', ROOT);
    await expect(agent.writeFile(file('/mnt/soft/x/', ''))).rejects.toMatchObject({ code: 'permission_denied' });
    await expect(agent.writeFile(file('/mnt/new/root/x/', ''))).rejects.toMatchObject({ code: 'permission_denied' });
    await expect(agent.writeFile(file('/proc/x/', ''))).rejects.toMatchObject({ code: 'not_found' });
    expect((await shell('stat -c "%n %F %a %u" new/folder; ls -A new/folder; ls new')).stdout).toBe('new/folder directory 755 1000\nfolder\nroot\n');
  });

  it('is not led astray by links', async () => {
    await shell('mkdir secret; echo old > secret/file; ln secret/file hard; ln -s secret/file soft; ln -s secret folder; ln -s /nowhere dangling; mkfifo fifo; mkdir dir', ROOT);
    for (const path of ['/mnt/soft', '/mnt/folder/new', '/mnt/folder/file', '/mnt/dangling', '/mnt/dangling/x'])
      await expect(agent.writeFile(file(path))).rejects.toMatchObject({ code: 'permission_denied' });
    for (const path of ['/mnt/dir', '/mnt/fifo', '/mnt/secret/file/x', '/mnt/dir/'])
      await expect(agent.writeFile(file(path))).rejects.toMatchObject({ code: 'invalid_argument' });
    for (const path of ['/proc/sys/kernel/hostname', '/proc/1/oom_score_adj', '/proc/self/oom_score_adj'])
      await expect(agent.writeFile(file(path))).rejects.toMatchObject({ code: 'permission_denied' });
    await agent.writeFile(file('/mnt/hard'));
    expect((await shell('cat secret/file hard; ls -A | grep -c sandbar; ls secret')).stdout).toBe('old\nnew0\nfile\n');
    expect((await agent.readFile('/mnt/hard', 10)).toString()).toBe('new');
  });

  it('reads regular files of a bounded size only', async () => {
    await shell('mkfifo fifo; mkdir dir; ln -s file link; ln -s dir folder; head -c 200000 /dev/zero > file; echo x > dir/x');
    expect(await agent.readFile('/mnt/file', 200_000)).toHaveLength(200_000);
    await expect(agent.readFile('/mnt/file', 199_999)).rejects.toMatchObject({ code: 'payload_too_large' });
    for (const path of ['/mnt/fifo', '/mnt/dir', '/dev/zero', '/dev/tty', '/mnt/file/x'])
      await expect(agent.readFile(path, 100)).rejects.toMatchObject({ code: 'invalid_argument' });
    for (const path of ['/mnt/link', '/mnt/folder/x', '/proc/1/environ', '/proc/1/cmdline'])
      await expect(agent.readFile(path, 10_000)).rejects.toMatchObject({ code: 'permission_denied' });
    await expect(agent.readFile('/mnt/none', 100)).rejects.toMatchObject({ code: 'not_found' });
    await expect(agent.readFile('/mnt/../etc/passwd', 100)).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('tells of a full disk, and leaves nothing of what did not fit', async () => {
    await expect(agent.writeFile(file('/mnt/large', Buffer.alloc(120_000_000)))).rejects.toMatchObject({ code: 'resource_exhausted' });
    expect((await shell('ls -A')).stdout).toBe('');
    await agent.writeFile(file('/mnt/small'));
  });

  it('drops a half-written file when the host goes away', async () => {
    const writing = agent.writeFile(file('/mnt/half', Buffer.alloc(80_000_000)));
    const gone = expect(writing).rejects.toMatchObject({ code: 'unavailable' });
    await sleep(5);
    agent.close();
    await gone;
    agent = await launched.connect(collector.lastSeq);
    collector = new Collector(agent, collector.lastSeq);
    expect((await shell('ls -A')).stdout).toBe('');
  });

  it('withstands a hostile host', async () => {
    const hello = encodeFrame(FrameType.hello, {}, encodeHello(0));
    agent.close();
    for (let round = 0; round < 200; round += 1) {
      const socket = connect(launched.socketPath);
      socket.on('error', () => undefined);
      await once(socket, 'connect');
      if (round % 4 !== 0) socket.write(hello);
      for (let frame = 0; frame < 20; frame += 1) {
        // KILL_ALL, START and the files are spoken well or at random, with lengths that may lie.
        const bytes = encodeFrame(round % 3 === 0 ? randomInt(256) : 0x10 + randomInt(10), { id: randomInt(5), flags: randomInt(4) }, randomBytes(randomInt(200)));
        if (randomInt(4) === 0) bytes.writeUInt32LE(randomInt(2 ** 32), 0);
        if (randomInt(4) === 0) bytes.writeUInt32LE(randomInt(100), Math.min(bytes.length - 4, 20 + 4 * randomInt(10)));
        socket.write(bytes);
      }
      socket.end();
      await Promise.race([new Promise((resolve) => socket.on('close', resolve)), sleep(20)]);
      socket.destroy();
    }
    expect(launched.alive).toBe(true);
    agent = await launched.connect();
    await agent.ping();
  }, 30_000);

  it('answers requests that came in one piece, and in the smallest pieces', async () => {
    agent.close();
    const socket = connect(launched.socketPath);
    await once(socket, 'connect');
    const answers: Buffer[] = [];
    socket.on('data', (bytes) => answers.push(bytes));
    for (const byte of encodeFrame(FrameType.hello, {}, encodeHello(0))) socket.write(Buffer.from([byte]));
    socket.write(Buffer.concat(Array.from({ length: 20_000 }, (_, id) => encodeFrame(FrameType.ping, { id }))));
    const expected = 44 + 20_000 * 24;
    while (Buffer.concat(answers).length < expected) await sleep(10);
    expect(Buffer.concat(answers)).toHaveLength(expected);
    socket.destroy();
  });
});
