import { readFile, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { BuildHost, file } from './testing/build-host.contract.js';

const SECRET = 'correct horse battery staple';
const secrets = new Map([['pass', Buffer.from(`${SECRET}\n`)]]);

describe('mounts of RUN', () => {
  let host: BuildHost;

  beforeAll(async () => {
    host = await BuildHost.open('run-mounts');
  }, 60_000);
  afterAll(() => host.close(), 60_000);
  afterEach(() => host.expectNothingLeft());

  /** Every byte that the node keeps: blobs, unpacked layers, records, the cache and the tenants' disks. */
  async function keeps(text: string): Promise<string[]> {
    const found: string[] = [];
    for (const entry of await readdir(host.host.base, { withFileTypes: true, recursive: true })) {
      if (!entry.isFile()) continue;
      const path = join(entry.parentPath, entry.name);
      const bytes = await readFile(path).catch(() => Buffer.alloc(0));
      if ([bytes, inflated(bytes)].some((each) => each.includes(text))) found.push(path);
    }
    return found;
  }

  function inflated(bytes: Buffer): Buffer {
    try {
      return bytes.readUInt32LE(0) === 0xfd2fb528 ? zstdDecompressSync(bytes) : bytes.readUInt16BE(0) === 0x1f8b ? gunzipSync(bytes) : bytes;
    } catch {
      return bytes;
    }
  }

  it('show a secret where it was asked for, and keep it nowhere', async () => {
    const dockerfile = [
      'FROM busybox',
      'RUN mkdir -p /home && echo kept > /home/other && echo shadowed > /home/conf',
      'RUN --mount=type=secret,id=pass stat -L -c "%a %u %g" /run/secrets/pass; wc -c < /run/secrets/pass; cat /run/secrets/pass; touch /after',
      'RUN --mount=type=secret,id=pass,target=/home/conf,mode=0440,uid=7,gid=8 stat -L -c "%a %u %g" /home/conf; cat /home/other; sed s/horse/cow/ /home/conf',
      'RUN --mount=type=secret,id=pass,target=/etc/new/folder/conf test -s /etc/new/folder/conf',
      'RUN --mount=type=secret,id=pass,env=PASS test -n "$PASS" && test ! -e /run/secrets/pass && echo "it is $PASS." && echo ${PASS%le*}',
      'RUN --mount=type=secret,id=pass grep -rl horse /run/secrets /proc/self/environ; ls -A /',
      'RUN --mount=type=secret,id=other test ! -e /run/secrets/other',
      '',
    ].join('\n');
    const { imageId, output, events } = await host.build(dockerfile, { secrets });
    expect(output.split('\n').slice(0, 9)).toEqual(['400 0 0', '29', '***', '440 7 8', 'kept', 'correct cow battery staple', 'it is ***', '.', 'correct horse battery stap']);
    const files = await host.filesOf(imageId);
    expect([...files.keys()].filter((path) => /secret|etc\/new|^run/.test(path))).toEqual([]);
    expect(['home/conf', 'home/other', 'after'].map((path) => files.get(path)?.split(' ').at(-1))).toEqual(['shadowed\n', 'kept\n', '']);
    expect(JSON.stringify([events.filter(({ kind }) => kind !== 'log'), await host.images.history(host.tenant, imageId)])).not.toContain(SECRET);
    expect(await keeps(SECRET)).toEqual([]);
    expect(await keeps('shadowed')).not.toEqual([]);
    // Another value is no other step.
    expect((await host.build(dockerfile, { secrets: new Map([['pass', Buffer.from('changed')]]) })).cached).toEqual([2, 3, 4, 5, 6, 7, 8]);
  }, 60_000);

  it('give a cache the first content, mode and owner that it asks for, once', async () => {
    const run = (options: string, command: string): string => `FROM busybox AS source\nRUN mkdir -p /seed/deep && echo seed > /seed/deep/file\nFROM busybox\nRUN --mount=type=cache,target=/c,${options} ${command}\n`;
    const owned = 'id=owned,mode=0700,uid=12,gid=13';
    expect((await host.build(run(owned, 'stat -c "%a %u %g" /c; touch /c/mine'))).output).toBe('700 12 13\n');
    expect((await host.build(run(owned, 'ls /c'))).output).toBe('mine\n');
    expect((await host.build(run('id=owned', 'stat -c "%a %u %g" /c; ls /c'))).output).toBe('755 0 0\n');
    const seeded = 'id=seeded,from=source,source=/seed';
    expect((await host.build(run(seeded, 'cat /c/deep/file; echo changed > /c/deep/file'))).output).toBe('seed\n');
    const { output, imageId } = await host.build(run(seeded, 'cat /c/deep/file #again'));
    expect(output).toBe('changed\n');
    expect((await host.filesOf(imageId)).has('c')).toBe(false);
    expect((await host.build(run('id=seeded,ro', 'touch /c/x 2>&1 || true'))).output).toMatch(/Read-only file system/);
  }, 60_000);

  it('bind files and folders of the context, a stage or an image, read-only or to be lost', async () => {
    const dockerfile = [
      'FROM busybox AS source',
      'RUN mkdir /out && echo built > /out/file && chmod 640 /out/file && chown 5:6 /out/file',
      'FROM busybox',
      'RUN --mount=type=bind,source=package.json,target=package.json cat package.json && ! touch package.json 2>&1',
      'RUN --mount=type=bind,target=/all,rw cat /all/package.json && echo lost > /all/package.json && ls /all',
      'RUN --mount=type=bind,from=source,source=/out/file,target=/deep/er/file stat -c "%a %u %g" /deep/er/file',
      'RUN --mount=type=bind,from=source,source=/out,target=/out cat /out/file',
      'RUN --mount=type=tmpfs,target=/t,size=1m dd if=/dev/zero of=/t/x bs=1k count=2000 2>&1 | grep -o "No space left"',
      '',
    ].join('\n');
    const files = [file('package.json', '{}\n'), file('dir/f', 'F')];
    const { output, imageId } = await host.build(dockerfile, { files });
    expect(output).toBe('{}\ntouch: package.json: Read-only file system\n{}\nDockerfile\ndir\npackage.json\n640 5 6\nbuilt\nNo space left\n');
    const left = await host.filesOf(imageId);
    expect(['package.json', 'all', 'deep', 'out', 't'].filter((path) => left.has(path))).toEqual([]);
    expect((await host.build(dockerfile, { files: [file('package.json', '{ }\n'), file('dir/f', 'F')] })).cached).toEqual([2]);
    await expect(host.build('FROM busybox\nRUN --mount=type=bind,source=none,target=/x true\n')).rejects.toMatchObject({ code: 'not_found' });
  }, 60_000);
});
