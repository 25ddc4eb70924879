import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createRunSchema, runLimitsSchema, type RunView, type RuntimeView } from '#contracts';
import { findCredentials } from './credentials.js';
import { parseDuration, parseSize } from './quantities.js';
import { outcomeOf } from './run-outcome.js';
import { runRequest, runtimeFor } from './run-request.js';

const NO_STDIN = { bytes: Buffer.alloc(0), open: false };
const limits = runLimitsSchema.parse({});
const step = { exitCode: 0, signal: null, stdout: '', stderr: '', stdoutTruncated: false, stderrTruncated: false, encoding: 'utf8', wallTimeMs: 1, cpuTimeMs: 1, memoryPeakBytes: 1 } as const;
const view: RunView = { ...step, id: 'run_1', state: 'succeeded', runtime: 'c', labels: {}, limits, createdAt: '2026-01-01T00:00:00Z', startedAt: null, finishedAt: null, failedStep: null, compile: null, error: null };

let folder: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'cli-'));
});
afterEach(() => {
  rmSync(folder, { recursive: true, force: true });
});

describe('exit codes', () => {
  it.each<[string, Partial<RunView>, number, RegExp]>([
    ['success', {}, 0, /^$/],
    ['its own', { state: 'failed', exitCode: 3, failedStep: 'run' }, 3, /^$/],
    ['a signal', { state: 'failed', exitCode: null, signal: 'SIGSEGV', failedStep: 'run' }, 139, /SIGSEGV/],
    ['a failed compile step', { state: 'failed', failedStep: 'compile', compile: { ...step, exitCode: 1 } }, 1, /did not compile/],
    ['elapsed time', { state: 'timed_out', failedStep: 'run' }, 124, /took more than 20 s/],
    ['CPU time', { state: 'timed_out', failedStep: 'run', cpuTimeMs: 10_001 }, 124, /10 s of CPU/],
    ['memory', { state: 'memory_exceeded', failedStep: 'run' }, 137, /256 MiB/],
    ['output', { state: 'output_exceeded', failedStep: 'run' }, 153, /1 MiB/],
    ['cancel', { state: 'cancelled' }, 130, /cancelled/],
    ['loss', { state: 'lost', error: { code: 'unavailable', message: 'the node is gone' } }, 125, /the node is gone \(unavailable\), run_1/],
  ])('of %s', (_, change, exitCode, message) => {
    const outcome = outcomeOf({ ...view, ...change });
    expect(outcome.exitCode).toBe(exitCode);
    expect(outcome.message).toMatch(message);
  });
});

describe('the runtime of a file', () => {
  const runtimes: RuntimeView[] = [
    { name: 'python', title: '', aliases: ['python3', 'py'], version: '', mainFile: 'main.py', compiled: false },
    { name: 'node', title: '', aliases: [], version: '', mainFile: 'main.js', compiled: false },
    { name: 'cpp', title: '', aliases: ['c++'], version: '', mainFile: 'main.cpp', compiled: true },
  ];

  it.each([['a/hello.py', 'python'], ['x.MJS', 'node'], ['x.cc', 'cpp'], ['x.y.cpp', 'cpp']])('%s is %s', (file, name) => {
    expect(runtimeFor(file, runtimes)).toBe(name);
  });

  it.each(['Makefile', 'x.rs'])('%s is refused, with what there is', (file) => {
    expect(() => runtimeFor(file, runtimes)).toThrow(expect.objectContaining({ exitCode: 2, mend: expect.stringContaining('python, node, cpp') }));
  });
});

