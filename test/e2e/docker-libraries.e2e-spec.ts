import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { text } from 'node:stream/consumers';
import Docker from 'dockerode';
import { NODE, runCommand, startPlatform, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

/** Libraries that speak to Docker hosts, unmodified, as a tenant. */
describe('libraries for Docker', () => {
  let platform: Platform;
  let apiKey: string;

  beforeAll(async () => {
    platform = await startPlatform();
    ({ apiKey } = await platform.newTenant('libraries', { publishPorts: true }));
    const docker = await platform.docker(apiKey);
    await docker.ok('pull', '-q', 'busybox');
    await docker.close();
  }, 90_000);
  afterAll(async () => {
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  describe('dockerode', () => {
    const open = (): Docker => new Docker({ host: '127.0.0.1', port: platform.port, protocol: 'http', headers: { Authorization: `Bearer ${apiKey}` } });

    it('runs a container and gives its output and exit code', async () => {
      const output = new Sink();
      const [{ StatusCode: exitCode }] = (await open().run('busybox', ['sh', '-c', 'echo out; exit 3'], output, { HostConfig: { AutoRemove: true } })) as [{ StatusCode: number }];
      expect({ exitCode, output: output.text }).toEqual({ exitCode: 3, output: 'out\r\n' });
    }, 30_000);

    it('creates with an environment of 20 kB, executes, follows logs, copies both ways, and removes', async () => {
      const docker = open();
      const container = await docker.createContainer({ Image: 'busybox', Cmd: ['sh', '-c', 'echo ready; exec sleep 1000'], Env: [`LARGE=${'x'.repeat(20_000)}`], name: 'ode' });
      await container.start();
      const exec = await container.exec({ Cmd: ['sh', '-c', 'cat; echo ${#LARGE} >&2'], AttachStdin: true, AttachStdout: true, AttachStderr: true });
      const stream = await exec.start({ hijack: true, stdin: true });
      const [stdout, stderr] = [new Sink(), new Sink()];
      docker.modem.demuxStream(stream, stdout, stderr);
      stream.end('typed');
      await new Promise((resolve) => stream.once('end', resolve));
      expect([stdout.text, stderr.text]).toEqual(['typed', '20000\n']);
      expect((await exec.inspect()).ExitCode).toBe(0);
      expect((await container.logs({ stdout: true, stderr: true })).toString()).toContain('ready');
      await container.putArchive(execFileSync('tar', ['-C', 'examples', '-cf', '-', 'hello.py']), { path: '/tmp' });
      expect(await text(await container.getArchive({ path: '/tmp/hello.py' }))).toContain('print');
      expect((await container.stats({ stream: false })).memory_stats.usage).toBeGreaterThan(0);
      await container.stop({ t: 0 });
      await container.remove();
      await expect(container.inspect()).rejects.toMatchObject({ statusCode: 404 });
    }, 60_000);

    it('makes networks and sees events', async () => {
      const docker = open();
      const events = await docker.getEvents({ filters: { type: ['network'] } });
      const network = await docker.createNetwork({ Name: 'ode-net' });
      const first = await new Promise<string>((resolve) => {
        events.once('data', (chunk: Buffer) => {
          resolve(chunk.toString());
        });
      });
      expect(JSON.parse(first)).toMatchObject({ Type: 'network', Action: 'create', Actor: { Attributes: { name: 'ode-net' } } });
      (events as unknown as Writable).destroy();
      await network.remove();
    }, 30_000);
  });

  it('testcontainers waits, executes, copies, joins networks and stops, by client certificate', async () => {
    const folder = await mkdtemp(join(tmpdir(), 'testcontainers-'));
    try {
      const { exitCode } = await platform.cli(['docker-context', '--tls', '--dir', folder], { env: { SANDBAR_API_KEY: apiKey } });
      expect(exitCode).toBe(0);
      const env = { DOCKER_HOST: platform.url.replace('http:', 'tcp:'), DOCKER_TLS_VERIFY: '1', DOCKER_CERT_PATH: folder, TESTCONTAINERS_RYUK_DISABLED: 'true', HOME: folder };
      const result = await runCommand([NODE, 'test/e2e/fixtures/testcontainers.mjs'], { env });
      expect(result).toMatchObject({ exitCode: 0, stderr: '' });
      expect(JSON.parse(result.stdout)).toMatchObject({
        exec: { exitCode: 0, output: 'copied in' },
        fetched: 'copied later',
        peer: { exitCode: 0, output: 'copied in' },
        logs: expect.stringContaining('Ready to serve') as string,
      });
    } finally {
      await rm(folder, { recursive: true, force: true });
    }
  }, 120_000);
});

class Sink extends Writable {
  text = '';

  override _write(chunk: Buffer, _encoding: string, done: () => void): void {
    this.text += chunk.toString();
    done();
  }
}
