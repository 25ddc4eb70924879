import { spawn, type ChildProcess } from 'node:child_process';
import { startPlatform, type DockerCli, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

const CONTAINERS = 50;
const LINES = 200;
/** Some fifteen seconds of numbered lines, so that a crash always falls into the middle, and then sleep. */
const COUNTING = `i=0; while [ $i -lt ${String(LINES)} ]; do i=$((i+1)); echo $i; sleep 0.07; done; exec sleep 1000`;
const EXPECTED = Array.from({ length: LINES }, (_, index) => String(index + 1)).join('\n');

/** Containers and what was said in them outlive the worker. */
describe('kill -9 of the worker under 50 running containers', () => {
  let platform: Platform;
  let docker: DockerCli;
  let ids: string[];
  const followers: Follower[] = [];

  beforeAll(async () => {
    platform = await startPlatform();
    docker = await platform.docker((await platform.newTenant('steady', { containers: 100, requestsPerSecond: 1000, requestBurst: 1000 })).apiKey);
    await docker.ok('pull', '-q', 'busybox');
  }, 90_000);
  afterAll(async () => {
    for (const follower of followers) follower.end();
    await docker.close();
    await stopAndExpectNothingLeft(platform);
  }, 120_000);

  it('all run on, and no line is missing or doubled in their logs', async () => {
    ids = await Promise.all(Array.from({ length: CONTAINERS }, (_, index) => docker.ok('run', '-d', '--name', `c${String(index)}`, 'busybox', 'sh', '-c', COUNTING)));
    for (const id of ids.slice(0, 5)) followers.push(new Follower(docker, ['logs', '-f', id]), new Follower(docker, ['attach', '--sig-proxy=false', id]), new Follower(docker, ['exec', id, 'sh', '-c', COUNTING]));
    await new Promise((resolve) => setTimeout(resolve, 2000));
    await platform.kill('worker');
    await docker.untilAnswered();
    expect((await docker.ok('ps', '-q', '--no-trunc')).split('\n').sort()).toEqual([...ids].sort());

    // A client that was cut off comes back and has all of it.
    for (const follower of followers) expect(EXPECTED.startsWith(follower.output.trimEnd().split('\n').filter((line) => /^\d+$/.test(line)).slice(0, -1).join('\n')) || follower.isAttach).toBe(true);
    for (const id of ids) {
      for (let attempt = 0; !(await docker.ok('logs', '--tail', '1', id)).includes(String(LINES)); attempt += 1) {
        if (attempt > 300) throw new Error(`${id} does not go on`);
        await new Promise((resolve) => setTimeout(resolve, 100));
      }
      expect(await docker.ok('logs', id)).toBe(EXPECTED);
    }
  }, 180_000);

  it('they are entered, stopped and removed as before', async () => {
    expect(await docker.ok('exec', 'c0', 'echo', 'entered')).toBe('entered');
    await Promise.all(ids.map((id) => docker.ok('rm', '-f', id)));
    expect(await docker.ok('ps', '-aq')).toBe('');
  }, 120_000);
});

describe('a stop that comes when the worker has just died', () => {
  it('leaves nothing of the containers that it had running', async () => {
    const platform = await startPlatform();
    const docker = await platform.docker();
    try {
      await docker.ok('pull', '-q', 'busybox');
      for (let count = 0; count < 3; count += 1) await docker.ok('run', '-d', 'busybox', 'sleep', '1000');
      process.kill(await platform.pidOf('worker'), 'SIGKILL');
    } finally {
      await docker.close();
      await stopAndExpectNothingLeft(platform);
    }
  }, 120_000);
});

class Follower {
  output = '';
  readonly isAttach: boolean;
  readonly #child: ChildProcess;

  constructor(docker: DockerCli, args: readonly string[]) {
    this.isAttach = args[0] === 'attach';
    this.#child = spawn('docker', args, { env: docker.env, stdio: ['ignore', 'pipe', 'ignore'] });
    this.#child.stdout?.on('data', (chunk: Buffer) => (this.output += chunk.toString()));
  }

  end(): void {
    this.#child.kill('SIGKILL');
  }
}
