import { existsSync, mkdirSync, mkdtempSync, openSync, closeSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { findLeaks, LoopDisks } from '#engine';
import { newId, silentLogger } from '#kernel';
import { NODE, runCommand } from '#testing';

const MiB = 1024 ** 2;

describe('tenants’ disks that a killed worker left mounted', () => {
  let folder: string;
  let data: string;
  let disks: LoopDisks;
  let disk: string;
  beforeEach(async () => {
    folder = mkdtempSync(join(tmpdir(), 'uninstall-'));
    data = join(folder, 'data');
    mkdirSync(join(data, 'engine'), { recursive: true });
    writeFileSync(join(data, 'sandbar-data.json'), '{"product":"sandbar","layout":1}');
    disks = await LoopDisks.open(join(data, 'engine', 'disks'), { logger: silentLogger });
    const tenantDisk = await disks.ensure(newId('tenant'), 16 * MiB);
    await tenantDisk.ensurePartition('part', MiB);
    disk = tenantDisk.path;
  });
  afterEach(async () => {
    if (existsSync(data)) await disks.close();
    rmSync(folder, { recursive: true, force: true });
  });

  const search = () => findLeaks({ root: join(data, 'engine'), cgroupRoot: 'uninstall-nothing' });
  const uninstall = () => runCommand([NODE, 'infra/setup/uninstall-data.mjs', '--data-dir', data, '--yes'], { env: {} });

  it('are found, then unmounted and removed with the data', async () => {
    expect((await search()).map(({ kind }) => kind).sort()).toEqual(['device', 'device', 'mount', 'mount', 'mount']);
    expect(await uninstall()).toMatchObject({ exitCode: 0 });
    expect(readdirSync(folder)).toEqual([]);
    expect(await search()).toEqual([]);
  });

  it('keep the data while something has one open', async () => {
    const file = openSync(join(disk, 'volumes', 'open'), 'w');
    expect(await uninstall()).toMatchObject({ exitCode: 1, stderr: expect.stringContaining(disk) as string });
    expect(existsSync(join(data, 'engine', 'disks', 'images'))).toBe(true);
    closeSync(file);
    expect(await uninstall()).toMatchObject({ exitCode: 0 });
  });
});
