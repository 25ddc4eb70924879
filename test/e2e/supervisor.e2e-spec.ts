import { jest } from '@jest/globals';
import { existsSync, readFileSync, readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { CHECKOUT, NODE, SERVICES, runCommand, startPlatform, type Platform } from '#testing';

jest.setTimeout(180_000);

let platform: Platform;
beforeAll(async () => {
  platform = await startPlatform();
});
afterAll(async () => {
  await platform.stop();
});

const hello = () => platform.client().runs.createAndWait({ runtime: 'bash', code: 'echo hello' });

it('starts the gateway without rights, and keeps secrets from others', async () => {
  const status = readFileSync(`/proc/${await platform.pidOf('gateway')}/status`, 'utf8');
  const field = (name: string) => new RegExp(`^${name}:[ \\t]*(.*)$`, 'm').exec(status)?.[1];
  expect({ uid: field('Uid')?.split('\t')[0] === '0', groups: field('Groups')?.trim(), caps: ['CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb'].map((name) => Number(`0x${field(name)}`)), noNewPrivs: field('NoNewPrivs') }).toEqual({ uid: false, groups: '', caps: [0, 0, 0, 0, 0], noNewPrivs: '1' });
  const modeOf = (path: string) => (statSync(join(platform.dataDir, path)).mode & 0o777).toString(8);
  expect({ credentials: modeOf('credentials.json'), secrets: modeOf('secrets'), log: modeOf('log'), pg: modeOf('pg'), redis: modeOf('redis'), data: modeOf('.') }).toEqual({ credentials: '600', secrets: '700', log: '700', pg: '700', redis: '700', data: '711' });
  for (const secret of ['postgres-password', 'redis-password', 'node-rpc-token']) {
    const value = readFileSync(join(platform.dataDir, 'secrets', secret), 'utf8');
    // What stands in a command line can be read by every user of the machine.
    for (const service of SERVICES) expect(readFileSync(`/proc/${await platform.pidOf(service)}/cmdline`, 'utf8')).not.toContain(value);
  }
});

it.each(SERVICES)('starts %s again when it is killed, and the next run succeeds', async (service) => {
  await platform.kill(service);
  const { runs } = platform.client();
  const until = performance.now() + 30_000;
  for (;;) {
    try {
      expect(await runs.createAndWait({ runtime: 'bash', code: 'echo back' }, { signal: AbortSignal.timeout(10_000) })).toMatchObject({ stdout: 'back\n' });
      break;
    } catch (error) {
      if (performance.now() > until) throw error;
      await new Promise((resolve) => setTimeout(resolve, 200));
    }
  }
});

it('refuses a second start over the same data, and says who runs', async () => {
  const second = await runCommand([NODE, join(CHECKOUT, 'infra/setup/start.mjs'), '--prepared', '--no-demo', '--data-dir', platform.dataDir, '--port', String(platform.port)], { env: {} });
  expect(second).toMatchObject({ exitCode: 1, stderr: expect.stringMatching(new RegExp(`already runs .*process \\d+, ${platform.url}`)) });
  expect(await hello()).toMatchObject({ state: 'succeeded' });
});

it('is healthy in the eyes of the doctor', async () => {
  const doctor = await platform.cli(['doctor', '--json'], { env: { SANDBAR_PORT: String(platform.port) } });
  const { ok, checks } = JSON.parse(doctor.stdout) as { ok: boolean; checks: { name: string; status: string }[] };
  expect(checks.filter(({ status }) => status === 'fail')).toEqual([]);
  expect(ok).toBe(true);
  expect(checks.map(({ name }) => name)).toEqual(expect.arrayContaining([...SERVICES, 'API', 'cgroups', 'kernel']));
});

it('leaves no service behind when it is killed itself, and goes on over the same data afterwards', async () => {
  const before = await hello();
  const pids = await Promise.all(SERVICES.map((service) => platform.pidOf(service)));
  await platform.killSupervisor();
  const until = performance.now() + 15_000;
  while (pids.some((pid) => existsSync(`/proc/${pid}`)) && performance.now() < until) await new Promise((resolve) => setTimeout(resolve, 50));
  expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
  await platform.start();
  expect(await platform.client().runs.get(before.id)).toMatchObject({ state: 'succeeded', stdout: 'hello\n' });
  expect(await hello()).toMatchObject({ state: 'succeeded' });
});

it('finds a sandbox that is there when it looks for leftovers, and nothing when it is over', async () => {
  const { runs } = platform.client();
  const { id } = await runs.create({ runtime: 'bash', code: 'echo up; sleep 30' });
  for await (const frame of runs.logs(id)) {
    expect(frame).toMatchObject({ data: 'up\n' });
    break;
  }
  const busy = await platform.leaks();
  expect(busy.exitCode).toBe(1);
  expect((JSON.parse(busy.stdout) as { kind: string }[]).map(({ kind }) => kind)).toEqual(expect.arrayContaining(['process', 'cgroup', 'folder', 'socket']));
  await runs.cancel(id);
  await runs.wait(id);
  expect(await platform.leaks()).toMatchObject({ exitCode: 0, stdout: '[]\n' });
});

it('stops with nothing left but its files', async () => {
  const status = (await platform.status())!;
  const pids = SERVICES.map((service) => status.services[service]!.pid);
  await platform.stopServices();
  expect(pids.filter((pid) => existsSync(`/proc/${pid}`))).toEqual([]);
  expect(readFileSync('/proc/self/mounts', 'utf8')).not.toContain(platform.dataDir);
  expect(processesNaming(platform.dataDir)).toEqual([]);
  expect(socketsBelow(join(platform.dataDir, 'run'))).toEqual([]);
  expect(await platform.leaks()).toMatchObject({ exitCode: 0 });
});

function processesNaming(text: string): string[] {
  return readdirSync('/proc')
    .filter((name) => /^\d+$/.test(name))
    .flatMap((pid) => {
      try {
        const command = readFileSync(`/proc/${pid}/cmdline`, 'utf8').replaceAll('\0', ' ');
        return command.includes(text) ? [command] : [];
      } catch {
        return [];
      }
    });
}

function socketsBelow(folder: string): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true }).filter((entry) => entry.isSocket()).map((entry) => entry.name);
}
