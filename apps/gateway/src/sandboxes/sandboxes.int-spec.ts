import { setTimeout as sleep } from 'node:timers/promises';
import type { ErrorBody, Page, SandboxStats, SandboxView } from '#contracts';
import { startDockerFixture, type DockerFixture } from '../protocols/docker/docker-fixture.contract.js';
import type { Answer } from '../testing/gateway-fixture.contract.js';

describe('sandboxes over REST', () => {
  let fixture: DockerFixture;
  let key: string;
  let stranger: string;

  beforeAll(async () => {
    fixture = await startDockerFixture();
    ({ key } = fixture);
    ({ key: stranger } = await fixture.gateway.tenant());
  }, 60_000);
  afterAll(() => fixture.stop());

  const call = <T = SandboxView>(method: string, path: string, body?: unknown, headers: Record<string, string> = {}, as = key): Promise<Answer<T>> => fixture.gateway.call<T>(as, method, `/v1/sandboxes${path}`, body, headers);
  const refused = async (method: string, path: string, body?: unknown, as = key): Promise<{ status: number; code: string; message: string; paths: string[] }> => {
    const { status, body: answer } = await call<ErrorBody>(method, path, body, {}, as);
    return { status, code: answer.error.code, message: answer.error.message, paths: ((answer.error.details['issues'] ?? []) as { path: string }[]).map((issue) => issue.path) };
  };
  const made = async (body: object): Promise<SandboxView> => {
    const { status, body: view } = await call('POST', '', body);
    expect(status).toBe(201);
    return view;
  };

  it('makes a sandbox of an image, running, and names it', async () => {
    const { status, body, headers } = await call('POST', '', { image: 'busybox', name: 'first', command: ['sleep', '9'], env: { A: 'b' }, labels: { team: 'x' }, limits: { memoryBytes: 64 * 1024 * 1024 } });
    expect({ status, location: headers.get('location') }).toEqual({ status: 201, location: `/v1/sandboxes/${body.id}` });
    expect(body).toMatchObject({ name: 'first', image: 'busybox', runtime: null, state: 'running', exitCode: null, health: null, command: ['sleep', '9'], labels: { team: 'x' }, limits: { memoryBytes: 64 * 1024 * 1024, cpuMillis: null }, network: { mode: 'none' }, restart: { kind: 'no' }, finishedAt: null });
    expect(body.id).toMatch(/^[0-9a-f]{64}$/);
    expect(fixture.host.calls.findLast(({ name }) => name === 'create')?.given).toMatchObject({ process: { entrypoint: ['sleep', '9'], cmd: null, env: ['A=b'] }, network: { mode: 'none' }, capabilities: { privileged: false } });
    for (const ref of [body.id, body.id.slice(0, 12), 'first']) expect((await call('GET', `/${ref}`)).body.id).toBe(body.id);
  });

  it('makes one of a runtime, which sleeps unless it is told what to do', async () => {
    const idle = await made({ runtime: 'python', env: { MODE: 'x' } });
    expect(idle).toMatchObject({ runtime: 'python', image: 'runtimes.sandbar/python:latest', state: 'running', command: ['sleep', 'infinity'] });
    expect(fixture.host.calls.findLast(({ name }) => name === 'create')?.given).toMatchObject({ process: { env: ['LANG=C.UTF-8', 'MODE=x'] } });
    expect((await made({ runtime: 'python', command: ['sleep', '1'], start: false })).state).toBe('created');
    expect(await refused('POST', '', { runtime: 'cobol' })).toMatchObject({ status: 400, code: 'invalid_argument', paths: ['runtime'] });
  });

  it('is what docker shows, and shows what docker made', async () => {
    const view = await made({ image: 'busybox', name: 'both', command: ['sleep', '9'] });
    expect((await fixture.docker('ps', '-q', '--no-trunc', '--filter', 'name=both')).out.trim()).toBe(view.id);
    expect((await fixture.docker('create', '--name', 'theirs', '-l', 'by=docker', 'busybox', 'sleep', '9')).code).toBe(0);
    expect((await call('GET', '/theirs')).body).toMatchObject({ name: 'theirs', state: 'created', labels: { by: 'docker' } });
  });

  it('gives the same sandbox for the same idempotency key, and 409 for another request', async () => {
    const headers = { 'idempotency-key': 'order-1' };
    const body = { image: 'busybox', command: ['sleep', '9'] };
    const [first, second] = await Promise.all([call('POST', '', body, headers), call('POST', '', body, headers)]);
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body.id).toBe(first.body.id);
    expect((await call<ErrorBody>('POST', '', { ...body, name: 'other' }, headers)).body.error.code).toBe('conflict');
    const theirs = await call('POST', '', body, headers, stranger);
    expect({ status: theirs.status, same: theirs.body.id === first.body.id }).toEqual({ status: 201, same: false });
    await call('DELETE', `/${first.body.id}?force=true`);
    expect((await call('POST', '', body, headers)).status).toBe(201);
  });

  it('takes back what cannot be started, and says why without the words of another', async () => {
    const answer = await call<ErrorBody>('POST', '', { image: 'busybox', name: 'broken', command: ['missing'] });
    expect({ status: answer.status, code: answer.body.error.code }).toEqual({ status: 400, code: 'invalid_argument' });
    expect(answer.body.error.message).not.toMatch(/container|OCI/);
    expect(answer.body.error.details).toMatchObject({ exitCode: 127 });
    expect((await refused('GET', '/broken')).status).toBe(404);
  });

  it('goes through its life', async () => {
    const { id } = await made({ image: 'busybox', name: 'alive', command: ['sleep', '9'], start: false });
    const verb = async (name: string, body?: object): Promise<string> => (await call('POST', `/${id}/${name}`, body)).body.state;
    expect([await verb('start'), await verb('start'), await verb('pause'), await verb('resume'), await verb('stop', { timeoutSeconds: 1 }), await verb('stop'), await verb('restart'), await verb('kill', { signal: 'TERM' })]).toEqual(['running', 'running', 'paused', 'running', 'stopped', 'stopped', 'running', 'stopped']);
    expect((await call('GET', `/${id}`)).body).toMatchObject({ exitCode: 137, finishedAt: expect.any(String) });
    expect(await refused('POST', `/${id}/kill`)).toMatchObject({ status: 409, code: 'conflict', message: expect.stringMatching(/^Sandbox .* is not running$/) });
    expect((await call('DELETE', `/${id}`)).status).toBe(204);
    expect(await refused('DELETE', `/${id}`)).toMatchObject({ status: 404, message: `no such sandbox: ${id}` });
  });

  it('refuses to remove one that runs, unless forced', async () => {
    await made({ image: 'busybox', name: 'busy', command: ['sleep', '9'] });
    expect(await refused('DELETE', '/busy')).toMatchObject({ status: 409, code: 'conflict', message: 'the sandbox "busy" is running: stop it before, or remove it with force' });
    expect(await refused('POST', '', { image: 'busybox', name: 'busy' })).toMatchObject({ status: 409, message: expect.stringMatching(/^the name "busy" is taken by the sandbox [0-9a-f]{64}$/) });
    expect((await call('DELETE', '/busy?force=true&volumes=true')).status).toBe(204);
    expect(fixture.host.calls.at(-1)).toEqual({ name: 'remove', given: { force: true, volumes: true } });
  });

  it('changes limits, policy and name', async () => {
    const { id } = await made({ image: 'busybox', name: 'small', command: ['sleep', '9'], limits: { memoryBytes: 64 * 1024 * 1024 } });
    const { status, body } = await call('PATCH', '/small', { name: 'large', limits: { memoryBytes: 128 * 1024 * 1024 }, restart: { kind: 'always', maxRetries: 0 } });
    expect({ status, name: body.name, limits: body.limits.memoryBytes }).toEqual({ status: 200, name: 'large', limits: 128 * 1024 * 1024 });
    expect(fixture.host.calls.findLast(({ name }) => name === 'update')?.given).toEqual({ limits: { memoryBytes: 128 * 1024 * 1024 }, restart: { kind: 'always', maxRetries: 0 } });
    expect((await call('PATCH', `/${id}`, { name: 'large' })).status).toBe(200);
    expect((await refused('PATCH', '/large', {})).status).toBe(400);
    expect((await refused('PATCH', '/large', { limits: { memoryBytes: 2 ** 50 } })).paths).toEqual(['limits.memoryBytes']);
    expect((await refused('PATCH', '/large', { limits: { diskBytes: 2 ** 30 } })).status).toBe(400);
  });

  it('tells what it takes, once and each second until it stops', async () => {
    const { id } = await made({ image: 'busybox', name: 'taking', command: ['sleep', '9'] });
    expect((await call<SandboxStats>('GET', `/${id}/stats`)).body).toMatchObject({ running: true, cpu: { timeMs: 0.0005 }, memory: { usedBytes: 4000, peakBytes: 8192, limitBytes: 65_536 }, pids: { current: 1 }, disk: { readBytes: 1, writtenBytes: 2 }, network: { receivedBytes: 1, sentBytes: 5 } });
    await call('POST', `/${id}/kill`);
    const stopped = await call<string>('GET', `/${id}/stats?stream=true`);
    expect(stopped.headers.get('content-type')).toBe('application/x-ndjson');
    expect(stopped.body.trimEnd().split('\n').map((line) => (JSON.parse(line) as SandboxStats).running)).toEqual([false]);
    expect((await refused('GET', '/nobody/stats')).status).toBe(404);
    expect((await refused('GET', '/nobody/stats?stream=true')).status).toBe(404);
  });

  it('waits for a state, for as long as it is told', async () => {
    const { id } = await made({ image: 'busybox', name: 'waited', command: ['sleep', '9'] });
    expect((await call('GET', `/${id}/wait?state=running`)).status).toBe(200);
    const late = await call('GET', `/${id}/wait?state=stopped&timeoutMs=50`);
    expect({ status: late.status, state: late.body.state }).toEqual({ status: 202, state: 'running' });
    // The one that waits asks first.
    const whileWaiting = async (path: string, act: () => Promise<unknown>): Promise<Answer<SandboxView>> => {
      const waiting = call('GET', path);
      await sleep(100);
      await act();
      return waiting;
    };
    const stopped = await whileWaiting(`/${id}/wait`, () => call('POST', `/${id}/kill`));
    expect({ status: stopped.status, state: stopped.body.state }).toEqual({ status: 200, state: 'stopped' });
    const removed = await whileWaiting(`/${id}/wait?state=removed`, () => call('DELETE', `/${id}`));
    expect({ status: removed.status, state: removed.body.state }).toEqual({ status: 200, state: 'removed' });
    expect((await refused('GET', `/${id}/wait`)).status).toBe(404);
    expect(await refused('GET', `/${id}/wait?state=gone`)).toMatchObject({ status: 400, paths: ['state'] });
  });

  it('lists by state, labels and name, page by page, in an order that does not move', async () => {
    const ids: string[] = [];
    for (let count = 0; count < 5; count += 1) ids.unshift((await made({ image: 'busybox', name: `page-${count}`, labels: { page: 'x', n: String(count) }, command: ['sleep', '9'], start: count % 2 === 0 })).id);
    const list = async (query: string): Promise<Page<SandboxView>> => (await call<Page<SandboxView>>('GET', query)).body;
    const first = await list('?label=page=x&limit=2');
    await made({ image: 'busybox', name: 'page-new', labels: { page: 'x' }, start: false });
    await call('DELETE', `/${first.items[1]?.id ?? ''}?force=true`);
    const second = await list(`?label=page=x&limit=2&cursor=${first.nextCursor ?? ''}`);
    const third = await list(`?label=page=x&limit=2&cursor=${second.nextCursor ?? ''}`);
    expect([...first.items, ...second.items, ...third.items].map(({ id }) => id)).toEqual(ids);
    expect(third.nextCursor).toBeNull();
    expect((await list('?label=page&label=n=2')).items.map(({ name }) => name)).toEqual(['page-2']);
    expect((await list('?label=page&state=running&state=paused')).items.map(({ name }) => name)).toEqual(['page-4', 'page-2', 'page-0']);
    expect((await list('?namePrefix=page-n')).items.map(({ name }) => name)).toEqual(['page-new']);
    expect((await list('?label=__proto__')).items).toEqual([]);
  });

  it("is nobody else's", async () => {
    const { id } = await made({ image: 'busybox', name: 'mine', command: ['sleep', '9'] });
    const unknown = await refused('GET', `/${'0'.repeat(64)}`, undefined, stranger);
    for (const [method, path, body] of [['GET', ''], ['DELETE', '?force=true'], ['POST', '/start'], ['POST', '/stop', {}], ['POST', '/kill', {}], ['POST', '/pause'], ['POST', '/resume'], ['POST', '/restart', {}], ['GET', '/wait'], ['GET', '/stats'], ['PATCH', '', { name: 'theirs' }]] as const) {
      const answer = await refused(method, `/${id}${path}`, body, stranger);
      expect({ method, path, ...answer }).toEqual({ method, path, ...unknown, message: `no such sandbox: ${id}` });
    }
    expect((await fixture.gateway.call<Page<SandboxView>>(stranger, 'GET', '/v1/sandboxes?namePrefix=mine')).body.items).toEqual([]);
    expect((await call('GET', `/${id}`)).body.state).toBe('running');
  });

  it.each<[string, unknown, string]>([
    ['neither image nor runtime', {}, 'image'],
    ['both image and runtime', { image: 'busybox', runtime: 'python' }, 'image'],
    ['an unknown member', { image: 'busybox', privileged: true }, ''],
    ['a name with a slash', { image: 'busybox', name: '../x' }, 'name'],
    ['an empty command', { image: 'busybox', command: [] }, 'command'],
    ['a NUL in an argument', { image: 'busybox', command: ['a\0b'] }, 'command.0'],
    ['half a surrogate pair', JSON.stringify({ image: 'busybox', args: ['X'] }).replace('X', '\\ud800'), 'args.0'],
    ['a variable without a name', { image: 'busybox', env: { '': 'x' } }, 'env.'],
    ['ten thousand variables', { image: 'busybox', env: Object.fromEntries(Array.from({ length: 10_000 }, (_, index) => [`V${index}`, 'x'])) }, 'env'],
    ['a relative folder', { image: 'busybox', workingDir: 'work' }, 'workingDir'],
    ['more memory than the tenant has', { image: 'busybox', limits: { memoryBytes: 2 ** 50 } }, 'limits.memoryBytes'],
    ['less memory than a process needs', { image: 'busybox', limits: { memoryBytes: 1 } }, 'limits.memoryBytes'],
    ["the node's own network", { image: 'busybox', network: { mode: 'host' } }, 'network.mode'],
    ["another's network name space", { image: 'busybox', network: { mode: 'container:x' } }, 'network.mode'],
    ['ports without a network', { image: 'busybox', network: { ports: [{ port: 80 }] } }, 'network.ports'],
    ['a port out of range', { image: 'busybox', network: { mode: 'bridge', ports: [{ port: 65_536 }] } }, 'network.ports.0.port'],
    ['a mount without a place', { image: 'busybox', mounts: [{ kind: 'volume', path: 'data' }] }, 'mounts.0.path'],
    ['a mount of an unknown kind', { image: 'busybox', mounts: [{ kind: 'device', path: '/x' }] }, 'mounts.0.kind'],
    ['autoRemove and restart', { image: 'busybox', autoRemove: true, restart: { kind: 'always', maxRetries: 0 } }, 'restart'],
  ])('refuses %s', async (_name, body, path) => {
    const answer = await refused('POST', '', body);
    expect(answer).toMatchObject({ status: 400, code: 'invalid_argument' });
    expect(answer.paths).toContain(path);
  });

  it.each<[string, string, string, unknown, number]>([
    ['an image that is not there', 'POST', '', { image: 'nothing' }, 404],
    ['a state that is none', 'GET', '?state=exited', undefined, 400],
    ['a cursor that is none', 'GET', '?cursor=abc', undefined, 400],
    ['a page of none', 'GET', '?limit=0', undefined, 400],
    ['a signal that is none', 'POST', '/first/kill', { signal: '; rm' }, 400],
    ['a wait without end', 'GET', '/first/wait?timeoutMs=999999999', undefined, 400],
    ['a body of another type', 'POST', '/first/stop', [], 400],
  ])('refuses %s', async (_name, method, path, body, status) => {
    expect((await refused(method, path, body)).status).toBe(status);
  });
});
