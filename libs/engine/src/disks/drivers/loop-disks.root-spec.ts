import { execFileSync, spawn } from 'node:child_process';
import { mkdir, mkdtemp, open, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { newId, silentLogger } from '#kernel';
import { readMounts } from '../../linux/index.js';
import { describeTenantDisks } from '../disks.contract.js';
import { LoopDisks } from './loop-disks.js';
import { listLoopDevices } from './loop-mounts.js';

const MiB = 1024 ** 2;

async function leftovers(root: string): Promise<string[]> {
  const mounts = (await readMounts()).map(({ mountPoint }) => mountPoint).filter((path) => path.startsWith(root));
  const loops = (await listLoopDevices()).filter(({ image }) => image.startsWith(root)).map(({ device, image }) => `${device} ${image}`);
  return [...mounts, ...loops];
}

describeTenantDisks('LoopDisks', async () => {
  const root = await mkdtemp(join(tmpdir(), 'disks-'));
  return {
    open: () => LoopDisks.open(root, { logger: silentLogger }),
    hostBytes: async (tenant) => (await stat(join(root, 'images', `${tenant}.img`))).blocks * 512,
    leftovers: () => leftovers(root),
    cleanup: async () => {
      for (let wait = 0; wait < 20 && (await leftovers(root)).length > 0; wait += 1) await new Promise((resolve) => setTimeout(resolve, 25));
      expect(await leftovers(root)).toEqual([]);
      await rm(root, { recursive: true, force: true });
    },
  };
});

describe('LoopDisks', () => {
  let root: string;
  let disks: LoopDisks;
  beforeEach(async () => {
    root = await mkdtemp(join(tmpdir(), 'disks-'));
    disks = await LoopDisks.open(root, { logger: silentLogger });
  });
  afterEach(async () => {
    await disks.close();
    expect(await leftovers(root)).toEqual([]);
    await rm(root, { recursive: true, force: true });
  });

  it('takes a disk away from the name spaces of others after a crash too', async () => {
    const tenant = newId('tenant');
    await disks.ensure(tenant, 8 * MiB);
    const other = spawn('unshare', ['--mount', '--propagation', 'slave', 'sh', '-c', 'echo; exec sleep 60'], { stdio: ['ignore', 'pipe', 'ignore'] });
    try {
      await new Promise((resolve) => other.stdout.once('data', resolve));
      const seen = async (): Promise<string[]> => (await readMounts(`/proc/${other.pid}/mountinfo`)).map(({ mountPoint }) => mountPoint).filter((path) => path === join(root, 'mounts', tenant));
      expect(await seen()).toHaveLength(1);
      disks = await LoopDisks.open(root, { logger: silentLogger });
      await disks.recover();
      await disks.remove(tenant);
      expect(await seen()).toEqual([]);
    } finally {
      other.kill('SIGKILL');
    }
  });

  it('sweeps what a crash left', async () => {
    const [kept, half, gone] = [newId('tenant'), newId('tenant'), newId('tenant')];
    await disks.ensure(kept, 8 * MiB);
    await writeFile(join(root, 'images', `.new-00-${half}.img`), 'half');
    await mkdir(join(root, 'mounts', gone));
    // Attached, not yet mounted.
    const attached = join(root, 'images', `${half}.img`);
    await writeFile(attached, Buffer.alloc(MiB));
    execFileSync('losetup', ['--find', attached]);
    disks = await LoopDisks.open(root, { logger: silentLogger });
    await disks.recover();
    const images = async (): Promise<string[]> => (await listLoopDevices()).filter(({ image }) => image.startsWith(root)).map(({ image }) => image);
    // Whoever looks for a free device at this moment has ours open too; it then goes when they close it.
    for (let wait = 0; wait < 40 && (await images()).length > 1; wait += 1) await new Promise((resolve) => setTimeout(resolve, 25));
    expect(await images()).toEqual([join(root, 'images', `${kept}.img`)]);
    expect(await readdir(join(root, 'mounts'))).toEqual([kept]);
    expect((await readdir(join(root, 'images'))).sort()).toEqual([`${kept}.img`, `${half}.img`].sort());
    await rm(attached);
  });

  it('mounts so that nothing on it runs, and keeps the images from all but root', async () => {
    const tenant = newId('tenant');
    const { path } = await disks.ensure(tenant, 8 * MiB);
    const line = (await readFile('/proc/self/mountinfo', 'utf8')).split('\n').find((text) => text.includes(` ${path} `));
    expect(line).toMatch(/nosuid,nodev,noexec,noatime shared:/);
    expect(line).toMatch(/discard/);
    for (const file of [join(root, 'images', `${tenant}.img`), join(path, '.ballast')]) expect((await stat(file)).mode & 0o777).toBe(0o600);
    for (const folder of ['images', 'mounts', `mounts/${tenant}/volumes`]) expect((await stat(join(root, folder))).mode & 0o777).toBe(0o700);
  });

  it('grows a disk that is in use: at once, or where the kernel forbids that, when it is idle', async () => {
    let now = 0;
    await disks.close();
    disks = await LoopDisks.open(root, { logger: silentLogger, clock: { now: () => 0, monotonicMs: () => now } });
    const tenant = newId('tenant');
    const disk = await disks.ensure(tenant, 8 * MiB);
    const held = await open(join(disk.path, 'volumes', 'held'), 'w');
    const mayGrow = Number.parseInt(/CapEff:\s*(\w+)/.exec(await readFile('/proc/self/status', 'utf8'))![1]!.slice(-7, -6), 16) & 1;
    const mebibytes = async (): Promise<number> => Math.round((await (await disks.ensure(tenant, 64 * MiB)).usage()).totalBytes / MiB);
    expect(await mebibytes()).toBe(mayGrow ? 64 : 8);
    await held.writeFile('x');
    await held.close();
    expect(await mebibytes()).toBe(mayGrow ? 64 : 8);
    now += 30_001;
    expect(await mebibytes()).toBe(64);
  });

  it('is seen by a name space that was made before the disk', async () => {
    const other = spawn('unshare', ['--mount', '--propagation', 'slave', 'sh', '-c', 'echo ready; read line; cat "$line"'], { stdio: ['pipe', 'pipe', 'inherit'] });
    const said: string[] = [];
    other.stdout.on('data', (chunk: Buffer) => said.push(chunk.toString()));
    while (!said.join('').includes('ready')) await new Promise((resolve) => setTimeout(resolve, 5));
    const { path } = await disks.ensure(newId('tenant'), 16 * MiB);
    const file = join(await (await disks.list())[0]!.ensurePartition('p', 2 * MiB), 'seen');
    await writeFile(file, 'seen it');
    expect(file.startsWith(path)).toBe(true);
    const ended = new Promise((resolve) => other.once('close', resolve));
    other.stdin.end(`${file}\n`);
    await ended;
    expect(said.join('')).toBe('ready\nseen it');
  });

  it('keeps what another name space uses, refuses to remove it, and mounts the same one again', async () => {
    const tenant = newId('tenant');
    const { path } = await disks.ensure(tenant, 8 * MiB);
    // As a sandbox: a bind of a folder in a name space of its own, out of reach of propagation.
    const script = `mount --make-rprivate / && mkdir -p "${root}/bound" && mount --bind "${path}/volumes" "${root}/bound" && umount "${path}" && echo ready && read line && echo late > "${root}/bound/late"`;
    const sandbox = spawn('unshare', ['--mount', 'sh', '-c', script], { stdio: ['pipe', 'pipe', 'inherit'] });
    await new Promise((resolve) => sandbox.stdout.once('data', resolve));
    await expect(disks.remove(tenant)).rejects.toMatchObject({ code: 'failed_precondition' });
    await disks.close();
    expect(await leftovers(root)).toEqual([expect.stringMatching(/^\/dev\/loop/)]);
    disks = await LoopDisks.open(root, { logger: silentLogger });
    await disks.recover();
    const again = await disks.find(tenant);
    expect((await listLoopDevices()).filter(({ image }) => image.startsWith(root))).toHaveLength(1);
    const ended = new Promise((resolve) => sandbox.once('close', resolve));
    sandbox.stdin.end('go\n');
    await ended;
    expect(await readFile(join(again!.path, 'volumes', 'late'), 'utf8')).toBe('late\n');
    await disks.remove(tenant);
  });
});
