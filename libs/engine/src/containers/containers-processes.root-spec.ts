import { createHash, randomBytes } from 'node:crypto';
import type { TenantId } from '#kernel';
import type { AttachOptions, CreateContainer, ExecSpec, ProcessStream } from './index.js';
import { openContainerHost, type ContainerHost } from './testing/container-host.js';
import { containerOf, describeLeftovers, logText, NEVER } from './testing/container-requests.js';
import { execOf, LOOK, outputOf, ProcessWatch } from './testing/process-streams.js';

const IDLE = ['sh', '-c', 'trap "exit 0" TERM; while :; do sleep 0.05; done'];

describe('the processes of containers', () => {
  let host: ContainerHost;
  let tenant: TenantId;

  beforeAll(async () => {
    host = await openContainerHost('processes');
    tenant = await host.newTenant();
    await host.importImage(tenant, 'busybox', 'printf "\\177ELFno" > bin/odd; chmod 755 bin/odd', { Cmd: ['sh'], Env: ['FROM_IMAGE=1'] });
  }, 120_000);
  afterEach(async () => {
    for (const { id } of await host.containers.list(tenant)) await host.containers.remove(tenant, id, { force: true, volumes: true });
  });
  afterAll(async () => {
    await host.containers.drop(tenant);
    expect(await describeLeftovers(host, [tenant])).toEqual([]);
    await host.dispose();
  }, 60_000);

  const processes = () => host.containers.processes;

  async function create(command: readonly string[], process: Partial<CreateContainer['process']> = {}, more: Partial<CreateContainer> = {}): Promise<string> {
    const request = containerOf(command, more);
    return (await host.containers.create(tenant, { ...request, process: { ...request.process, ...process } })).id;
  }

  async function run(command: readonly string[], process: Partial<CreateContainer['process']> = {}, more: Partial<CreateContainer> = {}): Promise<string> {
    const id = await create(command, process, more);
    await host.containers.start(tenant, id);
    return id;
  }

  async function exec(container: string, argv: readonly string[], more: Partial<ExecSpec> = {}, options: Partial<AttachOptions> = {}): Promise<{ id: string; stream: ProcessStream }> {
    const { id } = await processes().createExec(tenant, container, execOf(argv, more));
    const stream = await processes().attachExec(tenant, id, { ...LOOK, ...options });
    await processes().startExec(tenant, id);
    return { id, stream };
  }

  describe('exec', () => {
    it('runs a program, with its output, exit code and the container\u2019s surroundings', async () => {
      const id = await run(IDLE, { env: ['A=1'], workingDir: '/tmp' });
      const { id: execId, stream } = await exec(id, ['sh', '-c', 'echo $A $B $FROM_IMAGE $HOME $HOSTNAME; pwd; echo err >&2; exit 7'], { env: ['B=2'] });
      expect(await outputOf(stream)).toEqual({ stdout: `1 2 1 /root ${id.slice(0, 12)}\n/tmp\n`, stderr: 'err\n', exitCode: 7 });
      const seen = await processes().getExec(tenant, execId);
      expect(seen).toMatchObject({ id: execId, containerId: id, state: 'ended', exitCode: 7, signal: null, pid: 0 });
      expect(seen.finishedAt!).toBeGreaterThanOrEqual(seen.startedAt!);
      expect(await logText(host, tenant, id)).toBe('');
    });

    it('talks through a terminal whose size follows', async () => {
      const id = await run(IDLE);
      const { id: execId } = await processes().createExec(tenant, id, execOf(['sh'], { tty: true, openStdin: true }));
      const stream = await processes().attachExec(tenant, execId, { ...LOOK, stdin: true });
      const watch = new ProcessWatch(stream);
      await processes().startExec(tenant, execId, { columns: 101, rows: 31 });
      await stream.write(Buffer.from('stty size; echo $TERM\n'));
      await watch.until('31 101\r\nxterm');
      await processes().resizeExec(tenant, execId, { columns: 60, rows: 20 });
      await processes().resizeExec(tenant, execId, { columns: 0, rows: 0 });
      await stream.write(Buffer.from('stty size\n'));
      await watch.until('20 60\r\n');
      await stream.write(Buffer.from('exit 4\n'));
      await watch.done;
      expect(stream.tty).toBe(true);
      expect(await stream.ended).toEqual({ exitCode: 4 });
    });

    it('hands 100 MB through stdin and back, equal to the last byte, and ends with the input', async () => {
      const id = await run(IDLE);
      const { stream } = await exec(id, ['cat'], { openStdin: true }, { stdin: true });
      const [sent, got] = [createHash('sha256'), createHash('sha256')];
      const block = randomBytes(1024 * 1024);
      const writing = (async () => {
        for (let n = 0; n < 100; n += 1) {
          block.writeUInt32LE(n, 0);
          sent.update(block);
          await stream.write(Buffer.from(block));
        }
        await stream.end();
      })();
      let bytes = 0;
      for await (const chunk of stream.output()) {
        got.update(chunk.bytes);
        bytes += chunk.bytes.length;
      }
      await writing;
      expect(bytes).toBe(100 * 1024 * 1024);
      expect(got.digest('hex')).toBe(sent.digest('hex'));
      expect(await stream.ended).toEqual({ exitCode: 0 });
    }, 60_000);

    it('has every capability when it is privileged, and the container\u2019s otherwise', async () => {
      const id = await run(IDLE);
      const caps = async (more: Partial<ExecSpec>) => (await outputOf((await exec(id, ['sed', '-n', 's/^CapEff:.//p', '/proc/self/status'], more)).stream)).stdout.trim();
      expect(await caps({ privileged: true })).toMatch(/^000001ffffffffff$/);
      expect(await caps({})).toBe('00000000a80425fb');
      expect(await caps({ user: 'app' })).toBe('0000000000000000');
    });

    it('refuses in the words by which clients know what was wrong', async () => {
      const id = await run(IDLE);
      const tell = async (argv: readonly string[], more: Partial<ExecSpec> = {}) => {
        const { id: execId } = await processes().createExec(tenant, id, execOf(argv, more));
        const stream = await processes().attachExec(tenant, execId, LOOK);
        const error = await processes().startExec(tenant, execId).then(() => undefined, (failure: unknown) => failure as { message: string; details: object });
        return { message: error?.message, details: error?.details, ended: (await outputOf(stream)).exitCode, exec: (await processes().getExec(tenant, execId)).exitCode };
      };
      const words = 'OCI runtime exec failed: exec failed: unable to start container process: ';
      expect(await tell(['nothing'])).toEqual({ message: `${words}exec: "nothing": executable file not found in $PATH: unknown`, details: { exitCode: 127 }, ended: 127, exec: 127 });
      expect(await tell(['/etc/passwd'])).toMatchObject({ message: `${words}exec: "/etc/passwd": permission denied: unknown`, details: { exitCode: 126 }, exec: 126 });
      expect(await tell(['true'], { workingDir: '/nowhere' })).toMatchObject({ message: `${words}chdir to cwd ("/nowhere") set in config.json failed: no such file or directory: unknown`, exec: 127 });
      expect(await tell(['true'], { user: 'nobody-here' })).toMatchObject({ message: 'unable to find user nobody-here: no matching entries in passwd file', exec: 126 });
    });
  });

  describe('attach', () => {
    it('sees the first byte when it comes before the start, and the end', async () => {
      const id = await create(['sh', '-c', 'echo out; echo err >&2; exit 3']);
      const [one, other] = [await processes().attach(tenant, id, LOOK), await processes().attach(tenant, id, { ...LOOK, stderr: false })];
      await host.containers.start(tenant, id);
      expect(await outputOf(one)).toEqual({ stdout: 'out\n', stderr: 'err\n', exitCode: 3 });
      expect(await outputOf(other)).toEqual({ stdout: 'out\n', stderr: '', exitCode: 3 });
    });

    it('writes to the main process; its input ends with the first client\u2019s', async () => {
      const id = await create(['cat'], { openStdin: true, stdinOnce: true });
      const stream = await processes().attach(tenant, id, { ...LOOK, stdin: true });
      const early = stream.write(Buffer.from('before '));
      await host.containers.start(tenant, id);
      await early;
      await stream.write(Buffer.from('after\n'));
      await stream.end();
      expect(await outputOf(stream)).toEqual({ stdout: 'before after\n', stderr: '', exitCode: 0 });
    });
  });

  it('kill -9 style loss of the worker loses and doubles nothing of a running exec', async () => {
    const id = await run(IDLE);
    const { id: execId, stream } = await exec(id, ['sh', '-c', 'i=0; while [ $i -lt 60 ]; do i=$((i+1)); echo $i; sleep 0.02; done; exit 9']);
    const before = new ProcessWatch(stream);
    await before.until('10\n');
    await host.restart();
    expect(await processes().getExec(tenant, execId)).toMatchObject({ state: 'running', exitCode: null });
    const again = await processes().attachExec(tenant, execId, { ...LOOK, logs: true });
    const { stdout, exitCode } = await outputOf(again);
    expect(stdout).toBe(Array.from({ length: 60 }, (_, index) => `${index + 1}\n`).join(''));
    expect(exitCode).toBe(9);
    expect(await processes().waitExec(tenant, execId, NEVER)).toMatchObject({ state: 'ended', exitCode: 9 });
  });
});
