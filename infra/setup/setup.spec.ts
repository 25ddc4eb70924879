import { spawn } from 'node:child_process';
import { appendFileSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CHECKOUT, NODE, runCommand } from '#testing';

interface Lock {
  takeLock(file: string, facts?: object): Promise<{ release?: () => Promise<void>; holder?: { pid: number } }>;
  lockHolder(file: string): { pid: number; url?: string } | undefined;
}
interface Settings {
  readSettings(argv: string[], env: object): { dataDir: string; port: number; url: string; cgroupRoot: string; demo: boolean; redisUrl?: string };
}
interface Stamps {
  hashTree(root: string, folders: string[], accept: (path: string) => boolean): string;
}
interface LogFiles {
  LogWatcher: new (name: string, file: string, tell: (name: string, warnings: { count: number; newest: string }) => void) => { poll(): void; close(): void };
}

interface NetworkCheck {
  droppingChains(json: string): string[];
}
interface Checks {
  mapsIds(fileSystem: string | undefined, kernel: string): boolean | undefined;
}

const load = async <T>(name: string): Promise<T> => (await import(join(import.meta.dirname, name))) as T;

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'setup-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

/** The lock is free when its keeper has ended, a moment after its holder. */
async function retake<T extends { holder?: object }>(take: () => Promise<T>): Promise<T> {
  for (let attempt = 0; ; attempt += 1) {
    const taken = await take();
    if (taken.holder === undefined || attempt === 50) return taken;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

describe('the check of networks', () => {
  it('names others’ rules that would drop what sandboxes send, and not our own', async () => {
    const chain = (more: object): object => ({ chain: { family: 'ip', table: 'filter', name: 'FORWARD', hook: 'forward', policy: 'drop', ...more } });
    const chains = [chain({}), chain({ policy: 'accept' }), chain({ hook: 'input' }), chain({ family: 'bridge' }), chain({ family: 'inet', table: 'sandbar-x' }), chain({ family: 'inet', table: 'firewalld', name: 'filter_FORWARD' })];
    const { droppingChains } = await load<NetworkCheck>('network-check.mjs');
    expect(droppingChains(JSON.stringify({ nftables: [{ metainfo: {} }, ...chains] }))).toEqual(['ip filter FORWARD', 'inet firewalld filter_FORWARD']);
    expect(droppingChains('')).toEqual([]);
  });
});

describe('the check of the data folder’s file system', () => {
  it.each([
    ['ext4', '5.19.0', true],
    ['tmpfs', '6.1.0-56-cloud-amd64', false],
    ['tmpfs', '6.2.16', false],
    ['tmpfs', '6.3.0', true],
    ['tmpfs', '7.0.1', true],
    [undefined, '6.12.1', undefined],
  ])('%s on Linux %s: ids can be mapped: %s', async (fileSystem, kernel, expected) => {
    expect((await load<Checks>('checks.mjs')).mapsIds(fileSystem, kernel)).toBe(expected);
  });
});

describe('the lock of a data folder', () => {
  it('is had by one process at a time, and given back', async () => {
    const { takeLock, lockHolder } = await load<Lock>('lock.mjs');
    const file = join(folder, 'lock');
    const first = await takeLock(file, { url: 'http://x' });
    expect((await takeLock(file)).holder).toMatchObject({ pid: process.pid, url: 'http://x' });
    expect(lockHolder(file)).toMatchObject({ pid: process.pid });
    await first.release?.();
    expect(lockHolder(file)).toBeUndefined();
    const again = await takeLock(file);
    expect(again.holder).toBeUndefined();
    await again.release?.();
    expect(readdirSync(folder)).toEqual(['lock.flock']);
  });

  it.each([
    ['a process that is gone', { pid: 2 ** 22 - 1, startTime: '1' }],
    ['a pid that another process has now', { pid: process.pid, startTime: '1' }],
    ['damaged words', 'nonsense'],
  ])('is taken from %s', async (_, holder) => {
    const { takeLock } = await load<Lock>('lock.mjs');
    const file = join(folder, 'lock');
    writeFileSync(file, typeof holder === 'string' ? holder : JSON.stringify(holder));
    const taken = await takeLock(file);
    expect(taken.holder).toBeUndefined();
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ pid: process.pid });
    await taken.release?.();
  });

  it('is free when its holder was killed', async () => {
    const { takeLock, lockHolder } = await load<Lock>('lock.mjs');
    const file = join(folder, 'lock');
    const script = `import { takeLock } from ${JSON.stringify(join(import.meta.dirname, 'lock.mjs'))}; await takeLock(process.argv[1]); process.kill(process.pid, 'SIGKILL');`;
    expect(await runCommand([NODE, '--input-type=module', '-e', script, file], { env: {} })).toMatchObject({ signal: 'SIGKILL' });
    expect(lockHolder(file)).toBeUndefined();
    const taken = await retake(() => takeLock(file));
    expect(taken.holder).toBeUndefined();
    await taken.release?.();
  });

  it('is won by exactly one of many starters', async () => {
    const script = `import { takeLock } from ${JSON.stringify(join(import.meta.dirname, 'lock.mjs'))};
      const { holder } = await takeLock(process.argv[1]); process.stdout.write(holder ? 'lost' : 'won'); await new Promise((r) => setTimeout(r, holder ? 0 : 5000)); process.exit(0);`;
    writeFileSync(join(folder, 'lock'), JSON.stringify({ pid: 2 ** 22 - 1, startTime: '1' }));
    const results = await Promise.all(Array.from({ length: 6 }, () => runCommand([NODE, '--input-type=module', '-e', script, join(folder, 'lock')], { env: {} })));
    expect(results.map(({ stdout }) => stdout).sort()).toEqual(['lost', 'lost', 'lost', 'lost', 'lost', 'won']);
  }, 30_000);
});

