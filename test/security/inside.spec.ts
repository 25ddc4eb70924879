import { readFileSync } from 'node:fs';
import { startPlatform, type Platform } from '#testing';
import { ApiClient } from '../e2e/api-client.js';
import { stopAndExpectNothingLeft } from '../e2e/nothing-left.js';

/** What a root process sees and may do inside a sandbox. Each probe runs inside and prints what it achieved. */
describe('from inside a sandbox', () => {
  let platform: Platform;
  let api: ApiClient;

  beforeAll(async () => {
    platform = await startPlatform();
    api = new ApiClient(platform.url, platform.apiKey);
  }, 180_000);
  afterAll(async () => {
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  async function python(code: string): Promise<string> {
    const run = await api.run({ runtime: 'python', user: 'root', code });
    expect(run).toMatchObject({ state: 'succeeded', stderr: '' });
    return run.stdout ?? '';
  }

  /** What a run has written so far is its log. */
  async function untilOutput(id: string, words: string): Promise<void> {
    for (let tries = 0; tries < 100; tries += 1) {
      const log = await fetch(`${platform.url}/v1/runs/${id}/logs?follow=false`, { headers: api.authorization });
      if ((await log.text()).includes(words)) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error(`${id} has not said "${words}"`);
  }

  it('root inside is an unprivileged user outside, another one for each sandbox', async () => {
    const maps = await Promise.all([1, 2].map(() => python('import time\nprint(open("/proc/self/uid_map").read().split()[1])\ntime.sleep(1)')));
    const starts = maps.map(Number);
    for (const start of starts) expect(start).toBeGreaterThanOrEqual(100_000);
    expect(starts[0]).not.toBe(starts[1]);
  });

  it('only its own processes are there, under PID 1 which it cannot read', async () => {
    const out = await python(`
import os
pids = sorted(int(p) for p in os.listdir("/proc") if p.isdigit())
print(len(pids) <= 4, pids[0])
for name in ("environ", "mem", "maps", "root", "cwd", "exe", "auxv"):
    path = "/proc/1/" + name
    try:
        if name in ("root", "cwd", "exe"): os.readlink(path)
        else:
            data = open(path, "rb").read(16)
            if not data: continue
        print("READ", name)
    except OSError: pass
`);
    expect(out).toBe('True 1\n');
  });

  it('no host file, no host mount, no host network, no other sandbox, no keys', async () => {
    const hostname = readFileSync('/etc/hostname', 'utf8').trim();
    const out = await python(`
import os, socket
seen = []
for path in ("${platform.dataDir}", "/run/docker.sock", "/var/lib/sandbar", "/root/.ssh", "/sys/fs/cgroup/memory", "/dev/sda", "/dev/vda", "/dev/kmsg", "/dev/mem"):
    if os.path.lexists(path): seen.append(path)
print(seen)
print("${platform.dataDir}" in open("/proc/self/mounts").read())
print(socket.gethostname() == "${hostname}")
print(sorted(i[1] for i in socket.if_nameindex()))
print([k for k in os.environ if "KEY" in k or "TOKEN" in k or "URL" in k or "SANDBAR" in k])
`);
    const [seen, mounts, sameHost, interfaces, secrets] = out.trim().split('\n');
    expect({ seen, mounts, sameHost, secrets }).toEqual({ seen: '[]', mounts: 'False', sameHost: 'False', secrets: '[]' });
    expect(interfaces).toMatch(/^\['lo'/);
    expect(interfaces).not.toContain('eth');
  });

  it('nothing outside answers, the gateway on this machine included', async () => {
    const { port } = new URL(platform.url);
    const out = await python(`
import socket
for family, address in ((socket.AF_INET, ("127.0.0.1", ${port})), (socket.AF_INET, ("169.254.169.254", 80)), (socket.AF_INET6, ("::1", ${port}))):
    s = socket.socket(family); s.settimeout(2)
    try:
        s.connect(address); print("CONNECTED", address)
    except OSError: pass
print("end")
`);
    expect(out).toBe('end\n');
  });

  // The error is the wall's own: a call that is refused because its arguments make no sense would say another one.
  it.each([
    ['mount a tmpfs', 'EPERM', 'libc.mount(b"none", b"/mnt", b"tmpfs", 0, None)'],
    ['mount proc', 'EPERM', 'libc.mount(b"proc", b"/mnt", b"proc", 0, None)'],
    ['bind mount', 'EPERM', 'libc.mount(b"/etc", b"/mnt", None, 4096, None)'],
    ['unmount /proc', 'EPERM', 'libc.umount2(b"/proc", 2)'],
    ['pivot_root', 'EPERM', 'libc.syscall(155, b"/", b"/")'],
    ['unshare a user name space', 'EPERM', 'libc.unshare(0x10000000)'],
    ['unshare a mount name space', 'EPERM', 'libc.unshare(0x00020000)'],
    ['ptrace PID 1', 'EPERM', 'libc.ptrace(16, 1, None, None)'],
    ['read PID 1 by process_vm_readv', 'EPERM', 'libc.syscall(310, 1, ctypes.create_string_buffer(16), 1, ctypes.create_string_buffer(16), 1, 0)'],
    ['load a module', 'EPERM', 'libc.syscall(175, b"x", 1, b"")'],
    ['load a module from a file', 'EPERM', 'libc.syscall(313, 0, b"", 0)'],
    ['kexec', 'EPERM', 'libc.syscall(246, 0, 0, None, 0)'],
    ['bpf', 'EPERM', 'libc.syscall(321, 5, ctypes.create_string_buffer(128), 128)'],
    ['perf_event_open', 'EPERM', 'libc.syscall(298, ctypes.create_string_buffer(128), 0, -1, -1, 0)'],
    ['io_uring_setup', 'EPERM', 'libc.syscall(425, 1, ctypes.create_string_buffer(256))'],
    ['userfaultfd', 'EPERM', 'libc.syscall(323, 1)'],
    ['keyctl', 'EPERM', 'libc.syscall(250, 0, -3, 1)'],
    ['set the clock', 'EPERM', 'libc.syscall(227, 0, ctypes.create_string_buffer(16))'],
    ['set the host name', 'EPERM', 'libc.syscall(170, b"x", 1)'],
    ['reboot', 'EPERM', 'libc.syscall(169, 0xfee1dead, 672274793, 0, None)'],
    ['read the kernel log', 'EPERM', 'libc.klogctl(3, ctypes.create_string_buffer(64), 64)'],
    ['open by handle', 'EPERM', 'libc.syscall(304, -100, ctypes.create_string_buffer(64), 0)'],
    ['a raw socket', 'EPERM', 'libc.socket(2, 3, 1)'],
    ['a packet socket', 'EPERM', 'libc.socket(17, 3, 0)'],
    ['a vsock', 'EPERM', 'libc.socket(40, 1, 0)'],
    ['make a device node', 'EPERM', 'libc.syscall(133, b"/tmp/sda", 0o60666, 0xfe00)'],
    ['join another name space', 'EPERM', 'libc.setns(os.open("/proc/self/ns/uts", 0), 0)'],
    ['lower its own OOM score below the agent\'s', 'EACCES', 'os.write(os.open("/proc/self/oom_score_adj", 1), b"-1000")'],
    ['raise a hard limit', 'EPERM', 'libc.setrlimit(7, (ctypes.c_ulong * 2)(1 << 20, 1 << 20))'],
    ['write sysctl', 'EACCES', 'os.write(os.open("/proc/sys/kernel/core_pattern", 1), b"|/tmp/x")'],
    ['write sysrq', 'ENOENT', 'os.write(os.open("/proc/sysrq-trigger", 1), b"h")'],
    ['open /proc/kcore', 'ENOENT', 'os.open("/proc/kcore", 0)'],
    ['write a device', 'ENOENT', 'os.write(os.open("/dev/vda", 1), b"x")'],
    ['make a file in /dev', 'EROFS', 'os.open("/dev/planted", os.O_CREAT | os.O_WRONLY)'],
    // What programs as useradd take for a kernel without it.
    ['speak to the kernel\'s audit', 'EPROTONOSUPPORT', 'libc.socket(16, 3, 9)'],
  ])('root cannot %s: %s', async (_name, error, attempt) => {
    const out = await python(`
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
try:
    print("ALLOWED" if ${attempt} != -1 else errno.errorcode[ctypes.get_errno()])
except OSError as refusal:
    print(errno.errorcode[refusal.errno])
`);
    expect(out).toBe(`${error}\n`);
  });

  it('root opens nothing of /sys and /proc/sys for writing', async () => {
    const out = await python(`
import os
files = [os.path.join(folder, name) for top in ("/sys", "/proc/sys") for folder, _, names in os.walk(top) for name in names]
opened = []
for path in files:
    try:
        os.close(os.open(path, os.O_WRONLY | os.O_NONBLOCK)); opened.append(path)
    except OSError: pass
print(len(files) > 100, opened)
`);
    expect(out).toBe('True []\n');
  });

  it('another sandbox is not there: no process, file, shared memory or socket of it', async () => {
    const words = `marker-${String(process.pid)}`;
    const neighbour = await api.submit({
      runtime: 'python',
      user: 'root',
      code: `
import os, socket, sys, time
from multiprocessing import shared_memory
kept = shared_memory.SharedMemory(name="${words}", create=True, size=16)
for path in ("/tmp/${words}", "/work/${words}", "/root/${words}"): open(path, "w").close()
abstract = socket.socket(socket.AF_UNIX); abstract.bind("\\0${words}"); abstract.listen()
tcp = socket.socket(); tcp.bind(("127.0.0.1", 4999)); tcp.listen()
print("there", flush=True)
sys.stdin.read()
kept.unlink()
`,
      stdinOpen: true,
    });
    await untilOutput(neighbour.id, 'there');
    const out = await python(`
import glob, os, socket
found = [path for path in ("/tmp/${words}", "/work/${words}", "/root/${words}", "/dev/shm/${words}") if os.path.lexists(path)]
found += [path for path in glob.glob("/proc/[0-9]*/cmdline") if b"${words}" in open(path, "rb").read() and path != "/proc/%d/cmdline" % os.getpid()]
for family, address in ((socket.AF_UNIX, "\\0${words}"), (socket.AF_INET, ("127.0.0.1", 4999))):
    try:
        socket.socket(family).connect(address); found.append(address)
    except OSError: pass
print(found)
`);
    expect((await api.call('POST', `/v1/runs/${neighbour.id}/stdin`, { data: '', eof: true })).status).toBeLessThan(300);
    expect(await api.until(neighbour.id, ({ state }) => state !== 'queued' && state !== 'running')).toMatchObject({ state: 'succeeded', stdout: 'there\n' });
    expect(out).toBe('[]\n');
  });

  it('has no new privileges and only harmless capabilities', async () => {
    const out = await python('import re\nt=open("/proc/self/status").read()\nprint(re.search(r"NoNewPrivs:\\s*(\\d)",t)[1], re.search(r"Seccomp:\\s*(\\d)",t)[1], re.search(r"CapEff:\\s*(\\w+)",t)[1], re.search(r"CapBnd:\\s*(\\w+)",t)[1])');
    const [noNewPrivileges, seccomp, effective, bounding] = out.trim().split(' ');
    expect({ noNewPrivileges, seccomp }).toEqual({ noNewPrivileges: '1', seccomp: '2' });
    // CAP_SYS_ADMIN 21, SYS_PTRACE 19, SYS_MODULE 16, NET_ADMIN 12, NET_RAW 13, MKNOD 27, SYS_RAWIO 17, DAC_READ_SEARCH 2
    for (const set of [effective, bounding]) {
      for (const bit of [21, 19, 16, 12, 13, 27, 17, 2]) expect((BigInt(`0x${set ?? '0'}`) >> BigInt(bit)) & 1n).toBe(0n);
    }
  });

  it('the runner user is not root and keeps no capability', async () => {
    const run = await api.run({ runtime: 'python', code: 'import os,re\nprint(os.getuid(), os.getgid(), os.getgroups(), re.search(r"CapBnd:\\s*(\\w+)",open("/proc/self/status").read())[1], re.search(r"CapEff:\\s*(\\w+)",open("/proc/self/status").read())[1])' });
    expect(run.stdout).toMatch(/^1000 1000 \[(1000)?\] 0+ 0+\n$/);
  });
});
