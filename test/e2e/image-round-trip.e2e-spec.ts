import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pipeline } from 'node:stream/promises';
import { readTar, writeTar, type TarEntryInput } from '#engine';
import { startPlatform, type DockerCli, type Platform } from '#testing';
import { stopAndExpectNothingLeft } from './nothing-left.js';

/** What makes every kind of entry that a root file system can hold. The program in it lets a container start. */
const MAKE_TREE = `set -e
mkdir -p tree/bin tree/dir/deep/deeper tree/sticky tree/readonly && cd tree
cp /bin/busybox bin/busybox && ln bin/busybox bin/sh && ln bin/busybox bin/true
echo plain > dir/plain; : > dir/empty; ln dir/plain dir/hard; ln dir/plain hard-far
ln -s plain dir/soft; ln -s /etc/passwd absolute; ln -s nowhere/at/all dangling; ln -s ../../../../../../etc escape
chmod 1777 sticky; chmod 4755 bin/busybox; install -m 2711 /bin/busybox setgid; chmod 0500 readonly
chown 1000:1001 dir/plain; chown 65534:65534 dir/empty; chown -h 42:43 dir/soft
mknod null c 1 3; mknod disk b 7 200; mkfifo -m 0640 pipe
printf 'odd' > "$(printf 'new\\nline')"; printf 'bytes' > "$(printf 'bad\\377\\376utf')"; printf x > 'ünïcode ☃'
long=$(printf 'n%.0s' $(seq 200)); mkdir -p "$long/$long"; echo long > "$long/$long/file"; ln -s "$long/$long/file" long-link
truncate -s 50M sparse; printf middle | dd of=sparse bs=1 seek=20000000 conv=notrunc status=none
touch -h -d '1999-12-31 23:59:59.123456789 UTC' dir/soft; touch -d '2001-02-03 04:05:06.789012345 UTC' dir/plain; touch -d '1969-07-20 20:17:40 UTC' dir/empty
touch -d '2010-01-01 00:00:00.5 UTC' dir/deep readonly sticky
`;

/** CAP_NET_RAW and CAP_NET_BIND_SERVICE, permitted and effective (linux/capability.h, VFS_CAP_REVISION_2): bytes that are no UTF-8 come with it. */
const CAPABILITY = Buffer.from('0100000200240000000000000000000000000000', 'hex');
const XATTRS: Readonly<Record<string, [string, Buffer]>> = {
  './setgid': ['security.capability', CAPABILITY],
  './dir/plain': ['user.note', Buffer.from('a note')],
  './dir/': ['user.binary', Buffer.from([0x00, 0xff, 0x80, 0x01])],
};

/** Mount points that the runtime makes where an image has none. */
const RUNTIME_MADE = /^(dev|proc|sys|etc)(\/|$)/;