describe('the request of a run', () => {
  it('is what the API takes', () => {
    mkdirSync(join(folder, 'data'));
    writeFileSync(join(folder, 'data', 'tool.sh'), 'echo', { mode: 0o755 });
    writeFileSync(join(folder, 'image'), Buffer.from([0xff, 0xfe]));
    const request = runRequest('python', 'print()', ['-x'], { file: [`${folder}/data/tool.sh`, `${folder}/image=in/image.bin`], env: ['A=b=c', 'EMPTY='], label: ['k=v'], timeout: 400_000, memory: 2 ** 28 }, { bytes: Buffer.from([0xff]), open: true });
    expect(createRunSchema.parse(request)).toMatchObject({
      files: { 'tool.sh': { content: 'echo', encoding: 'utf8', executable: true }, 'in/image.bin': { content: '//4=', encoding: 'base64', executable: false } },
      env: { A: 'b=c', EMPTY: '' },
      args: ['-x'],
      labels: { k: 'v' },
      stdin: '/w==',
      stdinEncoding: 'base64',
      stdinOpen: true,
      limits: { wallTimeMs: 400_000, cpuTimeMs: 300_000, memoryBytes: 2 ** 28 },
    });
  });

  it('refuses places outside the working folder, files that are not there, and variables without a value', () => {
    writeFileSync(join(folder, 'f'), '');
    for (const options of [{ file: [`${folder}/f=../f`] }, { file: [`${folder}/f=/etc/f`] }, { file: [join(folder, 'absent')] }, { env: ['SURELY_NOT_SET_ANYWHERE'] }]) {
      expect(() => runRequest('python', '', [], options, NO_STDIN)).toThrow(expect.objectContaining({ exitCode: 2 }));
    }
  });
});

describe('credentials', () => {
  const local = { url: 'http://127.0.0.1:8080', adminKey: 'sbk_admin', tenant: 'ten_1', apiKey: 'sbk_local' };
  const env = () => ({ XDG_CONFIG_HOME: join(folder, 'config'), SANDBAR_DATA_DIR: join(folder, 'data') });
  const keepLocal = () => {
    mkdirSync(join(folder, 'data'), { recursive: true });
    writeFileSync(join(folder, 'data', 'credentials.json'), JSON.stringify(local));
  };
  const keepLogin = (login: object) => {
    mkdirSync(join(folder, 'config', 'sandbar'), { recursive: true });
    writeFileSync(join(folder, 'config', 'sandbar', 'config.json'), JSON.stringify(login));
  };

  it('are looked for in flags, environment, login and data folder, in this order', () => {
    expect(() => findCredentials({}, 'tenant', env())).toThrow('no API key');
    expect(() => findCredentials({ url: 'nonsense' }, 'tenant', env())).toThrow('"nonsense" is not the URL of a server');
    keepLocal();
    expect(findCredentials({}, 'tenant', env())).toEqual({ url: local.url, apiKey: 'sbk_local' });
    expect(findCredentials({}, 'operator', env())).toEqual({ url: local.url, apiKey: 'sbk_admin' });
    keepLogin({ url: 'https://far.example', apiKey: 'sbk_login', scopes: ['runs:read'] });
    expect(findCredentials({}, 'tenant', env())).toEqual({ url: 'https://far.example', apiKey: 'sbk_login' });
    expect(findCredentials({}, 'operator', env()).apiKey).toBe('sbk_admin');
    expect(findCredentials({}, 'tenant', { ...env(), SANDBAR_API_KEY: 'sbk_env' }).apiKey).toBe('sbk_env');
    expect(findCredentials({ apiKey: 'sbk_flag' }, 'tenant', { ...env(), SANDBAR_API_KEY: 'sbk_env' }).apiKey).toBe('sbk_flag');
  });

  it('are not sent to another server than theirs', () => {
    keepLocal();
    keepLogin({ url: 'https://far.example', apiKey: 'sbk_login', scopes: ['runs:read'] });
    expect(findCredentials({ url: 'http://127.0.0.1:8080/' }, 'tenant', env()).apiKey).toBe('sbk_local');
    expect(() => findCredentials({ url: 'https://evil.example' }, 'tenant', env())).toThrow('no API key for https://evil.example');
  });

  it('that are damaged are named', () => {
    keepLogin({ url: 1 });
    expect(() => findCredentials({}, 'tenant', env())).toThrow('is damaged');
  });
});

it('reads sizes and durations', () => {
  expect([parseSize('256M'), parseSize('1.5GiB'), parseSize('100')]).toEqual([2 ** 28, 1.5 * 2 ** 30, 100]);
  expect([parseDuration('10'), parseDuration('300ms'), parseDuration('2m')]).toEqual([10_000, 300, 120_000]);
  for (const text of ['', '-1s', '1x', 's']) expect(() => parseDuration(text)).toThrow();
});
