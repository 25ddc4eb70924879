import { execFileSync } from 'node:child_process';
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPlatform, type DockerCli, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

/** Rows of the surface about images and layers, by Docker's own client, for two tenants of one platform. */
describe('docker: images and layers', () => {
  let platform: Platform;
  let anna: DockerCli;
  let bert: DockerCli;
  let folder: string;

  beforeAll(async () => {
    platform = await startPlatform();
    anna = await platform.docker();
    bert = await platform.docker((await platform.newTenant('bert')).apiKey);
    folder = await mkdtemp(join(tmpdir(), 'docker-images-'));
  }, 90_000);
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await Promise.all([anna.close(), bert.close()]);
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  /** A container that ran to its end. */
  async function ran(docker: DockerCli, ...args: string[]): Promise<string> {
    const id = await docker.ok('create', ...args);
    await docker.ok('start', id);
    expect(await docker.ok('wait', id)).toBe('0');
    return id;
  }

  it('says who it is', async () => {
    expect(await anna.ok('version', '--format', '{{.Server.APIVersion}}')).toBe('1.50');
    expect(await anna.ok('info', '--format', '{{.OSType}} {{.Images}}')).toBe('linux 0');
  });

  it('pulls, lists, inspects and forgets images, each tenant for itself', async () => {
    const pulled = await anna.ok('pull', 'busybox');
    expect(pulled).toMatch(/^Using default tag: latest\nlatest: Pulling from library\/busybox\n/);
    expect(pulled).toMatch(/Digest: sha256:[0-9a-f]{64}\nStatus: Downloaded newer image for busybox:latest\ndocker\.io\/library\/busybox:latest$/);
    expect(await anna.ok('pull', 'busybox')).toMatch(/Status: Image is up to date for busybox:latest/);
    expect(await anna.ok('images', '--format', '{{.Repository}}:{{.Tag}}')).toBe('busybox:latest');
    expect(await bert.ok('images', '-q')).toBe('');
    expect(await bert.fails('inspect', '--type', 'image', 'busybox')).toMatch(/No such image: busybox/i);
    const id = await anna.ok('images', '-q', '--no-trunc', 'busybox');
    expect(id).toMatch(/^sha256:[0-9a-f]{64}$/);
    // Neither by ID does another tenant see it.
    expect(await bert.fails('inspect', '--type', 'image', id)).toMatch(/No such image/i);
    expect(await bert.ok('pull', '-q', 'busybox')).toBe('docker.io/library/busybox:latest');
    expect(await bert.ok('images', '-q', '--no-trunc')).toBe(id);
    const [image] = await anna.json<[{ Id: string; RepoTags: string[]; RepoDigests: string[]; Architecture: string; Os: string; RootFS: { Layers: string[] }; Config: { Cmd: string[] } }]>('inspect', 'busybox');
    expect(image).toMatchObject({ Id: id, RepoTags: ['busybox:latest'], Os: 'linux' });
    expect(image.RepoDigests[0]).toMatch(/^busybox@sha256:/);
    expect(await anna.ok('images', '--digests', '--format', '{{.Digest}}')).toMatch(/^sha256:/);
    expect(await anna.ok('images', '--filter', 'reference=nothing*', '-q')).toBe('');
    expect(await anna.ok('images', '--filter', 'reference=busy*', '-q')).toHaveLength(12);
    expect(await anna.ok('pull', '-q', image.RepoDigests[0] ?? '')).toMatch(/busybox@sha256:/);
  });

  it('says what is wrong with a name or a registry', async () => {
    expect(await anna.fails('pull', 'registry.invalid/team/app')).toMatch(/registry\.invalid/);
    expect(await anna.fails('pull', 'no-such-image-anywhere')).toMatch(/no-such-image-anywhere|registry/);
    expect(await anna.fails('pull', 'busybox:absent')).toMatch(/./);
    expect(await anna.ok('images', '-q')).toHaveLength(12);
  });

  it('tags, and removes by the rules', async () => {
    await anna.ok('tag', 'busybox', 'mine/box:1');
    await anna.ok('tag', 'mine/box:1', '127.0.0.1:5000/other/box');
    expect((await anna.ok('images', '--format', '{{.Repository}}:{{.Tag}}')).split('\n').sort()).toEqual(['127.0.0.1:5000/other/box:latest', 'busybox:latest', 'mine/box:1']);
    expect(await anna.ok('rmi', 'mine/box:1')).toBe('Untagged: mine/box:1');
    const id = await anna.ok('images', '-q', 'busybox');
    expect(await anna.fails('rmi', id)).toMatch(/conflict: unable to delete [0-9a-f]{12} \(must be forced\) - image is referenced in multiple repositories/);
    expect(await anna.fails('tag', 'busybox', 'UPPER')).toMatch(/must be lowercase/);
    expect(await anna.fails('rmi', 'absent')).toMatch(/No such image: absent:latest/);
    await anna.ok('rmi', '127.0.0.1:5000/other/box');
    const container = await ran(anna, '--name', 'user', 'busybox', 'true');
    expect(await anna.fails('rmi', 'busybox')).toMatch(new RegExp(`unable to remove repository reference "busybox(:latest)?" \\(must force\\) - container ${container.slice(0, 12)} is using its referenced image ${id}`));
    await anna.ok('rm', 'user');
    const removed = await anna.ok('rmi', 'busybox');
    expect(removed).toMatch(/^Untagged: busybox:latest\n/);
    expect(removed).toMatch(/Deleted: sha256:[0-9a-f]{64}/);
    // The other tenant's is as it was.
    expect(await ran(bert, 'busybox', 'true')).toHaveLength(64);
    await anna.ok('pull', '-q', 'busybox');
  });

  it('sees one file system: copies up, hides deletions, never changes the image', async () => {
    const id = await ran(anna, '--name', 'writer', 'busybox', 'sh', '-c', 'echo new > /etc/passwd && rm /bin/vi && mkdir -p /data/sub && echo x > /data/sub/f');
    const changes = (await anna.ok('diff', 'writer')).split('\n').sort();
    expect(changes).toEqual(expect.arrayContaining(['A /data', 'A /data/sub', 'A /data/sub/f', 'C /bin', 'C /etc', 'C /etc/passwd', 'D /bin/vi']));
    const other = await ran(anna, 'busybox', 'sh', '-c', 'test -e /bin/vi && ! test -e /data && grep -q root /etc/passwd');
    await anna.ok('rm', other);
    expect(await anna.ok('commit', '-m', 'a note', '-a', 'Anna', '-c', 'CMD ["cat", "/data/sub/f"]', id, 'anna/committed:v1')).toMatch(/^sha256:/);
    const shown = await ran(anna, '--name', 'reader', 'anna/committed:v1');
    expect(await anna.ok('logs', shown)).toBe('x');
    const [image] = await anna.json<[{ Author: string; Comment: string; RootFS: { Layers: string[] }; Config: { Cmd: string[] } }]>('inspect', 'anna/committed:v1');
    const [base] = await anna.json<[{ RootFS: { Layers: string[] } }]>('inspect', 'busybox');
    expect(image).toMatchObject({ Author: 'Anna', Comment: 'a note', Config: { Cmd: ['cat', '/data/sub/f'] } });
    expect(image.RootFS.Layers.slice(0, -1)).toEqual(base.RootFS.Layers);
    const history = (await anna.ok('history', '--no-trunc', '--format', '{{.Comment}}|{{.Size}}', 'anna/committed:v1')).split('\n');
    expect(history[0]).toMatch(/^a note\|[\d.]+k?B$/);
    await anna.ok('rm', 'writer', 'reader');
  });

  it('exports a tree and imports it as one layer', async () => {
    const id = await ran(anna, 'anna/committed:v1', 'true');
    const tar = join(folder, 'export.tar');
    await anna.ok('export', '-o', tar, id);
    const names = execFileSync('tar', ['-tf', tar], { encoding: 'utf8' }).split('\n');
    expect(names).toContain('data/sub/f');
    expect(names).not.toContain('bin/vi');
    const imported = await bert.ok('import', '-c', 'CMD ["sh"]', '-m', 'from anna', tar, 'imported:2');
    expect(imported).toMatch(/^sha256:/);
    expect((await bert.ok('history', '-q', 'imported:2')).split('\n')).toHaveLength(1);
    const again = await ran(bert, 'imported:2', 'cat', '/data/sub/f');
    expect(await bert.ok('logs', again)).toBe('x');
    await bert.ok('rm', again);
    await anna.ok('rm', id);
    expect((await anna.run(['import', '-'], { stdin: 'this is no tar' })).exitCode).not.toBe(0);
  });

  it('saves and loads the same image, by digest, into another tenant', async () => {
    const file = join(folder, 'save.tar');
    await anna.ok('save', '-o', file, 'anna/committed:v1', 'busybox');
    expect((await bert.ok('load', '-i', file)).split('\n').sort()).toEqual(['Loaded image: anna/committed:v1', 'Loaded image: busybox:latest']);
    for (const name of ['anna/committed:v1', 'busybox']) expect(await bert.ok('images', '-q', '--no-trunc', name)).toBe(await anna.ok('images', '-q', '--no-trunc', name));
    const run = await ran(bert, 'anna/committed:v1');
    expect(await bert.ok('logs', run)).toBe('x');
    await bert.ok('rm', run);
    const truncated = join(folder, 'cut.tar');
    await writeFile(truncated, (await readFile(file)).subarray(0, Math.floor((await stat(file)).size / 2)));
    expect(await anna.fails('load', '-i', truncated)).toMatch(/./);
  });

  it('counts what each tenant has, and prunes', async () => {
    const df = await anna.ok('system', 'df', '--format', '{{.Type}}|{{.TotalCount}}');
    expect(df.split('\n')).toEqual(['Images|2', 'Containers|0', 'Local Volumes|0', 'Build Cache|0']);
    expect(await anna.ok('system', 'df', '-v')).toMatch(/anna\/committed/);
    const dangling = await ran(anna, 'busybox', 'touch', '/one');
    const id = await anna.ok('commit', dangling);
    expect(await anna.ok('images', '-q', '--no-trunc', '--filter', 'dangling=true')).toBe(id);
    await anna.ok('rm', dangling);
    expect(await anna.ok('image', 'prune', '-f')).toMatch(new RegExp(`deleted: ${id}`));
    expect(await anna.ok('image', 'prune', '-af')).toMatch(/Total reclaimed space/);
    expect(await anna.ok('images', '-aq')).toBe('');
    expect((await bert.ok('images', '-q')).split('\n').length).toBeGreaterThan(1);
  });

  it('finds base images', async () => {
    const found = await anna.ok('search', '--format', '{{.Name}}|{{.IsOfficial}}', 'busybox');
    expect(found.split('\n')).toContain('busybox|[OK]');
  });
});
