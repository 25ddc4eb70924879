import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { OperationProgress, OperationView } from '#contracts';
import { REGISTRY_PASSWORD, REGISTRY_USER, RegistryServer, startPlatform, type DockerCli, type Platform } from '#testing';
import { ApiClient } from './api-client.js';
import { stopAndExpectNothingLeft } from './nothing-left.js';

const MiB = 1024 * 1024;

/** Pull, push and login against a registry of Debian's, by Docker's own client. */
describe('docker: a registry with authentication', () => {
  let platform: Platform;
  let registry: RegistryServer;
  let anna: DockerCli;
  let bert: DockerCli;
  let name: string;

  beforeAll(async () => {
    registry = await RegistryServer.start();
    platform = await startPlatform({ env: { SANDBAR_INSECURE_REGISTRIES: registry.host } });
    anna = await platform.docker();
    bert = await platform.docker((await platform.newTenant('bert')).apiKey);
    name = `${registry.host}/team/app`;
    await anna.ok('pull', '-q', 'busybox');
  }, 120_000);
  afterAll(async () => {
    await Promise.all([anna.close(), bert.close()]);
    await stopAndExpectNothingLeft(platform);
    await registry.stop();
  }, 60_000);

  it('logs in with the right password alone', async () => {
    expect((await anna.run(['login', registry.host, '-u', REGISTRY_USER, '--password-stdin'], { stdin: 'wrong' })).stderr).toMatch(/401 Unauthorized/);
    expect((await anna.run(['login', registry.host, '-u', REGISTRY_USER, '--password-stdin'], { stdin: REGISTRY_PASSWORD })).stdout).toMatch(/Login Succeeded/);
  });

  it('pushes, says what is there already, and pulls the same digest into another tenant', async () => {
    await anna.ok('tag', 'busybox', `${name}:v1`);
    const pushed = await anna.ok('push', `${name}:v1`);
    const digest = /v1: digest: (sha256:[0-9a-f]{64}) size: \d+/.exec(pushed)?.[1];
    expect(digest).toBeDefined();
    expect(await anna.ok('push', `${name}:v1`)).toMatch(/Layer already exists/);
    expect(await bert.fails('pull', `${name}:v1`)).toMatch(/unauthorized|no basic auth credentials|denied/);
    await bert.run(['login', registry.host, '-u', REGISTRY_USER, '--password-stdin'], { stdin: REGISTRY_PASSWORD });
    expect(await bert.ok('pull', `${name}:v1`)).toContain(`Digest: ${String(digest)}`);
    expect(await bert.ok('images', '-q', '--no-trunc', name)).toBe(await anna.ok('images', '-q', '--no-trunc', name));
    expect(await bert.ok('pull', `${name}@${String(digest)}`)).toContain(`Digest: ${String(digest)}`);
    expect(await bert.fails('pull', `${name}:absent`)).toMatch(/manifest for .*:absent not found/);
    // A pulled image goes back as it came.
    await bert.ok('tag', `${name}:v1`, `${name}:v2`);
    expect(await bert.ok('push', `${name}:v2`)).toContain(`v2: digest: ${String(digest)}`);
  });

  it('takes a pull up again where a killed worker left it', async () => {
    for (const layer of ['one', 'two']) {
      const id = await anna.ok('create', layer === 'one' ? 'busybox' : `${name}:big`, 'sh', '-c', `head -c ${String(12 * MiB)} /dev/urandom > /${layer}`);
      await anna.ok('start', id);
      await anna.ok('wait', id);
      await anna.ok('commit', id, `${name}:big`);
      await anna.ok('rm', id);
    }
    await anna.ok('push', `${name}:big`);
    await anna.ok('rmi', `${name}:big`);
    registry.blobRequests.length = 0;
    const reached = registry.hold(5 * MiB);
    const pulling = bert.run(['pull', `${name}:big`]);
    await reached;
    // What has come is on its way to the disk.
    await new Promise((resolve) => setTimeout(resolve, 1_000));
    await platform.kill('worker');
    registry.release();
    await pulling;
    await platform.untilReady();
    await bert.ok('pull', `${name}:big`);
    const fetched = new Map<string, number>();
    for (const { digest, bytes } of registry.blobRequests) fetched.set(digest, (fetched.get(digest) ?? 0) + bytes);
    const resumed = registry.blobRequests.filter(({ from }) => from > 0);
    expect(resumed.length).toBeGreaterThan(0);
    for (const { digest, from } of resumed) expect(fetched.get(digest)).toBeLessThanOrEqual(13 * MiB + (5 * MiB - from));
    const id = await bert.ok('create', `${name}:big`, 'sh', '-c', 'wc -c < /one; wc -c < /two');
    await bert.ok('start', id);
    await bert.ok('wait', id);
    expect((await bert.ok('logs', id)).split('\n')).toEqual([String(12 * MiB), String(12 * MiB)]);
    await bert.ok('rm', id);
  }, 120_000);

  it('stores once what two tenants have', async () => {
    const bytes = (): number => execFileSync('du', ['-sb', join(platform.dataDir, 'engine', 'content'), join(platform.dataDir, 'engine', 'snapshots')], { encoding: 'utf8' }).split('\n').reduce((sum, line) => sum + Number(line.split('\t')[0] ?? 0), 0);
    const before = bytes();
    await anna.run(['login', registry.host, '-u', REGISTRY_USER, '--password-stdin'], { stdin: REGISTRY_PASSWORD });
    await anna.ok('pull', `${name}:big`);
    // The names of the second tenant, and nothing else.
    expect(bytes() - before).toBeLessThan(MiB);
    for (const docker of [anna, bert]) expect(await docker.ok('images', '--format', '{{.Size}}', `${name}:big`)).toMatch(/^2\d(\.\d+)?MB$/);
    // Each is told of what it has, whoever else has it.
    const container = await bert.ok('create', `${name}:big`);
    const usage = (docker: DockerCli): Promise<string> => docker.ok('system', 'df', '--format', '{{.Type}}|{{.TotalCount}}|{{.Active}}|{{.Size}}').then((text) => text.split('\n')[0] ?? '');
    expect(await usage(anna)).toMatch(/^Images\|2\|0\|2\d(\.\d+)?MB$/);
    expect(await usage(bert)).toMatch(/^Images\|2\|1\|2\d(\.\d+)?MB$/);
    await bert.ok('rm', container);
    await bert.ok('rmi', `${name}:big`);
    expect(await usage(bert)).toMatch(/^Images\|1\|0\|\d(\.\d+)?MB$/);
    expect(await usage(anna)).toMatch(/^Images\|2\|0\|2\d(\.\d+)?MB$/);
    expect(await anna.ok('images', '-q', `${name}:big`)).not.toBe('');
  });

  it('is pushed to and pulled from over REST as well', async () => {
    const api = new ApiClient(platform.url, platform.apiKey);
    const container = await anna.ok('create', 'busybox', 'touch', '/over-rest');
    await anna.ok('start', container);
    await anna.ok('wait', container);
    const made = await api.call<{ id: string }>('POST', '/v1/images/commit', { container, name: `${name}:rest`, changes: ['CMD ["ls", "/over-rest"]'] });
    expect(made.status).toBe(201);
    await anna.ok('rm', container);
    const auth = { username: REGISTRY_USER, password: REGISTRY_PASSWORD };
    const end = async (path: string, body: object): Promise<OperationProgress | undefined> => {
      const { status, body: operation } = await api.call<OperationView>('POST', path, body);
      expect(status).toBe(202);
      const progress = await fetch(`${platform.url}/v1/operations/${operation.id}/progress`, { headers: api.authorization });
      return (await progress.text()).trimEnd().split('\n').map((line) => JSON.parse(line) as OperationProgress).at(-1);
    };
    expect(await end('/v1/images/push', { reference: `${name}:rest` })).toMatchObject({ end: true, error: { code: expect.stringMatching(/unauthenticated|permission_denied/) as string } });
    expect(await end('/v1/images/push', { reference: `${name}:rest`, auth })).toMatchObject({ end: true });
    await api.call('DELETE', `/v1/images/${encodeURIComponent(`${name}:rest`)}`);
    expect(await end('/v1/images/pull', { reference: `${name}:rest`, auth })).toMatchObject({ end: true });
    expect(await anna.ok('images', '-q', '--no-trunc', `${name}:rest`)).toBe(made.body.id);
  });

  it('does not speak to private addresses that the operator has not named', async () => {
    for (const host of ['127.0.0.1:1', '10.0.0.1', '169.254.169.254', '[::1]:5000', 'localhost:5000']) {
      expect(await anna.fails('pull', `${host}/x`)).toMatch(/not a public one/);
    }
  });
});
