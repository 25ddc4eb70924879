import { writeFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startDockerFixture, type DockerFixture } from './docker-fixture.contract.js';

/** The unmodified docker CLI against the gateway. */
describe('the docker CLI', () => {
  let fixture: DockerFixture;
  let folder: string;
  const docker = (...args: string[]) => fixture.docker(...args);

  beforeAll(async () => {
    fixture = await startDockerFixture();
    folder = mkdtempSync(join(tmpdir(), 'docker-cli-'));
  }, 60_000);
  afterAll(async () => {
    await fixture.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it('shows version and info', async () => {
    const version = await docker('version', '--format', '{{.Server.APIVersion}} {{.Server.Os}} {{.Server.MinAPIVersion}}');
    expect(version).toMatchObject({ code: 0, out: '1.50 linux 1.24\n' });
    const info = await docker('info');
    expect(info.code).toBe(0);
    expect(info.out).toMatch(/Storage Driver: overlay2[^]*Swarm: inactive[^]*Total Memory: 4GiB/);
  });

  it('refuses a wrong key as Docker would', async () => {
    const result = await fixture.cli(['ps'], { env: { DOCKER_CUSTOM_HEADERS: '"Authorization=Bearer sbk_no"' } });
    expect(result.code).toBe(1);
    expect(result.err).toMatch(/Error response from daemon: a valid API key is needed/);
  });

  it('lists, tags, inspects and removes images', async () => {
    expect((await docker('images')).out).toMatch(/busybox +latest/);
    expect(await docker('tag', 'busybox', '127.0.0.1:5000/a/b:tag')).toMatchObject({ code: 0 });
    expect((await docker('image', 'inspect', '-f', '{{.RepoTags}} {{.Config.Cmd}} {{.Os}} {{.Created}}', '127.0.0.1:5000/a/b:tag')).out).toBe('[127.0.0.1:5000/a/b:tag busybox:latest] [sh] linux 2026-01-02T03:04:05.123456789Z\n');
    expect((await docker('images', '--filter', 'reference=*/a/*', '-q')).out.trim().split('\n')).toHaveLength(1);
    expect((await docker('history', '127.0.0.1:5000/a/b:tag')).out).toMatch(/ADD rootfs/);
    expect((await docker('rmi', '127.0.0.1:5000/a/b:tag')).out).toBe('Untagged: 127.0.0.1:5000/a/b:tag\n');
    expect(await docker('rmi', 'nosuch')).toMatchObject({ code: 1, err: 'Error response from daemon: No such image: nosuch\n' });
  });

  it('pulls and pushes', async () => {
    const pulled = await docker('pull', 'debian:bookworm-slim');
    expect(pulled).toMatchObject({ code: 0, err: '' });
    expect(pulled.out).toMatch(/latest: Pulling from library\/debian[^]*Digest: sha256:[^]*docker.io\/library\/debian:bookworm-slim/);
    expect(fixture.operations.asked.at(-1)).toEqual({ kind: 'pull', reference: 'docker.io/library/debian:bookworm-slim' });
    await docker('pull', '--platform', 'linux/arm64/v8', `busybox@sha256:${'a'.repeat(64)}`);
    expect(fixture.operations.asked.at(-1)).toEqual({ kind: 'pull', reference: `docker.io/library/busybox@sha256:${'a'.repeat(64)}`, platform: { os: 'linux', architecture: 'arm64', variant: 'v8' } });
    const pushed = await docker('push', '127.0.0.1:5000/a/b:tag');
    expect(pushed.code).toBe(0);
    expect(fixture.operations.asked.at(-1)).toEqual({ kind: 'push', reference: '127.0.0.1:5000/a/b:tag' });
  });

  it('says a failed pull before the stream by status, in it by its last line', async () => {
    expect(await docker('pull', 'missing')).toMatchObject({ code: 1, err: expect.stringMatching(/^Error response from daemon: pull access denied for docker.io\/library\/missing/) });
    expect(await docker('pull', 'broken')).toMatchObject({ code: 1, err: 'unexpected EOF\n' });
  });

  it('saves, loads and imports', async () => {
    const file = join(folder, 'saved.tar');
    expect(await docker('save', '-o', file, 'busybox')).toMatchObject({ code: 0 });
    expect(readFileSync(file, 'utf8')).toMatch(/^archive of sha256:/);
    writeFileSync(file, Buffer.alloc(40 * 1024 * 1024, 'x'));
    const loaded = await docker('load', '-i', file);
    expect(loaded).toMatchObject({ code: 0, out: 'Loaded image: loaded:1\n' });
    expect(fixture.host.received.bytes).toBe(40 * 1024 * 1024);
    writeFileSync(file, 'short');
    expect(await docker('load', '-i', file)).toMatchObject({ code: 1, err: expect.stringContaining('invalid tar header') });
    // Refused at its beginning: the rest is on its way still.
    writeFileSync(file, Buffer.concat([Buffer.from('REJECT'), Buffer.alloc(60 * 1024 * 1024)]));
    expect(await docker('load', '-i', file)).toMatchObject({ code: 1, err: 'Error response from daemon: archive/tar: invalid tar header\n' });
    expect((await docker('import', '-c', 'CMD ["x"]', '-m', 'hello', file, 'imported:2')).out).toMatch(/^sha256:[0-9a-f]{64}\n$/);
    expect(fixture.host.calls.at(-1)).toEqual({ name: 'import', given: { name: 'docker.io/library/imported:2', message: 'hello', changes: ['CMD ["x"]'] } });
    expect((await docker('import', 'http://example.invalid/x.tar')).code).toBe(0);
    expect(fixture.host.calls.at(-1)).toEqual({ name: 'import', given: { url: 'http://example.invalid/x.tar', changes: [] } });
  }, 60_000);

  it('creates, starts, waits for, reads and removes containers', async () => {
    expect((await docker('create', '--name', 'c1', '-v', 'data:/data:ro', '-v', '/h:/host', '-v', '/anon', '--tmpfs', '/t:size=1m', '-m', '64m', '--cpus', '.5', '--pids-limit', '10', 'busybox', 'exit', '3')).code).toBe(0);
    expect(fixture.host.calls.at(-1)).toMatchObject({
      name: 'create',
      given: {
        image: 'busybox',
        process: { cmd: ['exit', '3'], entrypoint: null },
        // The CLI sends -v in no order.
        mounts: expect.arrayContaining([
          { kind: 'volume', name: 'data', destination: '/data', readOnly: true, noCopy: false },
          { kind: 'bind', hostPath: '/h', create: true, destination: '/host', readOnly: false },
          { kind: 'tmpfs', destination: '/t', sizeBytes: 1024 * 1024, readOnly: false },
          { kind: 'volume', destination: '/anon', readOnly: false, noCopy: false },
        ]),
        limits: { memoryBytes: 64 * 1024 * 1024, cpuMillis: 500, pids: 10 },
      },
    });
    const wait = docker('wait', 'c1');
    expect((await docker('start', 'c1')).out).toBe('c1\n');
    expect((await wait).out).toMatch(/^[03]\n$/);
    expect((await docker('wait', 'c1')).out).toBe('3\n');
    expect((await docker('ps', '-a', '--format', '{{.Names}} {{.Status}} {{.Command}}')).out).toMatch(/^c1 Exited \(3\) .* ago "exit 3"/);
    expect(JSON.parse((await docker('inspect', 'c1')).out)).toMatchObject([{ Name: '/c1', State: { ExitCode: 3, Status: 'exited' }, HostConfig: { Memory: 67_108_864, NanoCpus: 500_000_000 } }]);
    expect((await docker('diff', 'c1')).out).toBe('C /etc\nA /etc/new\nD /old\n');
    expect((await docker('commit', '-a', 'me', '-m', 'msg', '-c', 'CMD ["y"]', 'c1', 'made:1')).out).toMatch(/^sha256:/);
    expect(fixture.host.calls.at(-1)).toEqual({ name: 'commit', given: { container: 'c1', name: 'docker.io/library/made:1', author: 'me', comment: 'msg', changes: ['CMD ["y"]'], pause: true } });
    const file = join(folder, 'exported.tar');
    expect((await docker('export', '-o', file, 'c1')).code).toBe(0);
    expect(readFileSync(file, 'utf8')).toBe('tar of c1');
    expect((await docker('create', '--name', 'c1', 'busybox')).err).toMatch(/Conflict. The container name "\/c1" is already in use/);
    expect((await docker('rm', '-v', 'c1')).out).toBe('c1\n');
    expect(fixture.host.calls.at(-1)).toEqual({ name: 'remove', given: { force: false, volumes: true } });
  }, 60_000);

  it('runs in the background and shows the output, framed and with times', async () => {
    expect((await docker('run', '-d', '--name', 'c2', 'busybox', 'echo', 'hello', 'world')).code).toBe(0);
    expect(await docker('logs', '-f', 'c2')).toMatchObject({ out: 'hello world\n', err: 'oops\n' });
    expect(await docker('logs', '-t', 'c2')).toMatchObject({ out: '2023-11-14T22:13:20.123000000Z hello world\n' });
    expect((await docker('run', '-d', '-t', '--name', 'c3', 'busybox', 'echo', 'tty')).code).toBe(0);
    expect((await docker('logs', 'c3')).out).toBe('tty\noops\n');
    expect(await docker('run', '-d', 'busybox', 'missing')).toMatchObject({ code: 127 });
    expect((await docker('run', '-d', '--name', 'c4', 'busybox', 'sleep')).code).toBe(0);
    expect((await docker('pause', 'c4')).code + (await docker('unpause', 'c4')).code).toBe(0);
    expect((await docker('ps', '--format', '{{.Names}}')).out).toBe('c4\n');
    expect((await docker('restart', 'c4')).code).toBe(0);
    expect((await docker('rename', 'c4', 'c5')).code).toBe(0);
    expect((await docker('rm', 'c5')).err).toMatch(/container is running/);
    expect((await docker('kill', 'c5')).code).toBe(0);
    expect((await docker('container', 'prune', '-f')).code).toBe(0);
  }, 60_000);

  it('pulls what a run lacks', async () => {
    const run = await docker('run', '-d', 'lacking', 'sleep');
    expect(run.code).toBe(0);
    expect(run.err).toMatch(/Unable to find image 'lacking:latest' locally/);
  });

  it('says clearly what is not there', async () => {
    expect(await docker('create', '--pid', 'host', 'busybox')).toMatchObject({ code: 1, err: expect.stringContaining('the PID mode "host" is not supported') });
    expect(await docker('swarm', 'leave')).toMatchObject({ code: 1, err: expect.stringContaining('not a swarm manager') });
    expect((await docker('search', '--filter', 'stars=2', 'box')).out).toMatch(/busybox +tools +3 +\[OK\]\n$/);
  });

  it('keeps volumes', async () => {
    expect((await docker('volume', 'create', '--label', 'a=b', 'v1')).out).toBe('v1\n');
    expect(JSON.parse((await docker('volume', 'inspect', 'v1')).out)).toMatchObject([{ Name: 'v1', Driver: 'local', Labels: { a: 'b' }, Options: null, Scope: 'local' }]);
    expect((await docker('volume', 'ls', '-q', '--filter', 'label=a=b')).out).toBe('v1\n');
    expect(await docker('volume', 'inspect', 'nosuch')).toMatchObject({ code: 1, err: expect.stringContaining('get nosuch: no such volume') });
    expect((await docker('system', 'df', '-v')).out).toMatch(/v1 +0 +9B/);
    expect((await docker('volume', 'prune', '-af')).out).toMatch(/v1/);
    expect(fixture.host.calls.at(-1)).toEqual({ name: 'pruneVolumes', given: { all: true } });
    expect((await docker('system', 'prune', '-f')).code).toBe(0);
  });

  it('makes networks and puts containers into them', async () => {
    expect(await docker('network', 'ls', '--format', '{{.Name}} {{.Driver}}')).toMatchObject({ out: 'bridge bridge\nhost host\nnone null\n' });
    expect((await docker('network', 'create', '--subnet', '172.30.0.0/16', '--label', 'a=b', 'front')).out).toMatch(/^[0-9a-f]{64}\n$/);
    expect(await docker('network', 'create', 'front')).toMatchObject({ code: 1, err: 'Error response from daemon: network with name front already exists\n' });
    expect((await docker('network', 'ls', '-q', '--filter', 'type=custom', '--filter', 'label=a=b')).out.trim().split('\n')).toHaveLength(1);
    expect((await docker('run', '-d', '--name', 'n1', '--network', 'front', '--network-alias', 'web', '--ip', '172.30.0.9', '-p', '8080:80', '-p', '127.0.0.1::53/udp', '--expose', '443', 'busybox', 'sleep')).code).toBe(0);
    expect((await docker('port', 'n1')).out).toBe('53/udp -> 127.0.0.1:32768\n80/tcp -> 0.0.0.0:8080\n');
    expect((await docker('port', 'n1', '80')).out).toBe('0.0.0.0:8080\n');
    expect((await docker('ps', '--filter', 'network=front', '--filter', 'publish=8080', '--filter', 'expose=443', '--format', '{{.Names}} {{.Ports}} {{.Networks}}')).out).toBe('n1 443/tcp, 127.0.0.1:32768->53/udp, 0.0.0.0:8080->80/tcp front\n');
    expect((await docker('ps', '--filter', 'publish=8081', '-q')).out).toBe('');
    expect((await docker('inspect', '-f', '{{.NetworkSettings.Networks.front.IPAddress}} {{.NetworkSettings.Networks.front.Aliases}} {{.HostConfig.NetworkMode}}', 'n1')).out).toBe('172.30.0.9 [web] front\n');
    expect(JSON.parse((await docker('network', 'inspect', '-v', 'front')).out)).toMatchObject([{ Name: 'front', IPAM: { Config: [{ Subnet: '172.30.0.0/16', Gateway: '172.30.0.1' }] }, Labels: { a: 'b' }, Containers: { [(await docker('inspect', '-f', '{{.Id}}', 'n1')).out.trim()]: { Name: 'n1', IPv4Address: '172.30.0.9/16' } } }]);
    expect(await docker('network', 'rm', 'front')).toMatchObject({ code: 1, err: expect.stringMatching(/error while removing network: network front id [0-9a-f]+ has active endpoints/) });
    expect((await docker('network', 'create', 'back')).code).toBe(0);
    expect(await docker('network', 'connect', '--alias', 'b', 'back', 'n1')).toMatchObject({ code: 0, out: '', err: '' });
    expect(await docker('network', 'connect', 'back', 'n1')).toMatchObject({ code: 1, err: 'Error response from daemon: endpoint with name n1 already exists in network back\n' });
    expect(await docker('network', 'disconnect', '-f', 'back', 'n1')).toMatchObject({ code: 0, err: '' });
    expect(await docker('network', 'rm', 'bridge')).toMatchObject({ code: 1, err: expect.stringContaining('bridge is a pre-defined network and cannot be removed') });
    expect(await docker('run', '-d', '--network', 'nosuch', 'busybox', 'sleep')).toMatchObject({ code: 125, err: expect.stringContaining('network nosuch not found') });
    expect((await docker('create', '--name', 'n2', '--network', 'container:n1', '--link', 'n1:first', 'busybox')).code).toBe(0);
    expect((await docker('inspect', '-f', '{{.HostConfig.NetworkMode}} {{.HostConfig.Links}}', 'n2')).out).toMatch(/^container:[0-9a-f]{64} \[\/n1:\/n2\/first\]\n$/);
    expect((await docker('rm', '-f', 'n1', 'n2')).code).toBe(0);
    expect((await docker('network', 'prune', '-f')).out).toBe('Deleted Networks:\nfront\nback\n\n');
  }, 60_000);

  it('logs in through the engine', async () => {
    expect(await fixture.cli(['login', '-u', 'u', '--password-stdin', '127.0.0.1:5000'], { input: Buffer.from('right') })).toMatchObject({ code: 0, out: expect.stringContaining('Login Succeeded') });
    expect(await fixture.cli(['login', '-u', 'u', '--password-stdin', '127.0.0.1:5000'], { input: Buffer.from('wrong') })).toMatchObject({ code: 1, err: expect.stringContaining('incorrect username or password') });
    const auth = Buffer.from(JSON.stringify({ username: 'u', password: 'right' }));
    await docker('push', '127.0.0.1:5000/a/b:tag');
    expect(auth.length).toBeGreaterThan(0);
    expect(fixture.operations.asked.at(-1)).toMatchObject({ auth: { username: 'u', password: 'right' } });
  });

  it('tells what happened', async () => {
    await docker('volume', 'create', 'seen');
    // The CLI sends whole seconds.
    await sleep(1_050);
    const events = await docker('events', '--since', '1', '--until', '0s', '--filter', 'type=volume', '--format', '{{.Action}} {{.Actor.ID}}');
    expect({ ...events }).toMatchObject({ code: 0, err: '', out: expect.stringMatching(/create seen\n$/) });
    expect(events.out).not.toMatch(/start/);
  });
});
