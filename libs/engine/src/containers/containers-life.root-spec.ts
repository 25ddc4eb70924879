import { setTimeout as sleep } from 'node:timers/promises';
import type { TenantId } from '#kernel';
import type { CreateContainer, LogOptions } from './index.js';
import { openContainerHost, type ContainerHost } from './testing/container-host.js';
import { containerOf, describeLeftovers, logText, NEVER, readChunks } from './testing/container-requests.js';

const FOREVER = 'trap "echo bye; exit 3" TERM; echo up; while :; do sleep 0.05; done';

describe('the life of containers', () => {
  let host: ContainerHost;
  let tenant: TenantId;
  let other: TenantId;

  beforeAll(async () => {
    host = await openContainerHost('life');
    [tenant, other] = [await host.newTenant(), await host.newTenant()];
    for (const each of [tenant, other]) await host.importImage(each, 'busybox', 'printf "\\177ELFno" > bin/odd; chmod 755 bin/odd', { Cmd: ['sh'], Env: ['FROM_IMAGE=1'], Labels: { origin: 'image' } });
  }, 120_000);
  afterAll(async () => {
    for (const each of [tenant, other]) await host.containers.drop(each);
    expect(await describeLeftovers(host, [tenant, other])).toEqual([]);
    await host.dispose();
  }, 60_000);

  async function run(command: readonly string[], more: Partial<CreateContainer> = {}): Promise<string> {
    const { id } = await host.containers.create(tenant, containerOf(command, more));
    await host.containers.start(tenant, id);
    return id;
  }

  async function output(command: readonly string[], more: Partial<CreateContainer> = {}): Promise<{ stdout: string; stderr: string; exitCode: number; id: string }> {
    const id = await run(command, more);
    const { exitCode } = await host.containers.wait(tenant, id, 'not-running', NEVER);
    return { id, exitCode, stdout: await logText(host, tenant, id, 'stdout'), stderr: await logText(host, tenant, id, 'stderr') };
  }

  async function until(id: string, text: string): Promise<void> {
    for (let waited = 0; !(await logText(host, tenant, id)).includes(text); waited += 20) {
      if (waited > 5000) throw new Error(`it never said ${text}`);
      await sleep(20);
    }
  }

  it('goes from created to exited, with its output and exit code', async () => {
    const { id, warnings } = await host.containers.create(tenant, containerOf(['sh', '-c', 'echo out; echo err >&2; exit 7'], { name: '/first', labels: { mine: 'yes' } }));
    expect(id).toMatch(/^[0-9a-f]{64}$/);
    expect(warnings).toEqual([]);
    expect(await host.containers.get(tenant, 'first')).toMatchObject({ id, name: 'first', path: 'sh', args: ['-c', 'echo out; echo err >&2; exit 7'], state: { status: 'created', exitCode: 0, startedAt: undefined, pid: 0 } });
    const exit = host.containers.wait(tenant, id.slice(0, 12), 'next-exit', NEVER);
    expect(await host.containers.start(tenant, '/first')).toBe(true);
    expect(await exit).toEqual({ exitCode: 7 });
    const { state, effective, sandboxId } = await host.containers.get(tenant, id);
    expect(state).toMatchObject({ status: 'exited', exitCode: 7, oomKilled: false, error: '' });
    expect(state.finishedAt!).toBeGreaterThanOrEqual(state.startedAt! - 5);
    expect(effective).toMatchObject({ labels: { origin: 'image', mine: 'yes' }, env: ['FROM_IMAGE=1'] });
    expect(sandboxId).toBeUndefined();
    expect(await readChunks(host, tenant, id)).toMatchObject([{ stream: 'stdout', text: 'out\n' }, { stream: 'stderr', text: 'err\n' }]);
    const again = host.containers.wait(tenant, id, 'next-exit', NEVER);
    expect(await host.containers.start(tenant, id)).toBe(true);
    await again;
    expect(await logText(host, tenant, id, 'stdout')).toBe('out\nout\n');
    await host.containers.remove(tenant, 'first', { force: false, volumes: false });
    await expect(host.containers.get(tenant, id)).rejects.toMatchObject({ code: 'not_found', message: `No such container: ${id}` });
  });

  it('gives its process environment, user and working directory', async () => {
    const { stdout, id } = await output(['sh', '-c', 'env | sort; id; pwd; stat -c "%a %u" .'], { hostname: 'box', process: { ...containerOf([]).process, cmd: ['sh', '-c', 'env | sort; id; pwd; stat -c "%a %u" .'], env: ['A=b'], user: 'app', workingDir: '/made/for/it' } });
    expect(stdout).toContain('A=b\nFROM_IMAGE=1\nHOME=/home/app\nHOSTNAME=box\nPATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin\nPWD=/made/for/it\n');
    // The kernel keeps them sorted.
    expect(stdout).toContain('uid=1000(app) gid=1000(app) groups=50(staff),1000(app)');
    expect(stdout).toMatch(/\/made\/for\/it\n755 0\n$/);
    await host.containers.remove(tenant, id, { force: false, volumes: false });
  });

  it('gives a terminal', async () => {
    const { stdout, exitCode, id } = await output(['sh', '-c', 'tty; echo $TERM'], { process: { ...containerOf(['sh', '-c', 'tty; echo $TERM']).process, tty: true } });
    expect([stdout, exitCode]).toEqual(['/dev/pts/0\r\nxterm\r\n', 0]);
    await host.containers.remove(tenant, id, { force: false, volumes: false });
  });

  it.each<[string, string[], Partial<CreateContainer['process']>, number, string]>([
    ['no such program', ['nothing-here'], {}, 127, 'failed to create task for container: failed to create shim task: OCI runtime create failed: unable to start container process: exec: "nothing-here": executable file not found in $PATH: unknown'],
    ['no such file', ['/bin/none'], {}, 127, 'stat /bin/none: no such file or directory'],
    ['no program', ['/etc/passwd'], {}, 126, 'exec: "/etc/passwd": permission denied'],
    ['a file for a working directory', ['true'], { workingDir: '/etc/passwd' }, 126, 'chdir to cwd ("/etc/passwd") set in config.json failed: not a directory'],
    ['a program of another machine', ['/bin/odd'], {}, 126, 'exec: "/bin/odd": exec format error'],
    ['no such user', ['true'], { user: 'ghost' }, 128, 'unable to find user ghost: no matching entries in passwd file'],
  ])('cannot be started with %s', async (_name, command, process, exitCode, message) => {
    const { id } = await host.containers.create(tenant, containerOf(command, { process: { ...containerOf(command).process, ...process } }));
    await expect(host.containers.start(tenant, id)).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringContaining(message), details: { exitCode } });
    expect((await host.containers.get(tenant, id)).state).toMatchObject({ status: 'created', exitCode, error: expect.stringContaining(message), startedAt: undefined });
    await host.containers.remove(tenant, id, { force: false, volumes: false });
    expect(await host.runtime.list()).toEqual([]);
  });

  it.each([
    ['dev', 'etc/passwd', 126],
    ['proc', 'etc', 126],
    ['sys', '/nowhere', 126],
    ['dev', '/nowhere', 127],
  ])('cannot be started from an image whose /%s is a link to %s, and says so', async (name, target, exitCode) => {
    await host.importImage(tenant, `link-${name}`, `rm -rf ${name} && ln -s ${target} ${name}`, { Cmd: ['sh'] });
    const { id } = await host.containers.create(tenant, containerOf(['true'], { image: `link-${name}` }));
    await expect(host.containers.start(tenant, id)).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringContaining('OCI runtime create failed: '), details: { exitCode } });
    expect((await host.containers.get(tenant, id)).state).toMatchObject({ status: 'created', exitCode });
    await host.containers.remove(tenant, id, { force: false, volumes: false });
    expect(await host.runtime.list()).toEqual([]);
  });

  it('is stopped by its signal, and killed when it does not listen', async () => {
    const polite = await run(['sh', '-c', FOREVER]);
    await until(polite, 'up');
    expect(await host.containers.start(tenant, polite)).toBe(false);
    expect(await host.containers.stop(tenant, polite)).toBe(true);
    expect(await host.containers.stop(tenant, polite)).toBe(false);
    expect((await host.containers.get(tenant, polite)).state).toMatchObject({ status: 'exited', exitCode: 3 });
    expect(await logText(host, tenant, polite)).toBe('up\nbye\n');
    const deaf = await run(['sh', '-c', 'trap "" TERM; echo up; while :; do sleep 0.05; done']);
    await until(deaf, 'up');
    expect(await host.containers.stop(tenant, deaf, { timeoutSeconds: 0.2 })).toBe(true);
    expect((await host.containers.get(tenant, deaf)).state).toMatchObject({ exitCode: 137 });
    await expect(host.containers.kill(tenant, deaf)).rejects.toMatchObject({ code: 'conflict', message: `cannot kill container: ${deaf}: container ${deaf} is not running` });
    const hit = await run(['sleep', '100']);
    await host.containers.kill(tenant, hit, 'SIGUSR1');
    expect(await host.containers.wait(tenant, hit, 'not-running', NEVER)).toEqual({ exitCode: 138 });
    for (const id of [polite, deaf, hit]) await host.containers.remove(tenant, id, { force: false, volumes: false });
  });

  it('stands still while it is paused', async () => {
    const id = await run(['sh', '-c', 'i=0; while :; do i=$((i+1)); echo $i; sleep 0.02; done'], { name: 'ticker' });
    await until(id, '3\n');
    await host.containers.pause(tenant, id);
    await expect(host.containers.pause(tenant, id)).rejects.toMatchObject({ code: 'conflict', message: `container ${id} is already paused` });
    await expect(host.containers.remove(tenant, id, { force: false, volumes: false })).rejects.toMatchObject({ code: 'conflict', message: 'cannot remove container "/ticker": container is paused and must be unpaused first' });
    await sleep(50);
    const before = await logText(host, tenant, id);
    await sleep(150);
    expect(await logText(host, tenant, id)).toBe(before);
    await host.containers.unpause(tenant, id);
    await until(id, `${before.trim().split('\n').length + 3}\n`);
    await expect(host.containers.remove(tenant, id, { force: false, volumes: false })).rejects.toMatchObject({ message: 'cannot remove container "/ticker": container is running: stop the container before removing or force remove' });
    await host.containers.pause(tenant, id);
    await host.containers.remove(tenant, id, { force: true, volumes: false });
  });

  it('removes itself when it was asked to, and tells those who wait', async () => {
    const { id } = await host.containers.create(tenant, containerOf(['sh', '-c', 'sleep 0.2; exit 4'], { autoRemove: true, mounts: [{ kind: 'volume', destination: '/anon', readOnly: false, noCopy: false }] }));
    const removed = host.containers.wait(tenant, id, 'removed', NEVER);
    await host.containers.start(tenant, id);
    expect(await removed).toEqual({ exitCode: 4 });
    expect(await host.containers.list(tenant)).toEqual([]);
    expect(await host.volumes.list(tenant)).toEqual([]);
  });

  it('tells of memory that ran out', async () => {
    const { id, exitCode } = await output(['sh', '-c', 'x=0123456789abcdef; while :; do x=$x$x; done'], { limits: { memoryBytes: 16 * 1024 * 1024 } });
    expect(exitCode).toBe(137);
    expect((await host.containers.get(tenant, id)).state.oomKilled).toBe(true);
    await host.containers.remove(tenant, id, { force: false, volumes: false });
  });

  it('has names and IDs of its tenant alone', async () => {
    const mine = (await host.containers.create(tenant, containerOf(['true'], { name: 'web' }))).id;
    const theirs = (await host.containers.create(other, containerOf(['true'], { name: 'web' }))).id;
    await expect(host.containers.create(tenant, containerOf(['true'], { name: 'web' }))).rejects.toMatchObject({
      code: 'conflict',
      message: `Conflict. The container name "/web" is already in use by container "${mine}". You have to remove (or rename) that container to be able to reuse that name.`,
    });
    for (const text of [theirs, theirs.slice(0, 12)]) await expect(host.containers.get(tenant, text)).rejects.toMatchObject({ code: 'not_found', message: `No such container: ${text}` });
    await expect(host.containers.create(tenant, containerOf(['true'], { volumesFrom: [theirs] }))).rejects.toMatchObject({ code: 'not_found' });
    await host.containers.rename(tenant, 'web', 'site');
    await expect(host.containers.rename(tenant, 'site', 'site')).rejects.toMatchObject({ code: 'invalid_argument' });
    expect((await host.containers.get(tenant, 'site')).id).toBe(mine);
    expect((await host.containers.get(other, 'web')).id).toBe(theirs);
    await expect(host.containers.create(tenant, containerOf(['true'], { image: 'nowhere' }))).rejects.toMatchObject({ code: 'not_found', message: 'No such image: nowhere:latest' });
    const { id } = await host.containers.create(tenant, containerOf(['true']));
    expect((await host.containers.get(tenant, id)).name).toMatch(/^[a-z]+_[a-z]+$/);
    const { removed, reclaimedBytes } = await host.containers.prune(tenant, ({ name }) => name !== 'site');
    expect(removed).toEqual([id]);
    expect(reclaimedBytes).toBeGreaterThanOrEqual(0);
    await host.containers.drop(other);
    await host.containers.remove(tenant, 'site', { force: false, volumes: false });
  });

  it('is made once under an ID that the caller chose, however often it is asked for', async () => {
    const id = 'c0ffee'.repeat(11).slice(0, 64);
    const asked = await Promise.all([0, 1, 2].map(() => host.containers.create(tenant, containerOf(['true'], { id }))));
    expect(asked.map((made) => made.id)).toEqual([id, id, id]);
    expect((await host.containers.list(tenant)).filter((container) => container.id === id)).toHaveLength(1);
    await host.containers.remove(tenant, id, { force: false, volumes: false });
    expect(await host.containers.create(tenant, containerOf(['true'], { id }))).toEqual({ id, warnings: [] });
    await host.containers.remove(tenant, id, { force: false, volumes: false });
  });

  it('tells what happened, with Docker\'s attributes', async () => {
    const since = BigInt(Date.now()) * 1_000_000n;
    const { id } = await output(['sh', '-c', 'exit 2'], { name: 'told', labels: { mine: '1' } });
    await host.containers.remove(tenant, id, { force: false, volumes: false });
    const quit = new AbortController();
    const seen: [string, Readonly<Record<string, string>>][] = [];
    for await (const event of host.events.follow(tenant, since - 1n, quit.signal)) {
      if (event.id === id) seen.push([event.action, event.attributes]);
      if (event.action === 'destroy' && event.id === id) break;
    }
    expect(seen.map(([action]) => action)).toEqual(['create', 'start', 'die', 'destroy']);
    expect(seen[2]![1]).toMatchObject({ image: 'busybox', name: 'told', exitCode: '2', mine: '1', origin: 'image' });
  });

  it('is followed by its log, to the end', async () => {
    const id = await run(['sh', '-c', 'for i in 1 2 3 4 5; do echo line $i; sleep 0.05; done; printf end']);
    const follow: LogOptions = { stdout: true, stderr: true, follow: true };
    expect((await readChunks(host, tenant, id, follow)).map(({ text }) => text).join('')).toBe('line 1\nline 2\nline 3\nline 4\nline 5\nend');
    expect(await logText(host, tenant, id, 'stdout', { tail: 2 })).toBe('line 5\nend');
    await host.containers.remove(tenant, id, { force: false, volumes: false });
  });

  it('loses nothing of much output', async () => {
    const { stdout, id } = await output(['sh', '-c', 'i=0; while [ $i -lt 30000 ]; do echo "line $i of many, to fill pipes and frames"; i=$((i+1)); done']);
    const lines = stdout.trimEnd().split('\n');
    expect(lines).toHaveLength(30_000);
    expect(lines.every((line, index) => line === `line ${index} of many, to fill pipes and frames`)).toBe(true);
    await host.containers.remove(tenant, id, { force: false, volumes: false });
  });
});
