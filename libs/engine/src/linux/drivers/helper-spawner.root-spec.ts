import { execFileSync } from 'node:child_process';
import { chmod, copyFile, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { silentLogger } from '#kernel';
import { identifyProcess } from '../proc.js';
import type { LaunchRequest } from '../spawner.js';
import { HelperSpawner } from './helper-spawner.js';

const BUILD = join(import.meta.dirname, '../../../../../infra/native/build.mjs');

/** An emulated machine needs more time for the same: as many times as much as it says. */
const TIME_SCALE = Number(process.env.SANDBAR_TEST_TIME_SCALE ?? 1);
const IN_TIME_MS = 5_000 * TIME_SCALE;

describe('HelperSpawner', () => {
  let base: string;
  let spawner: HelperSpawner;

  beforeAll(async () => {
    base = await mkdtemp(join(tmpdir(), 'walls-spawner-'));
    await chmod(base, 0o711);
    // A machine without a compiler gets the program from one that has it.
    const made = process.env.SANDBAR_TEST_PROGRAMS;
    if (made !== undefined) await copyFile(join(made, 'sandbar-spawner'), join(base, 'sandbar-spawner'));
    else execFileSync(process.execPath, [BUILD, '--out', base, 'sandbar-spawner'], { stdio: 'pipe' });
  });
  afterAll(() => rm(base, { recursive: true, force: true }));
  beforeEach(() => {
    spawner = new HelperSpawner({ program: join(base, 'sandbar-spawner'), logger: silentLogger });
  });
  afterEach(() => spawner.close());

  const sh = (line: string, more: object = {}): ReturnType<HelperSpawner['exec']> => spawner.exec({ argv: ['/bin/sh', '-c', line], timeoutMs: IN_TIME_MS, ...more });

  it('gives exit code, signal and both outputs', async () => {
    expect(await sh('echo out; echo err >&2; exit 3')).toEqual({ exitCode: 3, signal: null, stdout: Buffer.from('out\n'), stderr: Buffer.from('err\n') });
    expect(await sh('kill -9 $$')).toMatchObject({ exitCode: null, signal: 9 });
  });

  it('hands on stdin, environment and working folder, and nothing else', async () => {
    const { stdout } = await sh('cat; env; pwd; ls /proc/self/fd', { stdin: Buffer.from('in\n'), env: { A: 'b c' }, cwd: '/usr' });
    expect(stdout.toString().split('\n').filter((text) => !/^(PWD|_|SHLVL|OLDPWD)=/.test(text))).toEqual(['in', 'A=b c', '/usr', '0', '1', '2', '3', '']);
    const input = Buffer.alloc(3_000_000, 'x');
    expect((await sh('wc -c', { stdin: input })).stdout.toString().trim()).toBe('3000000');
    expect((await sh('exec true', { stdin: input })).exitCode).toBe(0);
  });

  it('keeps 64 KiB of output and reads the rest', async () => {
    const { stdout, exitCode } = await sh('head -c 1000000 /dev/zero');
    expect([stdout.length, exitCode]).toEqual([65_536, 0]);
  });

  it('does not wait for descendants that keep the output', async () => {
    const started = performance.now();
    expect((await sh('sleep 3 & echo done')).stdout.toString()).toBe('done\n');
    expect(performance.now() - started).toBeLessThan(2_000);
  });

  it('kills at the deadline, descendants in its group too', async () => {
    const child = sh('sleep 61.25 & wait', { timeoutMs: 100 });
    await expect(child).rejects.toMatchObject({ code: 'deadline_exceeded' });
    expect(execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' })).not.toContain('sleep 61.25');
  });

  it('says not_found for a program or folder that is none', async () => {
    await expect(spawner.exec({ argv: ['/nonexistent'], timeoutMs: 1_000 })).rejects.toMatchObject({ code: 'not_found', details: { step: 'exec', errno: 'ENOENT' } });
    await expect(sh('true', { cwd: '/nonexistent' })).rejects.toMatchObject({ code: 'not_found' });
    await expect(spawner.exec({ argv: [], timeoutMs: 1_000 })).rejects.toMatchObject({ code: 'invalid_argument' });
  });

  it('runs many at once', async () => {
    const results = await Promise.all(Array.from({ length: 40 }, (_, index) => sh(`echo ${index}`)));
    expect(results.map((result) => Number(result.stdout.toString()))).toEqual(Array.from({ length: 40 }, (_, index) => index));
  });

  it('fails what is in flight when it dies, and starts again', async () => {
    const inFlight = sh('sleep 30');
    await sleep(100);
    const pid = spawner.pid!;
    process.kill(pid, 'SIGKILL');
    await expect(inFlight).rejects.toMatchObject({ code: 'unavailable' });
    expect((await sh('echo again')).stdout.toString()).toBe('again\n');
    expect(spawner.pid).not.toBe(pid);
    expect(await identifyProcess(pid)).toBeUndefined();
  });

  it('is unavailable once closed', async () => {
    await sh('true');
    const pid = spawner.pid!;
    await spawner.close();
    await expect(sh('true')).rejects.toMatchObject({ code: 'unavailable' });
    expect(await identifyProcess(pid)).toBeUndefined();
  });

  describe('launch', () => {
    async function request(count: number, argv: readonly string[]): Promise<LaunchRequest> {
      const dir = await mkdtemp(join(base, 'launch-'));
      await chmod(dir, 0o711);
      const lowerDirs = await Promise.all(
        Array.from({ length: count }, async (_, index) => {
          const lower = join(dir, `layer-${index}`);
          await mkdir(join(lower, `from-${index}`), { recursive: true });
          return lower;
        }),
      );
      const mountPoint = join(dir, 'mount');
      await mkdir(mountPoint, { mode: 0o711 });
      return {
        agentProgram: join(base, 'agent', 'program'),
        argv: argv.map((word) => word.replaceAll('ROOTFS', join(mountPoint, 'rootfs'))),
        env: { PATH: '/usr/bin:/bin' },
        rootfs: { kind: 'overlay', lowerDirs, upper: { kind: 'tmpfs', sizeBytes: 1024 * 1024, inodes: 100 } },
        mountPoint,
        idRange: { hostStart: 3_000_000, size: 65_536 },
        cgroupJoinFiles: [],
        agentSocketPath: join(dir, 'agent.sock'),
        timeoutMs: IN_TIME_MS,
      };
    }

    it('mounts 128 layers with shifted owners where only the launch sees them', async () => {
      const launch = await request(128, ['/bin/sh', '-c', 'ls ROOTFS | wc -l; stat -c %u:%g ROOTFS ROOTFS/from-0 ROOTFS/from-127; touch ROOTFS/x; ls /proc/self/fd']);
      const { stdout, exitCode } = await spawner.launch(launch);
      expect(exitCode).toBe(0);
      expect(stdout.toString().trim().split('\n')).toEqual(['128', '3000000:3000000', '3000000:3000000', '3000000:3000000', '0', '1', '2', '3', '4']);
      expect(await readdir(launch.mountPoint)).toEqual([]);
      expect((await stat(launch.agentSocketPath)).mode & 0o777).toBe(0o600);
    });

    it('refuses 129 layers and a socket path beyond sun_path, and names the step', async () => {
      await expect(spawner.launch(await request(129, ['/bin/true']))).rejects.toMatchObject({ code: 'invalid_argument' });
      const tooLong = { ...(await request(1, ['/bin/true'])), agentSocketPath: `/tmp/${'x'.repeat(110)}` };
      await expect(spawner.launch(tooLong)).rejects.toMatchObject({ code: 'invalid_argument', details: { step: 'agent socket path', errno: 'ENAMETOOLONG' } });
    });

    it('executes a sealed copy of the runtime, of its newest version', async () => {
      const program = join(base, 'runtime');
      const exe = async (): Promise<string> => (await spawner.launch(await request(1, [program, '-c', 'readlink /proc/$$/exe; exec 2>/dev/null; (: > /proc/$$/exe) || echo sealed']))).stdout.toString();
      await copyFile('/bin/dash', program);
      expect(await exe()).toBe('/memfd:oci-runtime (deleted)\nsealed\n');
      await copyFile('/bin/bash', `${program}.new`);
      await rename(`${program}.new`, program);
      const { stdout } = await spawner.launch(await request(1, [program, '-c', 'echo ${BASH_VERSION:+bash}']));
      expect(stdout.toString()).toBe('bash\n');
      await writeFile(program, '#!/bin/sh\necho script\n');
      expect((await spawner.launch(await request(1, [program]))).stdout.toString()).toBe('script\n');
    });

    it('shows launches the agent on a file system of its own, and the host nothing of it', async () => {
      await mkdir(join(base, 'agent'), { recursive: true });
      await writeFile(join(base, 'agent', 'program'), 'agent');
      const { stdout } = await spawner.launch(await request(1, ['/bin/sh', '-c', `stat -f -c %T ${base}/agent/program; cat ${base}/agent/program; echo x 2>/dev/null > ${base}/agent/program || echo " read-only"`]));
      expect(stdout.toString()).toBe('tmpfs\nagent read-only\n');
      expect(await readFile('/proc/self/mountinfo', 'utf8')).not.toContain('sandbar-bin');
    });

    it('leaves no process when it is killed, wherever its launches are', async () => {
      for (let round = 0; round < 80; round += 1) {
        await sh('true');
        const launches = await Promise.all(Array.from({ length: 12 }, () => request(1, ['/bin/sleep', '30.75'])));
        const ended = Promise.allSettled(launches.map((launch) => spawner.launch(launch)));
        await sleep(round / 8);
        process.kill(spawner.pid!, 'SIGKILL');
        await ended;
      }
      const left = (): string[] => execFileSync('ps', ['-eo', 'args'], { encoding: 'utf8' }).split('\n').filter((args) => args.startsWith(join(base, 'sandbar-spawner')) || args.includes('sleep 30.75'));
      for (let wait = 0; wait < 20 && left().length > 0; wait += 1) await sleep(20);
      expect(left()).toEqual([]);
    }, 120_000 * TIME_SCALE);

    // A machine that gets its programs made has no compiler to build this one of its own with.
    const withCompiler = process.env.SANDBAR_TEST_PROGRAMS === undefined ? it : it.skip;
    withCompiler('touches no job that is over while others are between fork and exec', async () => {
      const sources = join(import.meta.dirname, '../../../native/spawner');
      const units = (await readdir(sources)).filter((name) => name.endsWith('.c')).map((name) => join(sources, name));
      execFileSync('cc', ['-g', '-O1', '-std=gnu11', '-D_GNU_SOURCE=', '-fsanitize=address', '-o', join(base, 'checked'), ...units]);
      const said: object[] = [];
      const checked = new HelperSpawner({ program: join(base, 'checked'), logger: { ...silentLogger, error: (details: object) => said.push(details) } });
      try {
        for (let round = 0; round < 10; round += 1) {
          const launches = await Promise.all(Array.from({ length: 12 }, () => request(20, ['/bin/true'])));
          const execs = Array.from({ length: 40 }, () => checked.exec({ argv: ['/bin/true'], timeoutMs: IN_TIME_MS }));
          const results = await Promise.all([...launches.map((launch) => checked.launch(launch)), ...execs]);
          expect(results.map((result) => result.exitCode)).toEqual(results.map(() => 0));
        }
        expect(said).toEqual([]);
      } finally {
        await checked.close();
      }
    }, 30_000 * TIME_SCALE);

    it('holds the size of the writable layer', async () => {
      const { stdout } = await spawner.launch(await request(1, ['/bin/sh', '-c', 'head -c 3000000 /dev/zero > ROOTFS/big 2>/dev/null; stat -c %s ROOTFS/big']));
      expect(Number(stdout.toString())).toBeLessThanOrEqual(1024 * 1024);
    });

    it('never hands a device of the host to the runtime as stdio', async () => {
      const { stdout } = await spawner.launch(await request(1, ['/bin/sh', '-c', 'for fd in 0 1 2; do stat -L -c %F /proc/self/fd/$fd; done']));
      expect(stdout.toString()).toBe('fifo\nfifo\nfifo\n');
    });
  });
});
