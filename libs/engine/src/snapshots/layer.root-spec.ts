import { execFile } from 'node:child_process';
import { chmod, chown, link, lstat, mkdir, mkdtemp, readdir, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { writeTar } from '../tar/index.js';
import { realTrees } from '../tree/testing/trees.js';
import { OverlaySnapshotter } from './index.js';
import { streamOf } from './snapshots.contract.js';

const run = promisify(execFile);
/** security.capability, version 2, cap_net_raw permitted and effective (include/uapi/linux/capability.h). */
const CAP_NET_RAW = Buffer.from('0100000200200000000000000000000000000000', 'hex');

/** A ustar header with its content, root's, mode 0755. */
function entry(name: string, type: '0' | 'x', content: Buffer): Buffer {
  const header = Buffer.alloc(512);
  header.write(name, 0, 'latin1');
  header.write(`0000755\x000000000\x000000000\0${content.length.toString(8).padStart(11, '0')}\x0000000000000\0        ${type}`, 100, 'latin1');
  header.write('ustar\x0000', 257, 'latin1');
  header.write(`${header.reduce((sum, byte) => sum + byte, 0).toString(8).padStart(6, '0')}\0 `, 148, 'latin1');
  return Buffer.concat([header, content, Buffer.alloc((512 - (content.length % 512)) % 512)]);
}

/** A record of a pax extended header: its own length, a blank, keyword=value, a line feed. */
function paxRecord(keyword: string, value: Buffer): Buffer {
  const rest = Buffer.concat([Buffer.from(` ${keyword}=`), value, Buffer.from('\n')]);
  const length = [1, 2, 3].map((digits) => rest.length + digits).find((total) => String(total).length === total - rest.length)!;
  return Buffer.concat([Buffer.from(String(length)), rest]);
}

describe('a layer that a dead process left half unpacked', () => {
  it('is swept however deep it is', async () => {
    const root = await mkdtemp(join(tmpdir(), 'snapshots-deep-'));
    try {
      const left = join(root, 'staging', '1-1-0123456789abcdef');
      await mkdir(left, { recursive: true });
      const deep = Array.from({ length: 17 }, () => 'd'.repeat(240)).join('/');
      await realTrees().extract({ root: left, tar: writeTar([{ path: deep.slice(0, 4090), type: 'directory', mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n }]), as: 'layer' });
      await OverlaySnapshotter.open(root, { trees: realTrees() });
      expect(await readdir(join(root, 'staging'))).toEqual([]);
    } finally {
      await run('rm', ['-rf', root]);
    }
  });
});

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
    await run('mknod', [join(tree, 'null'), 'c', '1', '3']);
    await run('mkfifo', [join(tree, 'fifo')]);
    await writeFile(join(tree, 'locked', 'inner'), 'x');
    await utimes(join(tree, 'locked', 'inner'), 1_000_000, 1_000_000);
    await chmod(join(tree, 'locked'), 0o555);
    await utimes(join(tree, 'locked'), 2_000_000, 2_000_000);
    await chmod(tree, 0o711);
    // What is in `locked` comes long after the folder itself.
    const members = ['.', './locked', './setuid', './hard', './soft', './null', './fifo', './locked/inner'];
    const { stdout } = await run('tar', ['-C', tree, '--numeric-owner', '--no-recursion', '-cf', '-', ...members], { encoding: 'buffer' });
    const xattrs = Buffer.concat([paxRecord('SCHILY.xattr.security.capability', CAP_NET_RAW), paxRecord('SCHILY.xattr.user.note', Buffer.from('kept'))]);
    const tar = Buffer.concat([entry('./PaxHeaders/capable', 'x', xattrs), entry('./capable', '0', Buffer.from('x')), stdout]);
    const snapshotter = await OverlaySnapshotter.open(join(folder, 'snapshots'), { trees: realTrees() });
    const { chainId } = await snapshotter.unpack({ tar: streamOf(tar) });
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
    const { stdout } = await run('tar', ['-C', fs, '--format=pax', '--xattrs', '--xattrs-include=*', '-cf', '-', 'capable'], { encoding: 'buffer' });
    expect(stdout.includes(paxRecord('SCHILY.xattr.security.capability', CAP_NET_RAW))).toBe(true);
    expect(stdout.includes(paxRecord('SCHILY.xattr.user.note', Buffer.from('kept')))).toBe(true);
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
