import { execFile } from 'node:child_process';
import { chmod, chown, link, lstat, mkdir, mkdtemp, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { OverlaySnapshotter } from './index.js';
import { streamOf } from './snapshots.contract.js';

const run = promisify(execFile);
/** security.capability, version 2, cap_net_raw permitted and effective (include/uapi/linux/capability.h). */
const CAP_NET_RAW = '0x0100000200200000000000000000000000000000';

async function xattr(path: string, name: string): Promise<string> {
  const script = 'import os,sys; print("0x" + os.getxattr(sys.argv[1], sys.argv[2]).hex())';
  return (await run('python3', ['-c', script, path, name])).stdout.trim();
}

describe('a layer unpacked by root', () => {
  let folder: string;
  let fs: string;
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'snapshots-root-'));
    const tree = join(folder, 'tree');
    await mkdir(join(tree, 'locked'), { recursive: true });
    await writeFile(join(tree, 'setuid'), 'x');
    await chown(join(tree, 'setuid'), 1234, 5678);
    await chmod(join(tree, 'setuid'), 0o4751);
    await link(join(tree, 'setuid'), join(tree, 'hard'));
    await symlink('/absolute/nowhere', join(tree, 'soft'));
    await writeFile(join(tree, 'capable'), 'x');
    await run('python3', ['-c', `import os,sys; os.setxattr(sys.argv[1], "security.capability", bytes.fromhex("${CAP_NET_RAW.slice(2)}")); os.setxattr(sys.argv[1], "user.note", b"kept")`, join(tree, 'capable')]);
    await run('mknod', [join(tree, 'null'), 'c', '1', '3']);
    await run('mkfifo', [join(tree, 'fifo')]);
    await writeFile(join(tree, 'locked', 'inner'), 'x');
    await utimes(join(tree, 'locked', 'inner'), 1_000_000, 1_000_000);
    await chmod(join(tree, 'locked'), 0o555);
    await utimes(join(tree, 'locked'), 2_000_000, 2_000_000);
    await chmod(tree, 0o711);
    const { stdout } = await run('tar', ['-C', tree, '--numeric-owner', '--xattrs', '--xattrs-include=*', '-cf', '-', '.'], { encoding: 'buffer' });
    const snapshotter = await OverlaySnapshotter.open(join(folder, 'snapshots'));
    const { chainId } = await snapshotter.unpack({ tar: streamOf(stdout) });
    fs = (await snapshotter.layerDirs(chainId))[0]!;
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  it('keeps owners by number, and modes with their special bits', async () => {
    const stat = await lstat(join(fs, 'setuid'));
    expect([stat.uid, stat.gid, (stat.mode & 0o7777).toString(8)]).toEqual([1234, 5678, '4751']);
  });

  it('keeps hard links as one file', async () => {
    const [one, other] = [await lstat(join(fs, 'setuid')), await lstat(join(fs, 'hard'))];
    expect(one.ino).toBe(other.ino);
    expect(one.nlink).toBe(2);
  });

  it('keeps symbolic links as they are', async () => {
    expect((await run('readlink', [join(fs, 'soft')])).stdout.trim()).toBe('/absolute/nowhere');
  });

  it('keeps extended attributes and file capabilities', async () => {
    expect(await xattr(join(fs, 'capable'), 'security.capability')).toBe(CAP_NET_RAW);
    expect(await xattr(join(fs, 'capable'), 'user.note')).toBe('0x6b657074');
  });

  it('keeps device nodes and pipes', async () => {
    const device = await lstat(join(fs, 'null'));
    expect([device.isCharacterDevice(), device.rdev]).toEqual([true, 0x103]);
    expect((await lstat(join(fs, 'fifo'))).isFIFO()).toBe(true);
  });

  it('fills a read-only directory and keeps the times', async () => {
    expect(((await lstat(join(fs, 'locked'))).mode & 0o777).toString(8)).toBe('555');
    expect((await lstat(join(fs, 'locked'))).mtimeMs).toBe(2_000_000_000);
    expect((await lstat(join(fs, 'locked', 'inner'))).mtimeMs).toBe(1_000_000_000);
  });

  it('gives the root directory the mode that the layer says', async () => {
    expect(((await lstat(fs)).mode & 0o777).toString(8)).toBe('711');
  });
});