describe('settings', () => {
  it('come from flags, then the environment, then defaults', async () => {
    const { readSettings } = await load<Settings>('settings.mjs');
    expect(readSettings([], {})).toMatchObject({ dataDir: '/var/lib/sandbar', port: 8080, url: 'http://127.0.0.1:8080', cgroupRoot: 'sandbar', demo: true });
    expect(readSettings(['--port', '9000', '--no-demo'], { SANDBAR_PORT: '9001', SANDBAR_HOST: '0.0.0.0' })).toMatchObject({ port: 9000, url: 'http://127.0.0.1:9000', demo: false });
    expect(readSettings([], { SANDBAR_HOST: '::1' }).url).toBe('http://[::1]:8080');
    expect(readSettings([], { SANDBAR_DATA_DIR: '/srv/two' }).cgroupRoot).toMatch(/^sandbar-[0-9a-f]{10}$/);
    writeFileSync(join(folder, 'url'), 'redis://elsewhere\n');
    expect(readSettings([], { REDIS_URL_FILE: join(folder, 'url') }).redisUrl).toBe('redis://elsewhere');
  });

  it.each([['--port', '0'], ['--port', '65536'], ['--port', '80a'], ['--nonsense', '1']])('refuse %s %s', async (...argv) => {
    const { readSettings } = await load<Settings>('settings.mjs');
    expect(() => readSettings(argv, {})).toThrow();
  });
});

it('knows sources by their content, not by their times, and not by what is ignored', async () => {
  const { hashTree } = await load<Stamps>('stamps.mjs');
  const hash = () => hashTree(folder, ['src', 'absent'], (path) => !path.endsWith('.spec.ts'));
  mkdirSync(join(folder, 'src', 'node_modules'), { recursive: true });
  writeFileSync(join(folder, 'src', 'a.ts'), 'one');
  const first = hash();
  writeFileSync(join(folder, 'src', 'a.ts'), 'one');
  writeFileSync(join(folder, 'src', 'a.spec.ts'), 'ignored');
  writeFileSync(join(folder, 'src', 'node_modules', 'b.ts'), 'ignored');
  expect(hash()).toBe(first);
  writeFileSync(join(folder, 'src', 'a.ts'), 'two');
  expect(hash()).not.toBe(first);
});

