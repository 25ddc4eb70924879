import { execFileSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { buffer } from 'node:stream/consumers';
import { gzipSync, zstdCompressSync } from 'node:zlib';
import { isCodedError, type TenantId } from '#kernel';
import { writeTar, type ContainerFiles, type ContainerMount, type CreateContainer, type TarEntryInput } from '#engine';
import { openContainerHost, type ContainerHost } from '../../libs/engine/src/containers/testing/container-host.js';
import { containerOf, logText } from '../../libs/engine/src/containers/testing/container-requests.js';

/**
 * What containers have done to hosts through `docker cp`, one case for each advisory. On the host lies a canary; the container has another file of the very same
 * path. Whatever links say, the container's is meant, and the host's is neither read nor written.
 */

const SECRET = 'the host’s secret';
const OWN = 'the container’s own';
const ROUNDS = 60;
const PLAIN = { keepDirectories: true, keepOwners: false } as const;

type Bare = Pick<TarEntryInput, 'path' | 'type'> & Partial<TarEntryInput> & { text?: string };

async function tarOf(entries: readonly Bare[]): Promise<Buffer> {
  const inputs = entries.map(({ text, ...entry }): TarEntryInput => {
    const content = Buffer.from(text ?? '');
    return { mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, ...entry, ...(entry.type === 'file' && { size: content.length, content: [content] }) };
  });
  return buffer(writeTar(inputs));
}

async function* once(bytes: Buffer): AsyncGenerator<Buffer, void, void> {
  await Promise.resolve();
  yield bytes;
}

/** Code of the refusal, or `done`. What nobody foresaw fails the test. */
async function outcome(work: Promise<unknown>): Promise<string> {
  try {
    await work;
    return 'done';
  } catch (error) {
    if (isCodedError(error) && error.code !== 'internal') return error.code;
    throw error;
  }
}

describe('copying from and to hostile containers', () => {
  let host: ContainerHost;
  let files: ContainerFiles;
  let tenant: TenantId;
  let canary: string;

  beforeAll(async () => {
    host = await openContainerHost('copies');
    files = host.containers.files;
    tenant = await host.newTenant(96 * 1024 * 1024);
    canary = join(host.base, 'canary');
    mkdirSync(canary);
    writeFileSync(join(canary, 'secret'), SECRET);
    await host.importImage(tenant, 'busybox', `mkdir -p .${canary} play/real; echo -n '${OWN}' > .${canary}/secret; echo -n '${OWN}' > play/real/secret; ln -s ${canary} volume`, { Cmd: ['sh'] });
  }, 120_000);
  afterEach(async () => {
    for (const { id } of await host.containers.list(tenant)) await host.containers.remove(tenant, id, { force: true, volumes: true });
    expect({ names: readdirSync(canary), text: readFileSync(join(canary, 'secret'), 'utf8') }).toEqual({ names: ['secret'], text: SECRET });
  });
  afterAll(async () => {
    await host.containers.drop(tenant);
    await host.dispose();
  }, 60_000);

  async function container(command: readonly string[], more: Partial<CreateContainer> = {}, start = true): Promise<string> {
    const { id } = await host.containers.create(tenant, containerOf(command, more));
    if (start) await host.containers.start(tenant, id);
    return id;
  }

  const packed = async (id: string, path: string): Promise<string> => (await buffer((await files.pack(tenant, id, path, { contents: false })).tar)).toString('latin1');
  const read = async (id: string, path: string): Promise<string> => (await buffer((await files.read(tenant, id, path)).bytes)).toString();
  const secretIn = (text: string): boolean => text.includes(Buffer.from(SECRET).toString('latin1')) || text.includes(SECRET);

  it('CVE-2018-15664: a link that is swapped in while a path is resolved leads nowhere out', async () => {
    const swapping = `cd /play; while :; do mv real kept; ln -s ${canary} real; rm real; mv kept real; done`;
    const id = await container(['sh', '-c', swapping]);
    const planted = await tarOf([{ path: 'planted', type: 'file', text: 'planted' }]);
    const seen = new Set<string>();
    for (let round = 0; round < ROUNDS; round += 1) {
      const results = await Promise.all([
        outcome(files.extract(tenant, id, '/play/real', once(planted), PLAIN)),
        outcome(files.write(tenant, id, '/play/real/written', once(Buffer.from('x')), { overwrite: true })),
        outcome(packed(id, '/play/real/').then((text) => { expect(secretIn(text)).toBe(false); })),
        outcome(read(id, '/play/real/secret').then((text) => { expect(text).toBe(OWN); })),
        outcome(files.remove(tenant, id, '/play/real/planted', { recursive: true })),
      ]);
      for (const result of results) seen.add(result);
    }
    expect(seen).toContain('done');
  }, 120_000);

  it('CVE-2019-14271: nothing of the container is loaded', async () => {
    const source = join(host.base, 'hook.c');
    writeFileSync(source, '#include <fcntl.h>\n__attribute__((constructor)) static void hook(void) { open("/owned", O_CREAT | O_WRONLY, 0600); }\n');
    execFileSync('cc', ['-shared', '-fPIC', '-o', join(host.base, 'hook.so'), source]);
    const hook = readFileSync(join(host.base, 'hook.so')).toString('latin1');
    const places = ['lib/libnss_files.so.2', 'lib/x86_64-linux-gnu/libnss_files.so.2', 'lib64/libnss_files.so.2', 'hook.so'];
    const id = await container(['sleep', '1000']);
    const entries: Bare[] = places.map((path) => ({ path, type: 'file', mode: 0o755, size: hook.length, content: [Buffer.from(hook, 'latin1')] }));
    const preload: Bare = { path: 'etc/ld.so.preload', type: 'file', size: 9, content: [Buffer.from('/hook.so\n')] };
    await files.extract(tenant, id, '/', once(await buffer(writeTar([...entries, preload].map((entry) => ({ mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, ...entry }))))), { keepDirectories: true, keepOwners: true });
    for (let round = 0; round < 3; round += 1) {
      await packed(id, '/etc');
      await files.extract(tenant, id, '/tmp', once(await tarOf([{ path: 'x', type: 'file', uid: 1000 }])), PLAIN);
    }
    await expect(files.stat(tenant, id, '/owned')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('CVE-2026-41567: an archive is decompressed by no program of the container', async () => {
    const id = await container(['sh', '-c', 'for each in gzip gunzip pigz unpigz zstd unzstd xz bzip2; do for dir in /bin /usr/bin /sbin /usr/local/bin; do mkdir -p $dir; rm -f $dir/$each; printf "#!/bin/sh\\n: > /owned; cat" > $dir/$each; chmod 755 $dir/$each; done; done; echo ready; exec sleep 1000']);
    while (!(await logText(host, tenant, id)).includes('ready')) await new Promise((resolve) => setTimeout(resolve, 20));
    const tar = await tarOf([{ path: 'unpacked', type: 'file', text: 'x' }]);
    for (const compressed of [gzipSync(tar), zstdCompressSync(tar)]) {
      await files.extract(tenant, id, '/tmp', once(compressed), PLAIN);
      await files.remove(tenant, id, '/tmp/unpacked', { recursive: false });
    }
    expect(await outcome(files.extract(tenant, id, '/tmp', once(Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a, 0x00, 0x00])), PLAIN))).toBe('unsupported');
    await expect(files.stat(tenant, id, '/owned')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('CVE-2026-41568: places for mounts are made inside alone', async () => {
    const mounts: ContainerMount[] = [
      { kind: 'volume', name: 'linked', destination: '/volume', readOnly: false, noCopy: true },
      { kind: 'volume', name: 'deeper', destination: '/volume/deeper/still', readOnly: false, noCopy: true },
    ];
    const id = await container(['sleep', '1000'], { mounts }, false);
    for (let round = 0; round < 3; round += 1) {
      expect(await outcome(files.extract(tenant, id, '/volume', once(await tarOf([{ path: `planted-${round}`, type: 'file', text: 'x' }])), PLAIN))).toBe('done');
      await packed(id, '/volume/');
    }
    expect(existsSync(join(canary, 'deeper'))).toBe(false);
  });

  it('CVE-2026-42306: what a bind mounts is of the tenant, whatever takes its place meanwhile', async () => {
    const swapping = `cd /host; mkdir -p srv/real; echo -n "${OWN}" > srv/real/secret; while :; do mv srv/real srv/kept; ln -s ${canary} srv/real; rm srv/real; mv srv/kept srv/real; done`;
    await container(['sh', '-c', swapping], { mounts: [{ kind: 'bind', hostPath: '/', destination: '/host', create: true, readOnly: false }] });
    const { id } = await host.containers.create(tenant, containerOf(['sleep', '1'], { mounts: [{ kind: 'bind', hostPath: '/srv/real', destination: '/bound', create: true, readOnly: false }] }));
    const planted = await tarOf([{ path: 'planted', type: 'file', text: 'planted' }]);
    for (let round = 0; round < ROUNDS / 4; round += 1) {
      // A link out of the tree, a place that is gone: refused. Never the host's.
      const refusable = (work: Promise<unknown>): Promise<unknown> => work.catch((error: unknown) => error);
      await refusable(files.extract(tenant, id, '/bound', once(planted), PLAIN));
      const text = await refusable(packed(id, '/bound/'));
      if (typeof text === 'string') expect(secretIn(text)).toBe(false);
    }
  }, 120_000);

  describe('hostile archives', () => {
    const through = (name: string): Bare[] => [{ path: 'link', type: 'symlink', linkname: canary }, { path: `link/${name}`, type: 'file', text: 'planted' }];
    it.each<[string, (path: string) => Bare[]]>([
      ['a path that climbs', (path) => [{ path: `../../../../../../..${path}/climbed`, type: 'file', text: 'planted' }]],
      ['an absolute path', (path) => [{ path: `${path}/secret`, type: 'file', text: 'planted' }]],
      ['a file behind a link of its own', () => through('secret')],
      ['a new file behind a link of its own', () => through('planted')],
      ['a hard link to the host', (path) => [{ path: 'stolen', type: 'hardlink', linkname: `${path}/secret` }]],
      ['a hard link through a link', (path) => [{ path: 'link', type: 'symlink', linkname: path }, { path: 'stolen', type: 'hardlink', linkname: 'link/secret' }, { path: 'stolen', type: 'file', text: 'planted' }]],
      ['a directory in the place of a link', (path) => [{ path: 'link', type: 'symlink', linkname: path }, { path: 'link', type: 'directory', mode: 0o777 }]],
      ['a device', () => [{ path: 'disk', type: 'block', devmajor: 7, devminor: 0 }]],
      ['overlayfs’ whiteout', () => [{ path: 'etc', type: 'char', devmajor: 0, devminor: 0 }]],
    ])('%s', async (_name, entries) => {
      const id = await container(['sleep', '1000']);
      for (const into of ['/', '/tmp', canary]) {
        const result = await outcome(files.extract(tenant, id, into, once(await tarOf(entries(canary))), { keepDirectories: false, keepOwners: true }));
        expect(['done', 'invalid_argument', 'not_found', 'conflict', 'permission_denied']).toContain(result);
      }
      expect(secretIn(await packed(id, '/tmp'))).toBe(false);
      expect((await files.list(tenant, id, '/tmp')).filter(({ kind }) => kind === 'block' || kind === 'char')).toEqual([]);
    });
  });

  it('the helper is not seen inside, and sees no host', async () => {
    const id = await container(['sh', '-c', 'while :; do for each in /proc/[0-9]*; do readlink $each/exe 2>&1; tr "\\0" " " < $each/cmdline; done; usleep 20000; done']);
    const watching = new AbortController();
    const events = files.watch(tenant, id, '/tmp', { recursive: true }, watching.signal)[Symbol.asyncIterator]();
    await events.next();
    for (let round = 0; round < 5; round += 1) expect(await read(id, `${canary}/secret`)).toBe(OWN);
    await new Promise((resolve) => setTimeout(resolve, 300));
    watching.abort();
    await events.return?.();
    expect(await logText(host, tenant, id)).not.toContain('sandbar-tree');
    for (const path of ['/proc/1/root/etc/passwd', '/proc/self/exe', '/proc/1/cwd', '/dev/stdin', '/dev/fd/0']) expect(await outcome(read(id, path))).not.toBe('done');
  });
});