describe('a tree that holds every kind of entry', () => {
  let platform: Platform;
  let anna: DockerCli;
  let bert: DockerCli;
  let folder: string;

  beforeAll(async () => {
    platform = await startPlatform();
    anna = await platform.docker();
    bert = await platform.docker((await platform.newTenant('bert')).apiKey);
    folder = mkdtempSync(join(tmpdir(), 'round-trip-'));
    execFileSync('bash', ['--noprofile', '--norc', '-c', MAKE_TREE], { cwd: folder, env: { PATH: '/usr/sbin:/usr/bin:/sbin:/bin' } });
    execFileSync('tar', ['--format=pax', '--numeric-owner', '--sparse', '-C', join(folder, 'tree'), '-cf', join(folder, 'plain.tar'), '.']);
    await pipeline(writeTar(withXattrs(join(folder, 'plain.tar'))), createWriteStream(join(folder, 'tree.tar')));
  }, 90_000);
  afterAll(async () => {
    rmSync(folder, { recursive: true, force: true });
    await Promise.all([anna.close(), bert.close()]);
    await stopAndExpectNothingLeft(platform);
  }, 60_000);

  async function* withXattrs(file: string): AsyncGenerator<TarEntryInput> {
    for await (const entry of readTar(createReadStream(file))) {
      const own = XATTRS[entry.path];
      yield own === undefined ? entry : { ...entry, xattrs: new Map([...entry.xattrs, own]) };
    }
  }

  /** Everything an archive says of each path. Hard links are named by all the paths that share a file. */
  async function contentOf(file: string): Promise<Map<string, object>> {
    const entries = new Map<string, object>();
    const links: [string, string][] = [];
    const named = (path: string): string => path.replace(/^\.?\/+/, '').replace(/\/$/, '');
    for await (const entry of readTar(createReadStream(file))) {
      const path = named(entry.path);
      if (path === '.' || path === '' || RUNTIME_MADE.test(path)) continue;
      if (entry.type === 'hardlink') {
        links.push([path, named(entry.linkname)]);
        continue;
      }
      const hash = createHash('sha256');
      for await (const chunk of entry.content) hash.update(chunk);
      const { type, mode, uid, gid, size, mtimeNs, linkname, devmajor, devminor, xattrs } = entry;
      const attributes = Object.fromEntries([...xattrs].sort().map(([name, value]) => [name, value.toString('hex')]));
      entries.set(path, { type, mode: type === 'symlink' ? 0 : mode, uid, gid, size, mtimeNs: String(mtimeNs), linkname, devmajor, devminor, attributes, hash: hash.digest('hex'), sharedWith: [] });
    }
    for (const [path, target] of links) {
      const first = entries.get(target) as { sharedWith: string[] } | undefined;
      if (first === undefined) throw new Error(`${path} is a link to ${target}, which is not there`);
      first.sharedWith.push(path);
      entries.set(path, first);
    }
    for (const entry of new Set(entries.values()) as Set<{ sharedWith: string[] }>) {
      const all = [...entries].filter(([, other]) => other === entry).map(([path]) => path);
      entry.sharedWith = all.length > 1 ? all.sort() : [];
    }
    return new Map([...entries].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  it('goes through import, commit, save, load and export as it was', async () => {
    await anna.ok('import', join(folder, 'tree.tar'), 'tree:1');
    const made = await anna.ok('create', 'tree:1', '/bin/busybox', 'true');
    await anna.ok('start', made);
    expect(await anna.ok('wait', made)).toBe('0');
    await anna.ok('commit', made, 'tree:2');
    await anna.ok('save', '-o', join(folder, 'saved.tar'), 'tree:2');
    await bert.ok('load', '-i', join(folder, 'saved.tar'));
    expect(await bert.ok('images', '-q', '--no-trunc', 'tree:2')).toBe(await anna.ok('images', '-q', '--no-trunc', 'tree:2'));
    const copy = await bert.ok('create', 'tree:2', '/bin/busybox', 'true');
    await bert.ok('export', '-o', join(folder, 'exported.tar'), copy);
    const before = await contentOf(join(folder, 'tree.tar'));
    expect(before.size).toBeGreaterThan(25);
    expect(await contentOf(join(folder, 'exported.tar'))).toEqual(before);
  }, 120_000);

  it('goes through the layer of a commit as it was, where a container has only moved it', async () => {
    // A rename copies the whole entry up, and changes nothing of it but its place; what has several names would lose them.
    const moved = ['dir/soft', 'absolute', 'dangling', 'null', 'disk', 'pipe', 'setgid', 'sparse', 'new\nline', 'ünïcode ☃', 'dir/empty'];
    const move = moved.map((name) => `/bin/mv '/${name}' '/${name}.x' && /bin/mv '/${name}.x' '/${name}'`).join(' && ');
    const made = await anna.ok('create', 'tree:1', '/bin/sh', '-c', `/bin/busybox ln -s busybox /bin/mv && ${move}`);
    await anna.ok('start', made);
    expect(await anna.ok('wait', made)).toBe('0');
    await anna.ok('commit', made, 'tree:3');
    await anna.ok('save', '-o', join(folder, 'moved.tar'), 'tree:3');
    const layer = await lastLayerOf(join(folder, 'moved.tar'));
    const before = await contentOf(join(folder, 'tree.tar'));
    const inLayer = await contentOf(layer);
    for (const name of moved) expect([name, inLayer.get(name)]).toEqual([name, before.get(name)]);
  }, 120_000);

  /** The uppermost layer of an archive with one image. */
  async function lastLayerOf(archive: string): Promise<string> {
    const inside = join(folder, 'inside');
    execFileSync('mkdir', [inside]);
    execFileSync('tar', ['-C', inside, '-xf', archive]);
    const [{ Layers: layers }] = JSON.parse(await readFile(join(inside, 'manifest.json'), 'utf8')) as [{ Layers: string[] }];
    return join(inside, layers.at(-1) ?? '');
  }
});
