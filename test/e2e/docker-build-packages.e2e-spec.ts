import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPlatform, type DockerCli, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

/** What a tenant finds on a machine that has just been set up: Debian's minimal system, and a way to its packages. */
describe('a build with packages of Debian', () => {
  let platform: Platform;
  let docker: DockerCli;
  let folder: string;

  beforeAll(async () => {
    platform = await startPlatform();
    docker = await platform.docker((await platform.newTenant('packages')).apiKey);
    folder = await mkdtemp(join(tmpdir(), 'docker-packages-'));
  }, 120_000);
  afterAll(async () => {
    await docker.close();
    await rm(folder, { recursive: true, force: true });
    await stopAndExpectNothingLeft(platform);
  }, 120_000);

  it('installs them, makes users, and keeps nothing of apt in the layer', async () => {
    const lines = ['FROM debian:bookworm-slim', 'RUN apt-get update && apt-get install -y --no-install-recommends jq && rm -rf /var/lib/apt/lists/*', 'RUN useradd --create-home app', 'USER app', 'CMD ["jq", "-n", "6 * 7"]'];
    await writeFile(join(folder, 'Dockerfile'), `${lines.join('\n')}\n`);
    await docker.ok('build', '-t', 'calculator', folder);
    expect(await docker.ok('run', '--rm', 'calculator')).toBe('42');
    expect(await docker.ok('run', '--rm', 'calculator', 'id', '-un')).toBe('app');
    expect(await docker.ok('run', '--rm', '--user', 'root', 'calculator', 'find', '/var/lib/apt/lists', '/var/cache/apt', '-type', 'f', '!', '-name', 'lock')).toBe('');
  }, 180_000);

  it('shows tenants nothing of what the platform has built for itself', async () => {
    expect(await docker.ok('images', '-a', '--format', '{{.Repository}}')).not.toContain('runtimes.sandbar');
    const { items, available } = await platform.client().runtimes.all();
    expect(items.map(({ name }) => name)).toEqual(['bash', 'c', 'cpp', 'node', 'python']);
    expect(available.map(({ name }) => name)).toEqual(['go', 'java', 'php', 'ruby', 'rust']);
  });

  it('installs a language on a platform that runs, for the operator alone', async () => {
    const { stderr, exitCode } = await platform.cli(['runtimes', 'install', 'ruby'], { env: { SANDBAR_API_KEY: platform.apiKey } });
    expect({ exitCode, stderr }).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(/admin|scope|permission/) });
    const installed = await platform.cli(['runtimes', 'install', 'rb', 'ruby'], { env: { SANDBAR_API_KEY: platform.adminKey } });
    expect(installed).toMatchObject({ exitCode: 0, stdout: expect.stringMatching(/ruby is installed\n$/) });
    const run = await platform.client().runs.create({ runtime: 'rb', code: 'puts 6 * 7' });
    expect(await platform.client().runs.wait(run.id)).toMatchObject({ state: 'succeeded', stdout: '42\n' });
    const unknown = await platform.cli(['runtimes', 'install', 'cobol'], { env: { SANDBAR_API_KEY: platform.adminKey } });
    expect(unknown).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('no runtime "cobol"') });
  }, 300_000);
});
