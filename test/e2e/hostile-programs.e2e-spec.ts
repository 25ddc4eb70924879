import { startPlatform, type Platform } from '#testing';
import { ApiClient } from './api-client.js';
import { stopAndExpectNothingLeft } from './nothing-left.js';

const MiB = 1024 * 1024;

/** Programs that attack the machine they run on. Each must end with the state that tells the truth, and leave the node as it was. */
describe('hostile programs', () => {
  let platform: Platform;
  let api: ApiClient;

  beforeAll(async () => {
    platform = await startPlatform();
    api = new ApiClient(platform.url, platform.apiKey);
  }, 180_000);

  afterEach(async () => {
    // Whatever the program did, the next one finds a working node.
    expect(await api.run({ runtime: 'python', code: 'print(6*7)' })).toMatchObject({ state: 'succeeded', stdout: '42\n', exitCode: 0 });
  });

  afterAll(async () => {
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  it('a fork bomb ends at its CPU time', async () => {
    const run = await api.run({ runtime: 'c', code: '#include <unistd.h>\nint main(){for(;;)fork();}', limits: { cpuTimeMs: 1000, wallTimeMs: 10_000, pids: 50 } });
    expect(run).toMatchObject({ state: 'timed_out', failedStep: 'run' });
  }, 60_000);

  it('a fork bomb of sleepers ends at its wall time', async () => {
    const code = '#include <unistd.h>\nint main(){for(int i=0;i<100000;i++) if(fork()==0) for(;;) pause(); for(;;) pause();}';
    const run = await api.run({ runtime: 'c', code, limits: { wallTimeMs: 1500, pids: 200 } });
    expect(run.state).toBe('timed_out');
  }, 60_000);

  it('a memory hog is memory_exceeded', async () => {
    const run = await api.run({ runtime: 'python', code: "x = b'a' * (1 << 30)", limits: { memoryBytes: 64 * MiB } });
    expect(run).toMatchObject({ state: 'memory_exceeded' });
    expect(run.memoryPeakBytes).toBeGreaterThan(48 * MiB);
    expect(run.memoryPeakBytes).toBeLessThanOrEqual(64 * MiB);
  }, 60_000);

  it('memory that children hold counts too', async () => {
    const code = "import os,time\nfor i in range(8):\n  if os.fork()==0:\n    x=bytearray(b'a')*(24<<20)\n    time.sleep(30)\ntime.sleep(30)";
    const run = await api.run({ runtime: 'python', code, limits: { memoryBytes: 96 * MiB, wallTimeMs: 15_000 } });
    expect(run.state).toBe('memory_exceeded');
  }, 60_000);

  it('endless output is cut exactly at the limit', async () => {
    const run = await api.run({ runtime: 'bash', code: 'yes', limits: { outputBytes: 100_000 } });
    expect(run).toMatchObject({ state: 'output_exceeded', stdoutTruncated: true });
    expect(run.stdout).toHaveLength(100_000);
  }, 60_000);

  it('endless output to both streams counts together', async () => {
    const run = await api.run({ runtime: 'bash', code: 'yes out & yes err >&2', limits: { outputBytes: 50_000 } });
    expect(run.state).toBe('output_exceeded');
    expect((run.stdout ?? '').length + (run.stderr ?? '').length).toBe(50_000);
  }, 60_000);

  it('an endless sleep ends at its wall time with little CPU time', async () => {
    const run = await api.run({ runtime: 'bash', code: 'echo here; sleep 1000', limits: { wallTimeMs: 500 } });
    expect(run).toMatchObject({ state: 'timed_out', stdout: 'here\n' });
    expect(run.wallTimeMs).toBeGreaterThanOrEqual(500);
    expect(run.cpuTimeMs).toBeLessThan(400);
  }, 60_000);

  it('a busy loop ends at its CPU time', async () => {
    const run = await api.run({ runtime: 'python', code: 'while True: pass', limits: { cpuTimeMs: 500, wallTimeMs: 20_000 } });
    expect(run.state).toBe('timed_out');
    expect(run.cpuTimeMs).toBeGreaterThanOrEqual(500);
  }, 60_000);

  it('a program that stops itself or ignores signals is ended all the same', async () => {
    const stopped = await api.run({ runtime: 'bash', code: 'kill -STOP $$', limits: { wallTimeMs: 500 } });
    expect(stopped.state).toBe('timed_out');
    const deaf = await api.run({ runtime: 'bash', code: "trap '' TERM INT HUP QUIT; while :; do sleep 1; done", limits: { wallTimeMs: 500 } });
    expect(deaf.state).toBe('timed_out');
  }, 60_000);

  it('filling the disk ends in ENOSPC at the size of the disk', async () => {
    const code = 'import os\nn=0\nf=open("big","wb",buffering=0)\ntry:\n  while True: n+=f.write(b"x"*65536)\nexcept OSError as e:\n  print(e.errno, n)';
    const run = await api.run({ runtime: 'python', code, limits: { diskBytes: 8 * MiB } });
    expect(run.state).toBe('succeeded');
    const [errno, written] = (run.stdout ?? '').trim().split(' ').map(Number);
    expect(errno).toBe(28);
    expect(written).toBeGreaterThan(6 * MiB);
    expect(written).toBeLessThanOrEqual(8 * MiB);
  }, 60_000);

  it('filling the disk with empty files and deep folders ends too', async () => {
    const code = 'import os\ntry:\n  for i in range(10**7): os.close(os.open(f"f{i}",os.O_CREAT))\nexcept OSError as e: print(e.errno)\nos.chdir("/tmp")\ntry:\n  for i in range(3000):\n    os.mkdir("d"*200); os.chdir("d"*200)\nexcept OSError as e: pass\nprint("end")';
    const run = await api.run({ runtime: 'python', code, limits: { wallTimeMs: 20_000 } });
    expect(run).toMatchObject({ state: 'succeeded', stdout: '28\nend\n' });
  }, 60_000);

  it('files beyond the memory limit are memory_exceeded', async () => {
    const run = await api.run({ runtime: 'bash', code: 'head -c 200M /dev/zero > big; echo done', limits: { memoryBytes: 32 * MiB, diskBytes: 512 * MiB } });
    expect(run.state).toBe('memory_exceeded');
  }, 60_000);

  it.each(['runner', 'root'])('kill -9 -1 as %s does not reach the agent', async (user) => {
    const run = await api.run({ runtime: 'bash', user, code: 'sleep 100 & kill -9 -1; kill -9 1; echo alive; exit 7' });
    expect(run).toMatchObject({ state: 'failed', exitCode: 7, stdout: 'alive\n' });
  }, 60_000);

  it('what a program leaves behind ends with it', async () => {
    const code = '(setsid sleep 300 >/dev/null 2>&1 </dev/null &) ; (setsid sh -c "(sleep 300 &)" &) ; echo gone';
    // It would be timed_out if the run waited for them.
    expect(await api.run({ runtime: 'bash', code })).toMatchObject({ state: 'succeeded', stdout: 'gone\n' });
  }, 60_000);

  it('removing and overwriting every path as root harms only its own sandbox', async () => {
    const code = 'for f in /bin/* /usr/bin/* /etc/* /proc/sys/kernel/* /dev/* /sys/kernel/*; do (echo x > "$f") 2>/dev/null; done; rm -rf --no-preserve-root / 2>/dev/null; echo end';
    const run = await api.run({ runtime: 'bash', user: 'root', code, limits: { wallTimeMs: 30_000, diskBytes: 256 * MiB, memoryBytes: 512 * MiB } });
    expect(run.state).toMatch(/^(succeeded|failed)$/);
  }, 90_000);

  it('replacing the working folder between compile and run reaches nothing outside', async () => {
    // The compiler's own output step is run by the agent; a hostile source can at most hurt its own sandbox.
    const run = await api.run({ runtime: 'c', files: { 'main.c': '#include "/etc/shadow"\nint main(){}' } });
    expect(run).toMatchObject({ state: 'failed', failedStep: 'compile' });
    expect(run.compile?.stderr).not.toContain('root:');
  }, 60_000);

  it('twenty hostile programs at once leave room for another tenant', async () => {
    const specs = Array.from({ length: 20 }, (_, index) =>
      index % 2 === 0
        ? { runtime: 'c', code: '#include <unistd.h>\nint main(){for(;;)fork();}', limits: { cpuTimeMs: 2000, wallTimeMs: 4000 } }
        : { runtime: 'python', code: "x = b'a' * (1 << 30)", limits: { memoryBytes: 64 * MiB } },
    );
    const ends = Promise.all(specs.map((spec) => api.run(spec)));
    const other = await platform.newTenant('neighbour');
    expect(await api.withKey(other.apiKey).run({ runtime: 'bash', code: 'echo quiet' })).toMatchObject({ state: 'succeeded', stdout: 'quiet\n' });
    for (const [index, run] of (await ends).entries()) expect(run.state).toBe(index % 2 === 0 ? 'timed_out' : 'memory_exceeded');
  }, 120_000);
});
