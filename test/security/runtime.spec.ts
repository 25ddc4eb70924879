import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { startPlatform, type DockerCli, type DockerResult, type Platform } from '#testing';
import { ApiClient } from '../e2e/api-client.js';
import { stopAndExpectNothingLeft } from '../e2e/nothing-left.js';

/** Images and requests that were ways out of containers elsewhere, one case an advisory. What unpacking and copying must stand is in extraction.spec. */
describe('ways out of a container that others had', () => {
  let platform: Platform;
  let docker: DockerCli;
  let folder: string;
  /** Of the host, beside what every path of an image could lead to. */
  let outside: string;

  beforeAll(async () => {
    platform = await startPlatform();
    docker = await platform.docker();
    folder = mkdtempSync(join(tmpdir(), 'runtime-advisories-'));
    outside = join(folder, 'outside');
    mkdirSync(outside, { mode: 0o777 });
    await docker.ok('pull', '-q', 'busybox');
  }, 120_000);
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await docker.close();
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  /** An image of busybox and of links. */
  async function image(name: string, links: Readonly<Record<string, string>>): Promise<void> {
    const tree = mkdtempSync(join(folder, 'tree-'));
    mkdirSync(join(tree, 'bin'));
    copyFileSync('/bin/busybox', join(tree, 'bin/busybox'));
    for (const applet of ['sh', 'ls', 'cat', 'id', 'pwd']) symlinkSync('busybox', join(tree, 'bin', applet));
    for (const [path, target] of Object.entries(links)) {
      mkdirSync(join(tree, path, '..'), { recursive: true });
      symlinkSync(target, join(tree, path));
    }
    const archive = join(folder, `${name}.tar`);
    execFileSync('tar', ['-C', tree, '-cf', archive, '.']);
    await docker.ok('import', archive, name);
  }

  /** What it says from its making to its end, whether it was let start or not. */
  async function saidBy(...args: string[]): Promise<string> {
    const made: DockerResult = await docker.run(['create', ...args]);
    if (made.exitCode !== 0) return made.stderr;
    const id = made.stdout.trim();
    const started = await docker.run(['start', id]);
    if (started.exitCode === 0) await docker.ok('wait', id);
    const { stdout, stderr } = await docker.run(['logs', id]);
    await docker.ok('rm', '-f', '-v', id);
    return started.stderr + stdout + stderr;
  }

  const sh = (script: string): [string, string, string] => ['/bin/sh', '-c', script];
  const hostSetting = (): string => readFileSync('/proc/sys/kernel/core_pattern', 'utf8');

  it('CVE-2024-21626: a working directory is no open file of the runtime', async () => {
    for (const fd of [3, 5, 7, 8, 9, 11]) expect(await saidBy('-w', `/proc/self/fd/${String(fd)}`, 'busybox', 'ls')).toMatch(/working directory .* is invalid/);
    await image('cwd', Object.fromEntries([3, 4, 5, 6, 7, 8, 9, 10, 11, 12].map((fd) => [`fd${String(fd)}`, `/proc/self/fd/${String(fd)}/../..`])));
    for (const fd of [3, 5, 7, 8, 9, 11]) expect(await saidBy('-w', `/fd${String(fd)}`, 'cwd', ...sh('cat etc/hostname; ls -d var/lib/dpkg'))).not.toMatch(/^(\S+\n)?var\/lib\/dpkg$/m);
  }, 60_000);

  it('CVE-2019-5736: a program that is the runtime’s own through /proc/self/exe changes nothing of it', async () => {
    const programs = ['/usr/bin/crun', ...readdirSync('dist/native').map((name) => join('dist/native', name))];
    const digests = (): string[] => programs.map((path) => createHash('sha256').update(readFileSync(path)).digest('hex'));
    const before = digests();
    await saidBy('--entrypoint', '/proc/self/exe', 'busybox', 'x');
    await saidBy('busybox', ...sh('for f in /dev/.sandbar-init /proc/1/exe /proc/self/exe; do (echo x > $f) 2>/dev/null; done; for fd in /proc/[0-9]*/fd/*; do (echo x > $fd) 2>/dev/null; done'));
    expect(digests()).toEqual(before);
  }, 60_000);

  it('CVE-2025-31133, CVE-2025-52565: what hides paths of /proc is the host’s /dev/null, not a link of the image', async () => {
    const before = hostSetting();
    await image('devices', { 'dev/null': '/proc/sys/kernel/core_pattern', 'dev/console': '/proc/sysrq-trigger', 'dev/pts': '/proc', 'dev/ptmx': '/proc/sys/kernel/core_pattern' });
    const said = await saidBy('devices', ...sh('ls -l /dev/null; echo x > /proc/sys/kernel/core_pattern; echo x > /dev/ptmx; cat /proc/kcore /proc/timer_list; echo end'));
    expect(said).toMatch(/^crw-rw-rw- .* 1, +3 .* \/dev\/null$/m);
    expect(said).toMatch(/core_pattern: Read-only file system/);
    expect(said).toMatch(/^end$/m);
    expect(hostSetting()).toBe(before);
  }, 60_000);

  it('CVE-2025-52881: a mount whose place is a link into /proc is not made there', async () => {
    const before = hostSetting();
    await image('procs', { link: '/proc', self: '/proc/self' });
    for (const place of ['/link/sys/kernel', '/self/attr', '/link/1']) {
      expect(await saidBy('-v', `data:${place}`, 'procs', ...sh('(echo x > /proc/sys/kernel/core_pattern) 2>/dev/null && echo wrote'))).not.toContain('wrote');
    }
    expect(hostSetting()).toBe(before);
  }, 60_000);

  it('CVE-2026-41579, CVE-2026-47766, CVE-2026-88264, CVE-2026-88265: a /dev, /proc or /sys that is a link leads the runtime nowhere', async () => {
    const before = hostSetting();
    const up = '../'.repeat(12);
    for (const [name, links] of Object.entries({ a: { dev: outside }, b: { dev: up + outside.slice(1) }, c: { dev: '/proc' }, d: { proc: outside }, e: { sys: up + outside.slice(1) }, f: { 'dev/shm': outside, 'dev/mqueue': outside } })) {
      await image(`link-${name}`, links);
      await saidBy(`link-${name}`, ...sh('echo x > /dev/planted; echo x > /proc/sys/kernel/core_pattern; echo x > /dev/shm/planted'));
      expect(readdirSync(outside)).toEqual([]);
    }
    expect(hostSetting()).toBe(before);
  }, 60_000);

  it('CVE-2022-36109: a group that is given is among the process’s groups, and no other is', async () => {
    expect(await saidBy('-u', '1000:1234', 'busybox', ...sh('id -u; id -g; grep ^Groups: /proc/self/status'))).toMatch(/^1000\n1234\nGroups:\s*(1234)?\s*\n$/);
  });

  it('CVE-2024-41110, CVE-2026-34040: what a request says is judged as it is carried out, however often and large it says it', async () => {
    const api = new ApiClient(platform.url, platform.apiKey);
    const attempt = async (body: string): Promise<void> => {
      const { status, body: made } = await api.call<{ Id: string }>('POST', '/v1.50/containers/create', body);
      expect(status === 201 || (status >= 400 && status < 500)).toBe(true);
      if (status !== 201) return;
      const shown = await docker.ok('inspect', '-f', '{{.HostConfig.Privileged}} {{.HostConfig.PidMode}} {{.HostConfig.NetworkMode}}', made.Id);
      await docker.ok('start', made.Id);
      await docker.ok('wait', made.Id);
      const capabilities = BigInt(`0x${/^CapEff:\s*(\w+)$/m.exec(await docker.ok('logs', made.Id))?.[1] ?? 'ffffffffffffffff'}`);
      // CAP_SYS_ADMIN, whichever of the two was taken.
      if (shown.startsWith('false')) expect((capabilities >> 21n) & 1n).toBe(0n);
      await docker.ok('rm', made.Id);
    };
    const own = '"Image":"busybox","Cmd":["grep","CapEff","/proc/self/status"]';
    await attempt(`{${own},"HostConfig":{"Privileged":false},"hostconfig":{"Privileged":true}}`);
    await attempt(`{${own},"HostConfig":{"Privileged":true},"HostConfig":{"Privileged":false}}`);
    await attempt(`{${own},"HostConfig":{"privileged":true,"PRIVILEGED":true}}`);
    await attempt(`{${own},"HostConfig":{"Privileged":false},"Env":["A=${'x'.repeat(8 * 1024 * 1024)}"]}`);
    const empty = await api.call('POST', '/v1.50/containers/create', undefined, { 'content-length': '0' });
    expect(empty.status).toBeGreaterThanOrEqual(400);
    expect(empty.status).toBeLessThan(500);
  }, 60_000);
});
