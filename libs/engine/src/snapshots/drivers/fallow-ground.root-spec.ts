import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { FallowGround } from './fallow-ground.js';

describe('FallowGround', () => {
  let dir: string;
  let folder: string;

  // Large enough to have some ten regions, and empty: nearly nothing of it is on the disk.
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'ground-'));
    folder = join(dir, 'disk');
    mkdirSync(folder);
    execFileSync('truncate', ['-s', '20G', join(dir, 'image')]);
    execFileSync('mkfs.ext4', ['-q', '-F', join(dir, 'image')]);
    execFileSync('mount', ['-o', 'loop', join(dir, 'image'), folder]);
  });
  afterAll(() => {
    execFileSync('umount', [folder]);
    rmSync(dir, { recursive: true });
  });

  it('makes a directory with that mode, in a parent that is marked as a top directory', async () => {
    const ground = await FallowGround.open(folder);
    expect(statSync(await ground.make(() => join(folder, 'a'), 0o750)).mode & 0o777).toBe(0o750);
    expect(execFileSync('lsattr', ['-d', folder], { encoding: 'utf8' }).split(' ')[0]).toContain('T');
  });

  it('keeps away from where a tree was just removed, as long as there is room elsewhere', async () => {
    const ground = await FallowGround.open(folder);
    let count = 0;
    const make = (): Promise<string> => ground.make(() => join(folder, `tree-${(count += 1)}`), 0o700);
    const left = await make();
    const region = statSync(left, { bigint: true }).ino / 131_072n;
    await ground.leave(left);
    rmSync(left, { recursive: true });
    // Many more than there are regions: each of these would get its share, were the empty one not to rest.
    const regions = new Set<bigint>();
    for (let round = 0; round < 40; round += 1) regions.add(statSync(await make(), { bigint: true }).ino / 131_072n);
    expect(regions.size).toBeGreaterThan(2);
    expect(regions).not.toContain(region);
  });

  it('makes directories as ever on a file system without such a mark', async () => {
    const plain = mkdtempSync('/dev/shm/sandbar-ground-');
    const ground = await FallowGround.open(plain);
    await ground.leave(await ground.make(() => join(plain, 'a'), 0o700));
    expect(statSync(await ground.make(() => join(plain, 'b'), 0o700)).isDirectory()).toBe(true);
    rmSync(plain, { recursive: true });
  });

  it('says what is wrong with a path as mkdir does', async () => {
    const ground = await FallowGround.open(folder);
    await expect(ground.make(() => join(folder, 'no/such'), 0o700)).rejects.toMatchObject({ code: 'ENOENT' });
  });
});
