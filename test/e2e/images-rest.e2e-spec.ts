import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { DiskUsageView, ImageDetail, ImageSummary, OperationProgress, OperationView, VolumeView } from '#contracts';
import { startPlatform, type Platform } from '#testing';
import { ApiClient } from './api-client.js';
import { stopAndExpectNothingLeft } from './nothing-left.js';

describe('images and volumes over REST', () => {
  let platform: Platform;
  let anna: ApiClient;
  let bert: ApiClient;
  const TAR = { 'content-type': 'application/x-tar' };

  beforeAll(async () => {
    platform = await startPlatform();
    const base = new ApiClient(platform.url);
    anna = base.withKey(platform.apiKey);
    bert = base.withKey((await platform.newTenant('bert')).apiKey);
  }, 90_000);
  afterAll(async () => {
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  /** The lines of an operation's progress to its end. */
  async function follow(client: ApiClient, id: string, after = 0): Promise<OperationProgress[]> {
    const answer = await fetch(`${platform.url}/v1/operations/${id}/progress?after=${String(after)}`, { headers: client.authorization });
    expect(answer.status).toBe(200);
    return (await answer.text())
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as OperationProgress);
  }

  it('pulls as an operation whose progress can be taken up at any line', async () => {
    const { status, body } = await anna.call<OperationView>('POST', '/v1/images/pull', { reference: 'busybox' });
    expect({ status, state: body.state, reference: body.reference }).toEqual({ status: 202, state: 'queued', reference: 'docker.io/library/busybox:latest' });
    const lines = await follow(anna, body.id);
    expect(lines.map(({ seq }) => seq)).toEqual(lines.map((_, index) => index + 1));
    expect(lines.at(-1)).toMatchObject({ end: true });
    expect(await follow(anna, body.id, 2)).toEqual(lines.slice(2));
    // The row is written a moment after the last line.
    let view = body;
    for (let tries = 0; view.finishedAt === null && tries < 50; tries += 1) view = (await anna.call<OperationView>('GET', `/v1/operations/${body.id}`)).body;
    expect(view).toMatchObject({ state: 'succeeded', result: { changed: true } });
    for (const path of [`/v1/operations/${body.id}`, `/v1/operations/${body.id}/progress`]) expect((await bert.expectError('GET', path)).status).toBe(404);
    const missing = await anna.call<OperationView>('POST', '/v1/images/pull', { reference: 'no-such-image-anywhere' });
    expect((await follow(anna, missing.body.id)).at(-1)).toMatchObject({ end: true, error: { code: expect.any(String) as string } });
    expect((await anna.expectError('POST', '/v1/images/pull', { reference: 'Not A Name' })).error.code).toBe('invalid_argument');
  });

  it('lists, inspects, tags and removes', async () => {
    const { items } = (await anna.call<{ items: ImageSummary[] }>('GET', '/v1/images')).body;
    expect(items).toMatchObject([{ tags: ['docker.io/library/busybox:latest'], containers: 0 }]);
    expect((await bert.call<{ items: ImageSummary[] }>('GET', '/v1/images')).body.items).toEqual([]);
    const id = items[0]?.id ?? '';
    for (const ref of ['busybox', 'docker.io/library/busybox:latest', id, id.slice(7, 19)]) {
      expect((await anna.call<ImageDetail>('GET', `/v1/images/${encodeURIComponent(ref)}`)).body.id).toBe(id);
      expect((await bert.expectError('GET', `/v1/images/${encodeURIComponent(ref)}`)).status).toBe(404);
    }
    expect((await anna.call<ImageDetail>('POST', '/v1/images/busybox/tags', { name: 'team/box:v1' })).body.tags).toContain('docker.io/team/box:v1');
    expect((await anna.call<{ items: unknown[] }>('GET', '/v1/images/busybox/history')).body.items.length).toBeGreaterThan(0);
    expect((await anna.call('DELETE', '/v1/images/team%2Fbox%3Av1')).body).toEqual({ items: [{ kind: 'untagged', name: 'team/box:v1' }] });
    expect((await anna.expectError('DELETE', '/v1/images/absent')).error).toMatchObject({ code: 'not_found', message: 'No such image: absent:latest' });
  });

  it('imports, saves and loads archives that are streamed', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'rest-images-'));
    try {
      writeFileSync(join(folder, 'hello'), 'hello\n');
      const tar = execFileSync('tar', ['-C', folder, '-cf', '-', 'hello']);
      const imported = await anna.call<{ id: string }>('POST', `/v1/images/import?name=hello%3A1&change=${encodeURIComponent('CMD ["x"]')}`, tar, TAR);
      expect(imported.status).toBe(201);
      const archive = await fetch(`${platform.url}/v1/images/archive?name=hello%3A1&name=busybox`, { headers: anna.authorization });
      expect(archive.headers.get('content-type')).toBe('application/x-tar');
      const bytes = new Uint8Array(await archive.arrayBuffer());
      const loaded = await bert.call<{ images: { id: string; tags: string[] }[] }>('POST', '/v1/images/load', bytes, TAR);
      expect(loaded.body.images.map(({ tags }) => tags)).toEqual([['docker.io/library/hello:1'], ['docker.io/library/busybox:latest']]);
      expect(loaded.body.images[0]?.id).toBe(imported.body.id);
      const cut = await bert.expectError('POST', '/v1/images/load', bytes.subarray(0, bytes.length / 2), TAR);
      expect(cut.error.code).toBe('invalid_argument');
      expect((await anna.expectError('POST', '/v1/images/import', '{}')).error.code).toBe('invalid_argument');
      expect((await anna.expectError('GET', '/v1/images/archive?name=absent')).status).toBe(404);
    } finally {
      rmSync(folder, { recursive: true });
    }
  });

  it('prunes what nothing uses, and shows operations to their tenant alone', async () => {
    const { items } = (await anna.call<{ items: OperationView[] }>('GET', '/v1/operations')).body;
    expect(items.map(({ kind }) => kind)).toContain('image.pull');
    expect((await bert.call<{ items: OperationView[] }>('GET', '/v1/operations')).body.items).toEqual([]);
    const [own] = items;
    for (const [method, path] of [['GET', ''], ['GET', '/progress'], ['POST', '/cancel']] as const) {
      const foreign = await bert.expectError(method, `/v1/operations/${own?.id ?? ''}${path}`);
      const unknown = await bert.expectError(method, `/v1/operations/op_01234567890123456789012345${path}`);
      expect({ status: foreign.status, ...foreign.error, requestId: '' }).toEqual({ status: 404, ...unknown.error, requestId: '' });
    }
    await anna.call('POST', '/v1/images/busybox/tags', { name: 'kept:1' });
    await anna.call('POST', '/v1/volumes', { name: 'unused' });
    const kept = (await bert.call<{ items: ImageSummary[] }>('GET', '/v1/images')).body.items.length;
    const pruned = await anna.call<{ removals: { kind: string }[] }>('POST', '/v1/images/prune', { all: true });
    expect(pruned.body.removals.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['untagged', 'deleted']));
    expect((await anna.call<{ items: unknown[] }>('GET', '/v1/images')).body.items).toEqual([]);
    expect((await bert.call<{ items: ImageSummary[] }>('GET', '/v1/images')).body.items).toHaveLength(kept);
    await anna.call('POST', '/v1/volumes/prune', { all: true });
    expect((await anna.call<{ items: unknown[] }>('GET', '/v1/volumes')).body.items).toEqual([]);
  });

  it('keeps volumes, and backs them up and restores them as tars', async () => {
    const made = await anna.call<VolumeView>('POST', '/v1/volumes', { name: 'data', labels: { a: 'b' } });
    expect(made).toMatchObject({ status: 201, body: { name: 'data', labels: { a: 'b' }, anonymous: false, usedBy: [] } });
    expect((await bert.expectError('GET', '/v1/volumes/data')).status).toBe(404);
    const folder = mkdtempSync(join(tmpdir(), 'rest-volumes-'));
    try {
      writeFileSync(join(folder, 'kept'), 'kept\n');
      const tar = execFileSync('tar', ['-C', folder, '--owner=1000', '--group=1000', '--numeric-owner', '-cf', '-', 'kept']);
      expect((await anna.call('PUT', '/v1/volumes/data/archive', tar, TAR)).status).toBe(204);
      const back = await fetch(`${platform.url}/v1/volumes/data/archive`, { headers: anna.authorization });
      const listed = execFileSync('tar', ['-tv', '--numeric-owner', '-f', '-'], { input: new Uint8Array(await back.arrayBuffer()), encoding: 'utf8' });
      expect(listed).toMatch(/^-rw\S+ 1000\/1000 +5 .* kept$/m);
      expect((await bert.expectError('GET', '/v1/volumes/data/archive')).status).toBe(404);
    } finally {
      rmSync(folder, { recursive: true });
    }
    const usage = (await anna.call<DiskUsageView>('GET', '/v1/disk-usage')).body;
    expect(usage.volumes.map(({ name }) => name)).toEqual(['data']);
    expect((await anna.call('DELETE', '/v1/volumes/data')).status).toBe(204);
    expect((await anna.expectError('DELETE', '/v1/volumes/data')).status).toBe(404);
    expect((await anna.expectError('POST', '/v1/volumes', { name: '../x' })).error.code).toBe('invalid_argument');
  });
});
