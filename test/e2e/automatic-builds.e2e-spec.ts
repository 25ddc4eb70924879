import { execFile } from 'node:child_process';
import { createHmac, randomUUID } from 'node:crypto';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import type { BuildDeliveryView, BuildSourceView, CreatedBuildSource, ErrorBody } from '#contracts';
import { newId } from '#kernel';
import { startPlatform, type DockerCli, type Platform } from '#testing';
import { GitServer } from '../../libs/engine/src/git/testing/git-server.contract.js';
import { BuildsClient, outputOf } from './builds-client.js';
import { stopAndExpectNothingLeft } from './nothing-left.js';

/** A push to a real repository, told by a signed webhook, becomes an image: over the command line, REST and Docker's client. */
describe('automatic builds', () => {
  const token = `a-token-${newId('request')}`;
  let platform: Platform;
  let git: GitServer;
  let key: string;
  let builds: BuildsClient;
  let docker: DockerCli;
  const secrets = [token];
  let source: CreatedBuildSource & { webhookUrl: string };

  beforeAll(async () => {
    git = await GitServer.start();
    platform = await startPlatform({ env: { SANDBAR_INSECURE_REGISTRIES: git.host } });
    key = (await platform.newTenant('anna')).apiKey;
    builds = new BuildsClient(platform, key);
    docker = await platform.docker(key);
    await docker.ok('pull', '-q', 'busybox');
  }, 120_000);
  afterAll(async () => {
    await docker.close();
    await git.stop();
    await stopAndExpectNothingLeft(platform);
  }, 120_000);

  const cli = (...args: string[]) => platform.cli(args, { env: { SANDBAR_API_KEY: key, SANDBAR_URL: platform.url, TOKEN: token } });
  const commit = async (word: string): Promise<string> => {
    await writeFile(join(git.work, 'Dockerfile'), 'FROM busybox\nARG MODE\nCOPY word /word\nRUN --mount=type=secret,id=key cat /word; echo "mode $MODE, key of $(wc -c < /run/secrets/key)"\nCMD cat /word\n');
    await writeFile(join(git.work, 'word'), `${word}\n`);
    return git.commit();
  };
  const deliver = async (body: string, headers: Record<string, string>): Promise<{ status: number; body: BuildDeliveryView & ErrorBody }> => {
    const answer = await fetch(source.webhookUrl, { method: 'POST', body, headers: { 'content-type': 'application/json', ...headers } });
    return { status: answer.status, body: (await answer.json()) as BuildDeliveryView & ErrorBody };
  };
  const pushOf = (ref: string, after: string): string => JSON.stringify({ ref, before: '0'.repeat(40), after, repository: { clone_url: 'http://127.0.0.1:1/other.git' }, head_commit: { id: after } });
  const github = (body: string, secret = source.webhookSecret): ReturnType<typeof deliver> =>
    deliver(body, { 'x-github-event': 'push', 'x-github-delivery': randomUUID(), 'x-hub-signature-256': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}` });

  it('begin with a source, whose webhook and secret are told once', async () => {
    const args = ['--branch', 'main', '-t', 'team/app:{branch}', '-t', 'team/app:{sha7}', '--build-arg', 'MODE=test', '--secret', 'id=key,env=TOKEN'];
    const { exitCode, stdout, stderr } = await cli('build-source', 'create', 'app', git.url, ...args, '--json');
    expect({ exitCode, stderr }).toEqual({ exitCode: 0, stderr: '' });
    source = JSON.parse(stdout) as typeof source;
    secrets.push(source.webhookSecret);
    expect(source).toMatchObject({ name: 'app', webhookUrl: platform.url + source.webhookPath, webhookSecret: expect.stringMatching(/^whsec_/) as string });
    expect((await cli('build-source', 'ls')).stdout).toMatch(new RegExp(`^SOURCE +REPOSITORY .*\\napp +${git.url} +main +team/app:\\{branch\\} team/app:\\{sha7\\} +- +-\\n$`));
    expect((await cli('build-source', 'inspect', 'app')).stdout).not.toContain(source.webhookSecret);
  }, 60_000);

  it('build and name the commit that was pushed, though the branch has moved on since', async () => {
    const first = await commit('first');
    const second = await commit('second');
    const { status, body } = await github(pushOf('refs/heads/main', first));
    expect({ status, body }).toMatchObject({ status: 202, body: { state: 'built', commit: first } });
    const build = await builds.over(body.buildId ?? '');
    expect(build).toMatchObject({ state: 'succeeded', source: 'git', commit: first, git: { url: git.url, ref: first }, tags: ['docker.io/team/app:main', `docker.io/team/app:${first.slice(0, 7)}`] });
    expect(outputOf(await builds.log(build.id))).toBe(`first\nmode test, key of ${token.length}\n`);
    expect(await docker.ok('run', '--rm', 'team/app:main')).toBe('first');
    await builds.over((await github(pushOf('refs/heads/main', second))).body.buildId ?? '');
    expect(await docker.ok('run', '--rm', 'team/app:main')).toBe('second');
    expect(await docker.ok('run', '--rm', `team/app:${first.slice(0, 7)}`)).toBe('first');
  }, 90_000);

  it('take GitLab’s signing token, and count a delivery once', async () => {
    const third = await commit('third');
    const body = pushOf('refs/heads/main', third);
    const seconds = String(Math.floor(Date.now() / 1000));
    const signature = createHmac('sha256', Buffer.from(source.webhookSecret.slice('whsec_'.length), 'base64')).update(`one.${seconds}.${body}`).digest('base64');
    const headers = { 'x-gitlab-event': 'Push Hook', 'webhook-id': 'one', 'webhook-timestamp': seconds, 'webhook-signature': `v1,${signature}` };
    const fresh = await deliver(body, headers);
    expect(fresh).toMatchObject({ status: 202, body: { state: 'built', commit: third } });
    expect(await deliver(body, headers)).toMatchObject({ status: 200, body: { id: fresh.body.id, buildId: fresh.body.buildId } });
    await builds.over(fresh.body.buildId ?? '');
    expect(await docker.ok('run', '--rm', 'team/app:main')).toBe('third');
    const { stdout } = await cli('build-source', 'deliveries', 'app', '--json');
    expect((JSON.parse(stdout) as BuildDeliveryView[]).map(({ state, event }) => `${event} ${state}`)).toEqual(['Push Hook built', 'push built', 'push built']);
  }, 60_000);

  it('take what the submodules of a commit have', async () => {
    const library = await git.repository('library.git');
    await writeFile(join(library.work, 'text'), 'of the library\n');
    await writeFile(join(git.work, 'Dockerfile'), 'FROM busybox\nCOPY vendor/library/text /text\nCMD cat /text\n');
    const before = git.run('rev-parse', 'HEAD');
    const linked = await git.commitLinks([{ path: 'vendor/library', url: '../library.git', commit: library.commit() }]);
    const { body } = await github(pushOf('refs/heads/main', linked));
    expect(await builds.over(body.buildId ?? '')).toMatchObject({ state: 'succeeded', commit: linked });
    expect(await docker.ok('run', '--rm', 'team/app:main')).toBe('of the library');
    const gone = await git.commitLinks([{ path: 'vendor/library', url: '../library.git', commit: '1'.repeat(40) }]);
    const failed = await builds.over((await github(pushOf('refs/heads/main', gone))).body.buildId ?? '');
    expect(failed).toMatchObject({ state: 'failed', error: { message: expect.stringMatching(/^submodule "vendor\/library": .*not our ref/) as string } });
    git.run('reset', '-q', '--hard', before);
    await builds.over((await github(pushOf('refs/heads/main', before))).body.buildId ?? '');
  }, 90_000);

  it('do not build for who cannot sign, nor for other branches', async () => {
    const before = git.seen.length;
    expect((await github(pushOf('refs/heads/main', await commit('forged')), 'whsec_AAAA')).status).toBe(401);
    expect(await github(pushOf('refs/heads/side', '1'.repeat(40)))).toMatchObject({ status: 200, body: { state: 'ignored' } });
    expect(git.seen.length).toBe(before);
    expect(await docker.ok('run', '--rm', 'team/app:main')).toBe('third');
  }, 60_000);

  it('are started by hand too, and tell why one fails', async () => {
    const { exitCode, stdout, stderr } = await cli('build-source', 'build', 'app');
    expect({ exitCode, stdout }).toEqual({ exitCode: 0, stdout: expect.stringMatching(/^sha256:[0-9a-f]{64}\n$/) as string });
    expect(stderr).toContain('named team/app:main\n');
    expect(await docker.ok('run', '--rm', 'team/app:main')).toBe('forged');
    expect(await cli('build-source', 'build', 'app', '--branch', 'nowhere')).toMatchObject({ exitCode: 1, stdout: '' });
  }, 60_000);

  it('stop with an old secret, and with the source', async () => {
    const old = source.webhookSecret;
    const { stdout } = await cli('build-source', 'new-secret', 'app', '--json');
    source = JSON.parse(stdout) as typeof source;
    secrets.push(source.webhookSecret);
    const body = pushOf('refs/heads/main', git.run('rev-parse', 'HEAD'));
    expect((await github(body, old)).status).toBe(401);
    expect((await github(body)).status).toBe(202);
    await cli('build-source', 'update', 'app', '--git-tag', 'v*', '-t', 'team/app:{tag}');
    expect(JSON.parse((await cli('build-source', 'inspect', 'app')).stdout) as BuildSourceView).toMatchObject({ on: { tag: 'v*' }, tags: ['team/app:{tag}'], git: { url: git.url }, secrets: ['key'] });
    expect(await cli('build-source', 'rm', 'app')).toMatchObject({ exitCode: 0, stdout: 'app\n' });
    expect((await github(body)).status).toBe(401);
  }, 60_000);

  it('have left their secrets nowhere in the clear', async () => {
    const { stdout } = await promisify(execFile)('grep', ['-rlaF', '--exclude-dir=disks', ...secrets.flatMap((secret) => ['-e', secret]), platform.dataDir]).catch((error: unknown) => error as { stdout: string });
    expect(secrets).toHaveLength(3);
    expect(stdout).toBe('');
  }, 60_000);
});
