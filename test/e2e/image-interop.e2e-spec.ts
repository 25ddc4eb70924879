import { execFileSync, spawnSync } from 'node:child_process';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DockerDaemon, startPlatform, type DockerCli, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

/** Archives that other tools write are loaded, and what we write they take. */
describe('image archives of other tools', () => {
  let platform: Platform;
  let docker: DockerCli;
  let folder: string;
  let saved: string;
  let id: string;

  const tool = (program: string, ...args: string[]): string => execFileSync(program, args, { encoding: 'utf8', cwd: folder, stdio: ['ignore', 'pipe', 'pipe'] });

  beforeAll(async () => {
    platform = await startPlatform();
    docker = await platform.docker();
    folder = await mkdtemp(join(tmpdir(), 'interop-'));
    saved = join(folder, 'saved.tar');
    await docker.ok('pull', '-q', 'busybox');
    const made = await docker.ok('create', '--name', 'maker', 'busybox', 'sh', '-c', 'echo layer > /second && rm /bin/vi');
    await docker.ok('start', made);
    await docker.ok('wait', made);
    await docker.ok('commit', made, 'interop:committed');
    // Its JSON has what a commit's has not: by which keys of the cache it was made.
    const built = await docker.run(['build', '-t', 'interop:v1', '-'], { stdin: 'FROM interop:committed\nRUN echo more > /third\nCMD ["cat", "/second"]\n' });
    expect(built).toMatchObject({ exitCode: 0 });
    id = await docker.ok('images', '-q', '--no-trunc', 'interop:v1');
    await docker.ok('save', '-o', saved, 'interop:v1');
    await mkdir(join(folder, 'layout'));
    execFileSync('tar', ['-C', join(folder, 'layout'), '-xf', saved]);
  }, 120_000);
  afterAll(async () => {
    await rm(folder, { recursive: true, force: true });
    await docker.close();
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  /** Loads it where no image is, and runs it. */
  async function loads(file: string, name: string): Promise<void> {
    await docker.run(['rmi', '-f', name, 'interop:v1']);
    await docker.ok('load', '-i', file);
    expect(await docker.ok('images', '-q', '--no-trunc', name)).toBe(id);
    const container = await docker.ok('create', name);
    await docker.ok('start', container);
    expect(await docker.ok('wait', container)).toBe('0');
    expect(await docker.ok('logs', container)).toBe('layer');
    await docker.ok('rm', container);
  }

  it('what we save is the same for the same image, and loads again', async () => {
    const again = join(folder, 'again.tar');
    await docker.ok('save', '-o', again, 'interop:v1');
    expect((await readFile(again)).equals(await readFile(saved))).toBe(true);
    await docker.ok('rm', 'maker');
    await loads(saved, 'interop:v1');
  });

  it("Docker's own daemon loads what we save, and we load what it writes", async () => {
    const daemon = await DockerDaemon.start();
    try {
      const theirs = (...args: string[]): string => tool('docker', '-H', daemon.host, ...args).trim();
      theirs('load', '-q', '-i', saved);
      expect(theirs('images', '-q', '--no-trunc', 'interop:v1')).toBe(id);
      const changed = theirs('create', '--network', 'none', 'interop:v1', 'sh', '-c', 'echo daemon > /third && rm /second');
      expect(theirs('start', '-a', changed)).toBe('');
      const made = theirs('commit', '-c', 'CMD ["cat", "/third"]', changed, 'interop:daemon');
      theirs('save', '-o', 'daemon.tar', 'interop:daemon', 'interop:v1');
      await docker.run(['rmi', '-f', 'interop:v1']);
      expect((await docker.ok('load', '-i', join(folder, 'daemon.tar'))).split('\n').sort()).toEqual(['Loaded image: interop:daemon', 'Loaded image: interop:v1']);
      expect(await docker.ok('images', '-q', '--no-trunc', 'interop:v1')).toBe(id);
      expect(await docker.ok('images', '-q', '--no-trunc', 'interop:daemon')).toBe(made);
      const container = await docker.ok('create', 'interop:daemon', 'sh', '-c', 'cat /third; test ! -e /second');
      await docker.ok('start', container);
      expect(await docker.ok('wait', container)).toBe('0');
      expect(await docker.ok('logs', container)).toBe('daemon');
      await docker.ok('rm', container);
    } finally {
      await daemon.stop();
    }
  }, 60_000);

  it('skopeo inspects what we save, and we load what it writes', async () => {
    for (const source of [`docker-archive:${saved}`, `oci:${join(folder, 'layout')}:v1`]) {
      const inspected = JSON.parse(tool('skopeo', 'inspect', source)) as { Layers: string[] };
      expect(inspected.Layers).toHaveLength(3);
    }
    tool('skopeo', 'copy', '-q', `docker-archive:${saved}`, 'docker-archive:skopeo-docker.tar:interop:skopeo');
    await loads(join(folder, 'skopeo-docker.tar'), 'interop:skopeo');
    tool('skopeo', 'copy', '-q', `docker-archive:${saved}`, 'oci-archive:skopeo-oci.tar:docker.io/library/interop:oci');
    await docker.ok('load', '-i', join(folder, 'skopeo-oci.tar'));
    expect(await docker.ok('images', '-q', 'interop:oci')).not.toBe('');
  });

  it('umoci unpacks what we save, and we load what it repacks', async () => {
    tool('umoci', 'unpack', '--image', `${join(folder, 'layout')}:v1`, 'bundle');
    expect(await readFile(join(folder, 'bundle', 'rootfs', 'second'), 'utf8')).toBe('layer\n');
    expect(spawnSync('test', ['-e', join(folder, 'bundle', 'rootfs', 'bin', 'vi')]).status).toBe(1);
    await writeFile(join(folder, 'bundle', 'rootfs', 'third'), 'umoci\n');
    tool('umoci', 'repack', '--image', `${join(folder, 'layout')}:v2`, 'bundle');
    execFileSync('tar', ['-C', join(folder, 'layout'), '-cf', join(folder, 'umoci.tar'), 'oci-layout', 'index.json', 'blobs']);
    await docker.ok('load', '-i', join(folder, 'umoci.tar'));
    // umoci copies the annotation with the name: the newer image of the two has it.
    const container = await docker.ok('create', 'interop:v1', 'cat', '/third');
    await docker.ok('start', container);
    await docker.ok('wait', container);
    expect(await docker.ok('logs', container)).toBe('umoci');
    await docker.ok('rm', container);
  });

  it('the validator of the image specification finds nothing', () => {
    const layout = join(folder, 'layout');
    const validated = spawnSync('oci-image-tool', ['validate', '--type', 'image', '--ref', 'name=v1', layout], { encoding: 'utf8' });
    expect({ status: validated.status, output: `${validated.stdout}${validated.stderr}` }).toMatchObject({ status: 0 });
  });

  it('podman loads what we save, and we load what it writes in both formats', async () => {
    const store = ['--root', join(folder, 'podman'), '--runroot', join(folder, 'podman-run'), '--storage-driver', 'vfs'];
    tool('podman', ...store, 'load', '-q', '-i', saved);
    for (const format of ['docker-archive', 'oci-archive']) {
      tool('podman', ...store, 'save', '-q', '--format', format, '-o', `podman-${format}.tar`, 'docker.io/library/interop:v1');
      await docker.run(['rmi', '-f', 'interop:v1']);
      await docker.ok('load', '-i', join(folder, `podman-${format}.tar`));
      expect(await docker.ok('images', '-q', 'interop:v1')).not.toBe('');
    }
  });
});
