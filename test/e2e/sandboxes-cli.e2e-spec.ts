import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createConnection } from 'node:net';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { startPlatform, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

const SANDBAR = resolve(import.meta.dirname, '../../apps/cli/bin/sandbar.js');

describe('sandboxes on the command line', () => {
  let platform: Platform;
  let folder: string;

  beforeAll(async () => {
    platform = await startPlatform();
    folder = mkdtempSync(join(tmpdir(), 'sandbar-cli-'));
    await ok('image', 'pull', 'busybox');
    expect(await ok('sandbox', 'create', '--name', 'box', '-l', 'team=x', 'busybox', '--', 'sh', '-c', 'echo begun; sleep 1000')).toBe('box\n');
  }, 120_000);
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  async function ok(...args: string[]): Promise<string> {
    const { exitCode, stdout, stderr } = await platform.cli(args);
    expect({ args, exitCode, stderr }).toEqual({ args, exitCode: 0, stderr: '' });
    return stdout;
  }

  /** The command line on a terminal of its own, as a person has one. */
  function onTerminal(command: string): { readonly child: ChildProcess; readonly screen: () => string; readonly until: (text: string) => Promise<void> } {
    const env = { ...process.env, NODE_OPTIONS: '', SANDBAR_URL: platform.url, SANDBAR_API_KEY: platform.apiKey };
    const child = spawn('script', ['-qec', `stty cols 91 rows 17; ${command}`, '/dev/null'], { env, stdio: ['pipe', 'pipe', 'inherit'] });
    let screen = '';
    child.stdout.on('data', (chunk: Buffer) => (screen += chunk.toString()));
    const until = async (text: string): Promise<void> => {
      const end = Date.now() + 15_000;
      while (!screen.includes(text)) {
        if (Date.now() > end) throw new Error(`the screen does not show ${text}: ${JSON.stringify(screen)}`);
        await sleep(20);
      }
    };
    return { child, screen: () => screen, until };
  }

  it('are listed, looked at, stopped, started and removed', async () => {
    expect(await ok('sandbox', 'ls')).toMatch(/^SANDBOX +NAME +IMAGE +STATE[^\n]*\n[0-9a-f]{12} +box +busybox +running/);
    expect(JSON.parse(await ok('sandbox', 'inspect', 'box'))).toMatchObject({ name: 'box', labels: { team: 'x' } });
    expect(await ok('sandbox', 'create', '-r', 'python', '-n', 'py', '-m', '256MiB')).toBe('py\n');
    expect(await ok('sandbox', 'stop', '-t', '5', 'py')).toBe('py\n');
    expect(await ok('sandbox', 'ls', '-a', '-l', 'team')).not.toContain('py');
    expect(await ok('sandbox', 'ls', '-a')).toMatch(/py +runtimes\.sandbar\/python:latest +stopped +143/);
    expect(await ok('sandbox', 'start', 'py')).toBe('py\n');
    expect((await platform.cli(['sandbox', 'rm', 'py'])).exitCode).toBe(1);
    expect(await ok('sandbox', 'rm', '-f', 'py')).toBe('py\n');
    const missing = await platform.cli(['sandbox', 'inspect', 'py']);
    expect(missing).toMatchObject({ exitCode: 1, stderr: expect.stringContaining('no such sandbox: py') as string });
  });

  it('run programs with their input, output and exit code', async () => {
    expect(await platform.cli(['exec', '-i', '-e', 'GREETING=hello', '-w', '/tmp', 'box', '--', 'sh', '-c', 'cat; echo $GREETING from $PWD; echo err >&2; exit 7'], { stdin: 'typed\n' })).toMatchObject({ exitCode: 7, stdout: 'typed\nhello from /tmp\n', stderr: 'err\n' });
    expect(await platform.cli(['exec', 'box', '--', 'no-such-program'])).toMatchObject({ exitCode: 127, stdout: '', stderr: expect.stringContaining('executable file not found') as string });
    expect(await platform.cli(['exec', 'box', '--', 'sh', '-c', 'kill -9 $$'])).toMatchObject({ exitCode: 137 });
    expect(await platform.cli(['exec', 'nobody', '--', 'true'])).toMatchObject({ exitCode: 125 });
    const id = (await ok('exec', '-d', 'box', '--', 'sh', '-c', 'echo done > /tmp/background')).trim();
    expect(id).not.toBe('');
    expect(await ok('logs', 'box')).toBe('begun\n');
  });

  it('hand over the terminal: its size, its keys, and the way out of it', async () => {
    const { child, screen, until } = onTerminal(`${SANDBAR} exec -it box -- sh`);
    await until('# ');
    child.stdin?.write('stty size\r');
    await until('17 91');
    child.stdin?.write('echo up; sleep 1000\r');
    await until('\nup');
    child.stdin?.write('\x03');
    await until('^C');
    child.stdin?.write('echo $?\r');
    await until('130');
    child.stdin?.write('exit 4\r');
    const [code] = (await once(child, 'close')) as [number];
    expect({ code, screen: screen() }).toEqual({ code: 4, screen: expect.stringContaining('exit 4') as string });
    const left = onTerminal(`${SANDBAR} exec -it box -- sh -c 'echo up; sleep 1000'; stty -a`);
    await left.until('up');
    left.child.stdin?.write('\x10\x11');
    await once(left.child, 'close');
    // The terminal is as it was.
    expect(left.screen()).toMatch(/which goes on[\s\S]* icanon[\s\S]* echo/);
  });

  it('copy files and folders both ways', async () => {
    mkdirSync(join(folder, 'project', 'src'), { recursive: true });
    writeFileSync(join(folder, 'project', 'src', 'tool.sh'), '#!/bin/sh\necho copied\n', { mode: 0o755 });
    await ok('cp', join(folder, 'project'), 'box:/root');
    expect(await ok('exec', 'box', '--', '/root/project/src/tool.sh')).toBe('copied\n');
    await ok('cp', `${join(folder, 'project')}/.`, 'box:/new');
    expect(await ok('exec', 'box', '--', 'find', '/new', '-type', 'f')).toBe('/new/src/tool.sh\n');
    await ok('cp', 'box:/new', join(folder, 'back'));
    expect(statSync(join(folder, 'back', 'src', 'tool.sh')).mode & 0o777).toBe(0o755);
    await ok('cp', 'box:/root/project/src/tool.sh', join(folder, 'back'));
    expect(readFileSync(join(folder, 'back', 'tool.sh'), 'utf8')).toContain('echo copied');
    await ok('cp', join(folder, 'back', 'tool.sh'), 'box:/tmp/renamed');
    expect(await ok('exec', 'box', '--', 'cat', '/tmp/renamed')).toContain('echo copied');
    const tar = execFileSync('node', [SANDBAR, 'cp', 'box:/new', '-'], { env: { ...process.env, NODE_OPTIONS: '', SANDBAR_URL: platform.url, SANDBAR_API_KEY: platform.apiKey } });
    expect(execFileSync('tar', ['-t'], { input: tar, encoding: 'utf8' })).toContain('new/src/tool.sh');
    expect((await platform.cli(['cp', 'box:/absent', folder])).stderr).toContain('/absent is not there in box');
    expect((await platform.cli(['cp', 'box:/a', 'box:/b'])).exitCode).toBe(2);
  });

  it('are reached through ports of this machine, published or not, half by half', async () => {
    const program = 'import socket\ns = socket.create_server(("127.0.0.1", 7000))\nwhile True:\n  c, _ = s.accept()\n  got = b""\n  while (part := c.recv(4096)): got += part\n  c.sendall(b"all of " + got)\n  c.close()';
    await ok('sandbox', 'create', '-r', 'python', '-n', 'served', '--', 'python3', '-c', program);
    const child = spawn('node', [SANDBAR, 'port-forward', 'served', '0:7000'], { env: { ...process.env, NODE_OPTIONS: '', SANDBAR_URL: platform.url, SANDBAR_API_KEY: platform.apiKey }, stdio: ['ignore', 'pipe', 'inherit'] });
    try {
      const [line] = (await once(child.stdout, 'data')) as [Buffer];
      const port = Number(/^127\.0\.0\.1:(\d+) → 7000\n$/.exec(line.toString())?.[1]);
      for (const question of ['a question', 'x'.repeat(3_000_000)]) {
        const socket = createConnection({ port, host: '127.0.0.1', allowHalfOpen: true });
        // Answered only behind the end of the question.
        socket.end(question);
        let answer = '';
        for await (const chunk of socket) answer += String(chunk);
        expect(answer === `all of ${question}`).toBe(true);
      }
      await expect(platform.client().ports.connect('served', 7001)).rejects.toMatchObject({ code: 'failed_precondition' });
    } finally {
      child.kill();
      await ok('sandbox', 'rm', '-f', 'served');
    }
  });
});
