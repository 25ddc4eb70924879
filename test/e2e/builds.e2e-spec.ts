import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';
import { WebSocket } from 'ws';
import type { BuildFrame, BuildSummary, BuildView, Page } from '#contracts';
import { newId } from '#kernel';
import { startPlatform, type DockerCli, type Platform } from '#testing';
import { GitServer } from '../../libs/engine/src/git/testing/git-server.contract.js';
import { BuildsClient, outputOf } from './builds-client.js';
import { stopAndExpectNothingLeft } from './nothing-left.js';

/** Builds as jobs, over REST and WebSocket, by two tenants. */
describe('builds', () => {
  let platform: Platform;
  let anna: BuildsClient;
  let bert: BuildsClient;
  let docker: DockerCli;
  let git: GitServer;

  beforeAll(async () => {
    git = await GitServer.start();
    platform = await startPlatform({ env: { SANDBAR_INSECURE_REGISTRIES: git.host } });
    const owner = await platform.newTenant('anna', { concurrentBuilds: 1, queuedBuilds: 3 });
    anna = new BuildsClient(platform, owner.apiKey);
    bert = new BuildsClient(platform, (await platform.newTenant('bert')).apiKey);
    docker = await platform.docker(owner.apiKey);
    await docker.ok('pull', '-q', 'busybox');
  }, 120_000);
  afterAll(async () => {
    await docker.close();
    await git.stop();
    await stopAndExpectNothingLeft(platform);
  }, 120_000);

  it('builds a tar, names the image and tells each step', async () => {
    const { id, state, tags, buildArgs } = await anna.submitTar(
      { Dockerfile: 'ARG BASE=busybox\nFROM $BASE AS base\nARG WHO=nobody\nRUN echo "hello $WHO"\nCOPY src/ /src/\n', 'src/a': 'a file' },
      '?tag=team/hello:v1&buildArg=WHO=world',
    );
    expect({ state, tags, buildArgs }).toEqual({ state: 'queued', tags: ['docker.io/team/hello:v1'], buildArgs: ['WHO'] });
    const frames = await anna.log(id);
    expect(frames.map(({ seq }) => seq)).toEqual(frames.map((_, index) => index + 1));
    expect(frames.filter(({ type }) => type === 'step.started')).toMatchObject([
      { step: 1, total: 5, stage: -1, text: 'ARG BASE=busybox' },
      { step: 2, stage: 0, stageName: 'base', text: 'FROM $BASE AS base' },
      { step: 3 },
      { step: 4, text: 'RUN echo "hello $WHO"', attempt: 1 },
      { step: 5 },
    ]);
    expect(frames.filter(({ type }) => type === 'step.finished')).toMatchObject([1, 2, 3, 4, 5].map((step) => ({ step, state: 'succeeded', cached: false })));
    expect(outputOf(frames)).toBe('hello world\n');
    const build = await anna.over(id);
    expect(frames.at(-1)).toMatchObject({ type: 'end', state: 'succeeded', imageId: build.imageId, error: null });
    expect(build).toMatchObject({ state: 'succeeded', digest: expect.stringMatching(/^sha256:/) as string, error: null, steps: [{ step: 1 }, { step: 2 }, { step: 3 }, { step: 4, text: 'RUN echo "hello $WHO"', state: 'succeeded' }, { step: 5 }] });
    expect(await docker.ok('run', '--rm', 'team/hello:v1', 'cat', '/src/a')).toBe('a file');
    expect(JSON.stringify(build)).not.toContain('world');
  }, 60_000);

  it('builds files that stand in the request, and takes from the cache the second time', async () => {
    const request = { files: { Dockerfile: 'FROM busybox\nRUN echo inline\n', 'run.sh': { content: '#!/bin/sh\n', executable: true } } };
    await anna.over((await anna.submit(request)).id);
    const again = await anna.over((await anna.submit(request)).id);
    expect(again.steps.map(({ cached }) => cached)).toEqual([false, true]);
    const inline = await anna.over((await anna.submit({ dockerfileInline: 'FROM busybox\nRUNN x\n' })).id);
    expect(inline).toMatchObject({ state: 'failed', imageId: null, error: { code: 'invalid_argument', line: 2, column: 1 } });
  }, 60_000);

  it('says by which step and with which code it failed', async () => {
    const { id } = await anna.submit({ dockerfileInline: 'FROM busybox\nRUN echo said; exit 7\nRUN true\n' });
    const build = await anna.over(id);
    expect(build).toMatchObject({ state: 'failed', error: { code: 'invalid_argument', exitCode: 7, line: 2 }, steps: [{ state: 'succeeded' }, { step: 2, state: 'failed' }] });
    expect((await anna.log(id)).at(-1)).toMatchObject({ type: 'end', state: 'failed', error: { exitCode: 7 } });
  }, 60_000);

  it('is followed over WebSocket from any frame, to exactly one end', async () => {
    const { id } = await anna.submit({ dockerfileInline: 'FROM busybox\nRUN for i in 1 2 3 4; do echo $i; sleep 0.2; done\n' });
    const hear = async (after: number): Promise<{ frames: BuildFrame[]; code: number }> => {
      const socket = new WebSocket(`${platform.url.replace('http', 'ws')}/v1/builds/${id}/logs?after=${after}`, { headers: anna.api.authorization });
      const frames: BuildFrame[] = [];
      socket.on('message', (data: Buffer) => frames.push(JSON.parse(data.toString()) as BuildFrame));
      const [code] = (await once(socket, 'close')) as [number];
      return { frames, code };
    };
    const all = await hear(0);
    expect(all.code).toBe(1000);
    expect(outputOf(all.frames)).toBe('1\n2\n3\n4\n');
    expect(all.frames.filter(({ type }) => type === 'end')).toHaveLength(1);
    expect((await hear(3)).frames).toEqual(all.frames.slice(3));
    expect((await anna.log(id, 2)).map(({ seq }) => seq)).toEqual(all.frames.slice(2).map(({ seq }) => seq));
  }, 60_000);

  it('keeps each tenant to its builds at a time, and ends one that waits or goes on when it is told to', async () => {
    const slow = { dockerfileInline: 'FROM busybox\nRUN echo begun; sleep 1000\n', noCache: true };
    const first = await anna.submit(slow);
    await anna.until(first.id, ({ state }) => state === 'running');
    const waiting = [await anna.submit(slow), await anna.submit(slow), await anna.submit(slow)];
    expect(await anna.api.expectError('POST', '/v1/builds', slow)).toMatchObject({ status: 429, error: { code: 'quota_exceeded' } });
    // Another tenant's goes on meanwhile.
    expect((await bert.over((await bert.submit({ dockerfileInline: 'FROM busybox\nRUN true\n' })).id)).state).toBe('succeeded');
    expect((await anna.get(waiting[0]!.id)).state).toBe('queued');
    for (const { id } of [...waiting, first]) await anna.api.call('POST', `/v1/builds/${id}/cancel`);
    for (const { id } of [...waiting, first]) {
      expect(await anna.over(id)).toMatchObject({ state: 'cancelled', error: { code: 'cancelled' } });
      expect((await anna.log(id)).at(-1)).toMatchObject({ type: 'end', state: 'cancelled' });
    }
    expect(await docker.ok('ps', '-aq')).toBe('');
  }, 60_000);

  it('ends one that takes more than its time', async () => {
    const hasty = new BuildsClient(platform, (await platform.newTenant('hasty', { buildTimeMs: 2_000 })).apiKey);
    const { id } = await hasty.submit({ dockerfileInline: 'FROM busybox\nRUN sleep 1000\n' });
    expect(await hasty.over(id)).toMatchObject({ state: 'timed_out', error: { code: 'deadline_exceeded' }, steps: [{ state: 'succeeded' }, { state: 'cancelled' }] });
  }, 60_000);

  it('gives the first build again for the same key, and refuses another request', async () => {
    const headers = { 'idempotency-key': 'once' };
    const first = await anna.submit({ dockerfileInline: 'FROM busybox\n' }, headers);
    expect((await anna.submit({ dockerfileInline: 'FROM busybox\n' }, headers)).id).toBe(first.id);
    expect(await anna.api.expectError('POST', '/v1/builds', { dockerfileInline: 'FROM scratch\n' }, headers)).toMatchObject({ status: 409, error: { code: 'conflict' } });
    await anna.over(first.id);
  }, 60_000);

  it('shows another tenant nothing', async () => {
    const { items } = (await anna.api.call<Page<BuildSummary>>('GET', '/v1/builds')).body;
    expect(items.length).toBeGreaterThan(5);
    const theirs = (await bert.api.call<Page<BuildSummary>>('GET', '/v1/builds')).body.items;
    expect(theirs).toHaveLength(1);
    for (const [method, path] of [['GET', ''], ['POST', '/cancel'], ['GET', '/logs']] as const) {
      const foreign = await bert.api.expectError(method, `/v1/builds/${items[0]!.id}${path}`);
      const unknown = await bert.api.expectError(method, `/v1/builds/bld_01234567890123456789012345${path}`);
      expect({ ...foreign.error, requestId: '' }).toEqual({ ...unknown.error, requestId: '' });
      expect(foreign.status).toBe(404);
    }
  });

  it('refuses what is malformed before anything is kept of it', async () => {
    for (const body of [{}, { files: {} , git: { url: 'https://example.com/x.git' } }, { dockerfileInline: 'FROM x', files: { '../x': '' } }, { dockerfileInline: 'FROM x', tags: ['BAD'] }, { git: { url: 'https://user:word@example.com/x.git' } }]) {
      expect(await anna.api.expectError('POST', '/v1/builds', body)).toMatchObject({ status: 400, error: { code: 'invalid_argument' } });
    }
    const { id } = await anna.submitTar({ '../evil': 'x', Dockerfile: 'FROM busybox\n' });
    expect(await anna.over(id)).toMatchObject({ state: 'failed', error: { code: 'invalid_argument' } });
    const bad = await anna.api.call('POST', '/v1/builds', Buffer.from('no tar at all'), { 'content-type': 'application/x-tar' });
    expect(bad.status).toBe(202);
    expect((await anna.over((bad.body as BuildView).id)).state).toBe('failed');
  }, 60_000);

  it('shows a secret to the step that asks for it, and keeps it nowhere', async () => {
    const secret = `a-secret-${newId('request')}`;
    const dockerfile = 'FROM busybox\nARG WORD\nRUN --mount=type=secret,id=key wc -c < /run/secrets/key; cat /run/secrets/key; echo $WORD | wc -c\n';
    const word = `a-word-${newId('request')}`;
    const fromTar = await anna.submitTar({ Dockerfile: dockerfile }, '', { 'x-sandbar-build': Buffer.from(JSON.stringify({ secrets: { key: secret }, buildArgs: { WORD: word } })).toString('base64url') });
    expect(await anna.over(fromTar.id)).toMatchObject({ state: 'succeeded', secrets: ['key'], buildArgs: ['WORD'] });
    const inline = await anna.submit({ dockerfileInline: dockerfile, noCache: true, secrets: { key: { content: Buffer.from(secret).toString('base64'), encoding: 'base64' } }, buildArgs: { WORD: word } });
    expect((await anna.over(inline.id)).state).toBe('succeeded');
    const output = outputOf(await anna.log(inline.id));
    expect(output).toContain(`${secret.length}\n`);
    expect(output).toContain(`${word.length + 1}\n`);
    expect(output).not.toContain(secret);
    await untilSpooled(platform, 0);
    // The database, Redis, logs, layers and the cache; images' history has arguments, as Docker's has.
    expect(await filesWith(secret, platform.dataDir)).toEqual([]);
    for (const service of ['redis', 'postgres', 'log']) expect(await filesWith(word, join(platform.dataDir, service))).toEqual([]);
  }, 60_000);

  it('builds what a Git repository has, by ref and folder, and says which commit it was', async () => {
    await mkdir(join(git.work, 'docker'));
    await writeFile(join(git.work, 'docker', 'Dockerfile'), 'FROM busybox\nCOPY word /word\nRUN cat /word\n');
    await writeFile(join(git.work, 'docker', 'word'), 'first\n');
    const first = git.commit();
    git.run('tag', 'v1');
    await writeFile(join(git.work, 'docker', 'word'), 'second\n');
    git.commit();
    const { id } = await anna.submit({ git: { url: git.url, ref: 'v1', subdir: 'docker' } });
    expect(await anna.over(id)).toMatchObject({ state: 'succeeded', source: 'git', git: { ref: 'v1', subdir: 'docker' }, commit: first });
    expect(outputOf(await anna.log(id))).toBe('first\n');
    const missing = await anna.submit({ git: { url: git.url, ref: 'nowhere' } });
    expect(await anna.over(missing.id)).toMatchObject({ state: 'failed', error: { code: 'not_found' } });
    const inside = await anna.submit({ git: { url: 'http://127.0.0.1:1/x.git' } });
    expect(await anna.over(inside.id)).toMatchObject({ state: 'failed', error: { code: 'permission_denied' } });
  }, 60_000);

  it('keeps nothing of a context whose sender goes away, and nothing of builds that are over', async () => {
    const before = (await anna.api.call<Page<BuildSummary>>('GET', '/v1/builds')).body.items.length;
    const abort = new AbortController();
    const endless = new ReadableStream({ pull: async (controller) => { await sleep(10); controller.enqueue(Buffer.alloc(64 * 1024)); } });
    const sent = fetch(`${platform.url}/v1/builds`, { method: 'POST', headers: { ...anna.api.authorization, 'content-type': 'application/x-tar' }, body: endless, duplex: 'half', signal: abort.signal });
    await untilSpooled(platform, 1);
    abort.abort();
    await expect(sent).rejects.toThrow();
    await untilSpooled(platform, 0);
    expect((await anna.api.call<Page<BuildSummary>>('GET', '/v1/builds')).body.items).toHaveLength(before);
  }, 60_000);

  it("lists what came over Docker's API too, and keeps it to the same share", async () => {
    const slow = await anna.submit({ dockerfileInline: 'FROM busybox\nRUN sleep 2\n', noCache: true });
    await anna.until(slow.id, ({ state }) => state === 'running');
    const { stdout } = await docker.run(['build', '-t', 'by-docker', '-'], { stdin: 'FROM busybox\nRUN echo over docker\n' });
    expect(stdout).toContain('over docker\n');
    // It had to wait.
    expect((await anna.get(slow.id)).state).toBe('succeeded');
    const [latest] = (await anna.api.call<Page<BuildSummary>>('GET', '/v1/builds')).body.items;
    expect(latest).toMatchObject({ source: 'docker', tags: ['docker.io/library/by-docker:latest'] });
    expect(await anna.over(latest!.id)).toMatchObject({ state: 'succeeded', steps: [{}, { text: 'RUN echo over docker' }] });
    expect(outputOf(await anna.log(latest!.id))).toBe('over docker\n');
  }, 60_000);

  it('survives kill -9 of its worker: it is taken up again from its cache, its log without a gap, and nothing is left over', async () => {
    const secret = 'kept-nowhere-else';
    const { id } = await anna.submit({
      dockerfileInline: `FROM busybox\nARG WORD\nRUN echo first of $WORD\nRUN echo second; sleep 4; echo second is over\nRUN echo third\n`,
      buildArgs: { WORD: secret },
      tags: ['survivor'],
      noCache: false,
    });
    while (!outputOf(await anna.log(id, 0, false)).includes('second\n')) await sleep(50);
    const heard = anna.log(id);
    await platform.kill('worker');
    await platform.untilReady();
    const build = await anna.over(id);
    expect(build).toMatchObject({ state: 'succeeded', error: null, steps: [{ attempt: 2 }, { attempt: 2 }, { cached: true, attempt: 2 }, { cached: false, attempt: 2 }, { attempt: 2 }] });
    const frames = await heard;
    expect(frames.map(({ seq }) => seq)).toEqual(frames.map((_, index) => index + 1));
    expect(frames.filter(({ type }) => type === 'end')).toHaveLength(1);
    expect(outputOf(frames, 1)).toBe(`first of ${secret}\nsecond\n`);
    expect(outputOf(frames, 2)).toBe('second\nsecond is over\nthird\n');
    expect(await anna.log(id)).toEqual(frames);
    await untilSpooled(platform, 0);
    expect(await docker.ok('run', '--rm', 'survivor', 'echo', 'runs')).toBe('runs');
    expect(await docker.ok('ps', '-aq')).toBe('');
    // The values of arguments lie on the node alone, and only while they are needed.
    expect(await platform.logOf('worker')).not.toContain(secret);
    expect(await platform.logOf('gateway')).not.toContain(secret);
  }, 90_000);

  it("ends a build of Docker's client as lost when its node dies under it", async () => {
    const client = docker.run(['build', '-'], { stdin: 'FROM busybox\nRUN echo begun; sleep 1000\n' });
    const running = async (): Promise<BuildSummary | undefined> => (await anna.api.call<Page<BuildSummary>>('GET', '/v1/builds?state=running')).body.items[0];
    let build = await running();
    while (build === undefined) build = await running();
    const { id } = build;
    await anna.until(id, ({ steps }) => steps.length === 2);
    await platform.kill('worker');
    expect((await client).exitCode).not.toBe(0);
    await platform.untilReady();
    expect(await anna.over(id)).toMatchObject({ source: 'docker', state: 'lost' });
    expect((await anna.log(id)).at(-1)).toMatchObject({ type: 'end', state: 'lost' });
  }, 90_000);
});

/** Waits until the node keeps parcels of so many builds, on the disks of all tenants. */
async function untilSpooled({ dataDir }: Platform, count: number): Promise<void> {
  for (let tries = 0; tries < 200; tries += 1) {
    const { stdout } = await promisify(execFile)('find', [join(dataDir, 'engine', 'disks'), '-path', '*/builds/bld_*', '-prune', '-print']);
    if (stdout.split('\n').filter((line) => line !== '').length === count) return;
    await sleep(50);
  }
  throw new Error(`the node does not keep ${count} builds`);
}

/** Files below the folder that hold the text. */
async function filesWith(text: string, folder: string): Promise<string[]> {
  try {
    const { stdout } = await promisify(execFile)('grep', ['-rlaF', '--exclude-dir=disks', '-e', text, folder]);
    return stdout.trim().split('\n');
  } catch (error) {
    // 1: none; 2: some could not be read, which sockets and files that go meanwhile cannot.
    return (error as { stdout: string }).stdout.split('\n').filter((line) => line !== '');
  }
}
