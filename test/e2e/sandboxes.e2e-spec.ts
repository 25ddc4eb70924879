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

  it('tell what happens to them', async () => {
    const heard: HostEventFrame[] = [];
    const over = new AbortController();
    const live = (async () => {
      for await (const event of anna.events.follow({ types: ['sandbox'], subjects: ['told'], signal: over.signal })) {
        heard.push(event);
        if (event.action === 'remove') break;
      }
    })();
    // The stream says nothing of when it begins: a first sandbox is made again until it is heard of.
    while (heard.length === 0) {
      await anna.sandboxes.create({ image: 'busybox', name: 'told', start: false });
      await new Promise((resolve) => setTimeout(resolve, 100));
      if (heard.length === 0) await anna.sandboxes.remove('told');
    }
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
