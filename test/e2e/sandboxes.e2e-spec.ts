import type { HostEventFrame, SandboxView } from '#contracts';
import type { SandbarClient } from '#sdk';
import { startPlatform, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

describe('sandboxes that stay', () => {
  let platform: Platform;
  let anna: SandbarClient;
  let bert: SandbarClient;

  beforeAll(async () => {
    platform = await startPlatform();
    anna = platform.client();
    ({ client: bert } = await platform.newTenant('bert'));
  }, 90_000);
  afterAll(async () => {
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  async function pull(client: SandbarClient, name: string): Promise<void> {
    const { id } = await client.images.pull(name);
    for await (const line of client.operations.follow(id)) if (line.error !== undefined) throw new Error(line.error.message);
  }

  it('are made of a runtime, wait for what they are told, and stop', async () => {
    const view = await anna.sandboxes.create({ runtime: 'python', name: 'py', labels: { team: 'x' }, limits: { memoryBytes: 128 * 1024 * 1024 } });
    expect(view).toMatchObject({ name: 'py', runtime: 'python', state: 'running', command: ['sleep', 'infinity'], user: 'runner', workingDir: '/work' });
    expect((await anna.sandboxes.list({ labels: ['team=x'] })).items.map(({ id }) => id)).toEqual([view.id]);
    await expect(bert.sandboxes.get(view.id)).rejects.toMatchObject({ code: 'not_found' });
    const stopped = anna.sandboxes.wait('py', 'stopped');
    expect(await anna.sandboxes.stop('py', { timeoutSeconds: 5 })).toMatchObject({ state: 'stopped', exitCode: 143 });
    expect((await stopped)?.state).toBe('stopped');
    await anna.sandboxes.remove('py');
    await expect(anna.sandboxes.get('py')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('are made of an image, once for each key, for each tenant its own', async () => {
    await Promise.all([pull(anna, 'busybox'), pull(bert, 'busybox')]);
    const request = { image: 'busybox', name: 'box', command: ['sh', '-c', 'echo begun; sleep 1000'] };
    const made: SandboxView[] = await Promise.all([1, 2, 3].map(() => anna.sandboxes.create(request, { idempotencyKey: 'k' })));
    expect(new Set(made.map(({ id }) => id)).size).toBe(1);
    const theirs = await bert.sandboxes.create(request, { idempotencyKey: 'k' });
    expect(theirs.id).not.toBe(made[0]?.id);
    await expect(anna.sandboxes.create({ image: 'busybox', command: ['/no/such'] })).rejects.toMatchObject({ code: 'invalid_argument', details: { exitCode: 127 } });
    expect((await anna.sandboxes.list()).items).toHaveLength(1);
    await bert.sandboxes.remove('box', { force: true });
    expect((await anna.sandboxes.get('box')).state).toBe('running');
  });

  it('stand in the network that they ask for, and in none unless they ask', async () => {
    await anna.networks.create({ name: 'back' });
    const inside = await anna.sandboxes.create({ image: 'busybox', name: 'inside', command: ['sleep', '1000'], network: { mode: 'back', aliases: ['db'], ports: [{ port: 80, hostPort: 8080 }] } });
    expect(inside.network).toMatchObject({ mode: 'back', addresses: [{ network: 'back', ipv4: expect.stringMatching(/^172\./) as string }], ports: [{ port: 80, hostPort: 8080, protocol: 'tcp' }] });
    expect((await anna.sandboxes.get('box')).network).toMatchObject({ mode: 'none', addresses: [], ports: [] });
    await expect(anna.sandboxes.create({ image: 'busybox', network: { mode: 'nowhere' } })).rejects.toMatchObject({ code: 'not_found' });
    await expect(anna.sandboxes.create({ image: 'busybox', name: 'second', command: ['sleep', '9'], network: { mode: 'back', ports: [{ port: 80, hostPort: 8080 }] } })).rejects.toMatchObject({ code: 'conflict' });
    await expect(anna.sandboxes.get('second')).rejects.toMatchObject({ code: 'not_found' });
    await anna.sandboxes.remove('inside', { force: true });
    await anna.networks.remove('back');
  });

  it('are waited for until they are healthy, and start again by their policy', async () => {
    const made = await anna.sandboxes.create({ image: 'busybox', name: 'checked', command: ['sleep', '1000'], health: { command: ['test', '-e', '/ready'], intervalMs: 200 }, restart: { kind: 'always', maxRetries: 0 } });
    expect(made.health).toBe('starting');
    expect(await anna.sandboxes.wait('checked', 'healthy', { timeoutMs: 500 })).toBeUndefined();
    await anna.files.write('checked', '/ready', '');
    expect((await anna.sandboxes.wait('checked', 'healthy', { timeoutMs: 10_000 }))?.health).toBe('healthy');
    const again = anna.sandboxes.wait('checked', 'stopped', { timeoutMs: 10_000 });
    await new Promise((resolve) => setTimeout(resolve, 200));
    await anna.execs.run('checked', { command: ['sh', '-c', 'kill -9 $(pidof sleep)'] });
    await again;
    await anna.sandboxes.wait('checked', 'running', { timeoutMs: 10_000 });
    expect(await anna.sandboxes.get('checked')).toMatchObject({ state: 'running', restartCount: 1 });
    await anna.sandboxes.remove('checked', { force: true });
  });

  it('run programs: to their end, in the background, and attached to', async () => {
    const result = await anna.execs.run('box', { command: ['sh', '-c', 'echo out; echo err >&2; cat; exit 3'], stdin: 'in' });
    expect(result).toMatchObject({ stdout: 'out\nin', stderr: 'err\n', exitCode: 3, state: 'ended' });
    await expect(anna.execs.run('box', { command: ['/no/such'] })).rejects.toMatchObject({ code: 'invalid_argument', details: { exitCode: 127 } });
    const { exec, session } = await anna.execs.open('box', { command: ['sh'], tty: true, columns: 91, rows: 17, stdinOpen: true });
    let screen = '';
    await session.write(Buffer.from('stty size; exit 5\n'));
    for await (const { bytes } of session) screen += bytes.toString();
    expect(screen).toContain('17 91');
    expect(session.exit).toEqual({ type: 'exit', exitCode: 5, signal: null });
    const again = anna.execs.attach('box', exec.id, { stdin: false });
    let seen = '';
    for await (const { bytes } of again) seen += bytes.toString();
    expect(seen).toBe(screen);
    await expect(bert.execs.list('box')).rejects.toMatchObject({ code: 'not_found' });
    const background = await anna.execs.start('box', { id: 'waiting', command: ['sleep', '1000'] });
    expect((await anna.execs.list('box')).map(({ id }) => id)).toContain(background.id);
    await anna.execs.signal('box', 'waiting', 'SIGKILL');
    expect((await anna.execs.run('box', { id: 'waiting', command: ['sleep', '1000'] })).signal).toBe('SIGKILL');
  });

  it('show what their main program wrote, and what they take', async () => {
    let log = '';
    for await (const frame of anna.sandboxes.logs('box')) if (frame.type === 'output') log += frame.data;
    expect(log).toBe('begun\n');
    expect(await anna.sandboxes.stats('box')).toMatchObject({ running: true, memory: { usedBytes: expect.any(Number) as number } });
    const changed = await anna.sandboxes.update('box', { limits: { pids: 33 } });
    expect(changed.limits.pids).toBe(33);
    expect((await anna.sandboxes.stats('box')).pids.limit).toBeGreaterThanOrEqual(33);
  });

  it('have files, which are read, written, listed and packed', async () => {
    const { files } = anna;
    await files.write('box', '/work/deep/a.txt', 'hello', { mode: 0o640 });
    expect(await files.readText('box', '/work/deep/a.txt')).toBe('hello');
    expect(await files.stat('box', '/work/deep/a.txt')).toMatchObject({ kind: 'file', sizeBytes: 5, mode: 0o640 });
    expect((await anna.execs.run('box', { command: ['cat', '/work/deep/a.txt'] })).stdout).toBe('hello');
    await files.mkdir('box', '/copy');
    await files.upload('box', '/copy', await files.download('box', '/work', { contents: true }));
    await files.move('box', '/copy/deep/a.txt', '/copy/b.txt');
    expect((await files.list('box', '/copy')).map(({ name, kind }) => `${name} ${kind}`)).toEqual(['b.txt file', 'deep directory']);
    await files.remove('box', '/copy', { recursive: true });
    await expect(files.stat('box', '/copy')).rejects.toMatchObject({ code: 'not_found' });
    await expect(bert.files.readText('box', '/work/deep/a.txt')).rejects.toMatchObject({ code: 'not_found' });
    const events = files.watch('box', '/work', { recursive: true });
    expect((await events.next()).value).toMatchObject({ kind: 'ready' });
    await anna.execs.run('box', { command: ['touch', '/work/new'] });
    expect((await events.next()).value).toMatchObject({ kind: 'created', path: '/work/new' });
    await events.return(undefined);
  });

  it('tell what happens to them', async () => {
    const heard: HostEventFrame[] = [];
    let begun = false;
    const live = (async () => {
      for await (const event of anna.events.follow({ types: ['sandbox', 'volume'] })) {
        if (event.type === 'volume') begun = true;
        else if (heard.push(event) > 0 && event.action === 'remove') return;
      }
    })();
    // The stream does not say when it begins: something else happens until it is heard of.
    for (let count = 0; !begun; count += 1) {
      await anna.volumes.create({ name: `until-heard-${String(count)}` });
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
    await anna.sandboxes.create({ image: 'busybox', name: 'told', start: false });
    await anna.sandboxes.start('told');
    await anna.sandboxes.wait('told', 'stopped', { timeoutMs: 10_000 });
    await anna.sandboxes.remove('told');
    await live;
    expect(heard.map(({ action }) => action)).toEqual(['create', 'start', 'exit', 'remove']);
    const again: string[] = [];
    for await (const event of anna.events.follow({ after: heard[0]?.id ?? '', subjects: ['told'] })) if (again.push(event.action) === 3) break;
    expect(again).toEqual(['start', 'exit', 'remove']);
  });
});