it('tells of new warnings in a log, and of nothing else', async () => {
  const { LogWatcher } = await load<LogFiles>('services/log-files.mjs');
  const file = join(folder, 'x.log');
  writeFileSync(file, '{"level":"error","msg":"of an earlier start"}\n');
  const heard: unknown[] = [];
  const watcher = new LogWatcher('x', file, (name, warnings) => heard.push([name, warnings]));
  try {
    appendFileSync(file, '{"level":"info","msg":"fine"}\n{"level":"warn","msg":"slow"}\n{"level":"error","msg":"broken","err":{"message":"disk"}}\n{"level":"error","ms');
    watcher.poll();
    expect(heard.splice(0)).toEqual([['x', { count: 2, newest: 'broken: disk' }]]);
    appendFileSync(file, 'g":"in two writes"}\n');
    watcher.poll();
    expect(heard.splice(0)).toEqual([['x', { count: 1, newest: 'in two writes' }]]);
    watcher.poll();
    expect(heard).toEqual([]);
  } finally {
    watcher.close();
  }
});

describe('removing the data', () => {
  const uninstall = (dataDir: string, ...args: string[]) => runCommand([NODE, 'infra/setup/uninstall-data.mjs', '--data-dir', dataDir, ...args], { env: {} });
  const marker = '{"product":"sandbar","layout":1}';

  it('refuses a folder that is not ours', async () => {
    const precious = join(folder, 'precious');
    mkdirSync(precious);
    writeFileSync(join(precious, 'thesis'), '');
    expect(await uninstall(precious, '--yes')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('not a Sandbar data folder') });
    expect(existsSync(join(precious, 'thesis'))).toBe(true);
  });

  it('asks for --yes, then removes all of it', async () => {
    const data = join(folder, 'data');
    mkdirSync(join(data, 'engine'), { recursive: true });
    writeFileSync(join(data, 'sandbar-data.json'), marker);
    expect((await uninstall(data)).exitCode).toBe(2);
    expect(existsSync(data)).toBe(true);
    expect((await uninstall(data, '--yes')).exitCode).toBe(0);
    expect(readdirSync(folder)).toEqual([]);
    expect((await uninstall(data, '--yes')).exitCode).toBe(0);
  });

  it('refuses while somebody runs on it', async () => {
    const { takeLock } = await load<Lock>('lock.mjs');
    const data = join(folder, 'data');
    mkdirSync(join(data, 'run'), { recursive: true });
    writeFileSync(join(data, 'sandbar-data.json'), marker);
    const { release } = await takeLock(join(data, 'run', 'supervisor.lock'));
    expect(await uninstall(data, '--yes')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(`process ${process.pid}`) });
    await release?.();
    const child = spawn('sleep', ['60'], { stdio: 'ignore' });
    try {
      const stat = readFileSync(`/proc/${child.pid!}/stat`, 'utf8').split(' ');
      writeFileSync(join(data, 'run', 'status.json'), JSON.stringify({ services: { worker: { pid: child.pid, startTime: stat[21] } } }));
      expect(await uninstall(data, '--yes')).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('worker') });
    } finally {
      child.kill('SIGKILL');
    }
  });
});

it('explains itself and refuses unknown flags', async () => {
  expect(await runCommand([NODE, 'infra/setup/start.mjs', '--help'], { env: {} })).toMatchObject({ exitCode: 0, stdout: expect.stringContaining('--data-dir') });
  expect(await runCommand([NODE, join(CHECKOUT, 'infra/setup/start.mjs'), '--prot', '1'], { env: {} })).toMatchObject({ exitCode: 2 });
});
