import { setTimeout as sleep } from 'node:timers/promises';
import type { BuildEvent } from './index.js';
import { BuildHost, file } from './testing/build-host.contract.js';

const MIB = 1024 * 1024;

/** Each leaves nothing behind: containers, snapshots, mounts, holds, files, processes. */
describe('builds that are made to harm', () => {
  let host: BuildHost;

  beforeAll(async () => {
    host = await BuildHost.open('hostile-builds');
  }, 60_000);
  afterAll(() => host.close(), 60_000);
  afterEach(() => host.expectNothingLeft());

  it('print a gigabyte to one who reads slowly, and take no more memory by it', async () => {
    const over = new AbortController();
    let [bytes, most] = [0, 0];
    const before = process.memoryUsage.rss();
    const build = host.build('FROM busybox\nRUN yes 0123456789012345678901234567890123456789012345678901234567890 | head -c 1073741824\n', {
      signal: over.signal,
      report: async (event: BuildEvent) => {
        if (event.kind !== 'log') return;
        bytes += event.text.length;
        most = Math.max(most, process.memoryUsage.rss() - before);
        // Somebody who takes a megabyte now and then: what is printed waits.
        if (bytes % (8 * MIB) < event.text.length) await sleep(20);
        if (bytes > 96 * MIB) over.abort();
      },
      // Its own events are kept by the test: no more than this.
    });
    await expect(build).rejects.toMatchObject({ code: 'cancelled' });
    expect(most).toBeLessThan(400 * MIB);
  }, 120_000);

  it('fork without end, and end at their limit', async () => {
    await expect(host.build('FROM busybox\nRUN bomb() { bomb | bomb & }; bomb; wait; for i in $(seq 200); do sleep 60 & done; exit 9\n', { limits: { pids: 32 } })).rejects.toMatchObject({ code: 'invalid_argument', message: expect.stringContaining('returned a non-zero code') as string });
  }, 60_000);

  it('take more memory than they may', async () => {
    await expect(host.build("FROM busybox\nRUN dd if=/dev/zero of=/dev/null bs=64M count=1\n", { limits: { memoryBytes: 16 * MIB } })).rejects.toMatchObject({ message: expect.stringContaining('returned a non-zero code: 137') as string });
  }, 60_000);

  it('fill the disk of their tenant, and say so', async () => {
    const { output } = await host.build('FROM busybox\nRUN dd if=/dev/zero of=/full bs=1M count=2000 2>&1 | grep -o "No space left on device"; rm -f /full\n');
    expect(output).toBe('No space left on device\n');
    await expect(host.build('FROM busybox\nRUN dd if=/dev/zero of=/full bs=1M count=2000\n')).rejects.toMatchObject({ message: expect.stringContaining('returned a non-zero code: 1') as string });
  }, 60_000);

  it('sleep for ever, until somebody ends them at any moment', async () => {
    const dockerfile = 'FROM busybox AS one\nCOPY a /a\nRUN sleep 1000\nFROM busybox\nCOPY --from=one /a /a\nRUN sleep 1000\n';
    for (const kind of ['step', 'running'] as const) {
      const over = new AbortController();
      const build = host.build(dockerfile, { files: [file('a', 'x')], signal: over.signal, report: (event) => { if (event.kind === kind) over.abort(); } });
      await expect(build).rejects.toMatchObject({ code: 'cancelled' });
      await host.expectNothingLeft();
    }
    await expect(host.build(dockerfile, { signal: AbortSignal.abort() })).rejects.toMatchObject({ code: 'cancelled' });
  }, 60_000);

  it.each([
    ['leaves the context', [file('../out', 'x')], /leaves it/],
    ['is a file and a folder', [file('a', 'x'), { path: 'a/', type: 'directory', mode: 0o755, uid: 0, gid: 0, mtimeNs: 0n } as const], /as a directory and as a file/],
    ['links to what is not there', [{ path: 'a', type: 'hardlink', mode: 0o644, uid: 0, gid: 0, mtimeNs: 0n, linkname: '/etc/shadow' } as const], /links to what is no file of it/],
    ['leads out by a link', [{ path: 'a', type: 'symlink', mode: 0o777, uid: 0, gid: 0, mtimeNs: 0n, linkname: '/etc/shadow' } as const], /file not found in build context/],
    ['goes in a circle', [{ path: 'a', type: 'symlink', mode: 0o777, uid: 0, gid: 0, mtimeNs: 0n, linkname: 'a' } as const], /too many links/],
  ])('a context that %s', async (_, files, message) => {
    await expect(host.build('FROM busybox\nCOPY a /a\n', { files })).rejects.toThrow(message);
  });

  it('read a link of an earlier stage inside that stage alone', async () => {
    const { imageId } = await host.build('FROM busybox AS one\nRUN ln -s /etc/passwd-own /link; ln -s ../../../../../../etc/passwd /up; echo own > /etc/passwd-own\nFROM busybox\nCOPY --from=one /link /up /out/\n');
    const files = await host.filesOf(imageId);
    expect(files.get('out/link')).toBe('file 644 0:0 own\n');
    expect(files.get('out/up')).toBe((await host.filesOf((await host.build('FROM busybox\nENV X=1\n')).imageId)).get('etc/passwd'));
  }, 60_000);

  it('a context that is no archive, and a Dockerfile that is none', async () => {
    await expect(host.build('FROM busybox\n', { dockerfile: '../../etc/passwd' })).rejects.toThrow('Cannot locate specified Dockerfile: ../../etc/passwd');
    await expect(host.build('FROM busybox\nRUN true\n', { target: 'nowhere' })).rejects.toThrow('target stage "nowhere" could not be found');
    await expect(host.build('FROM busybox\nCOPY --from=nowhere a /a\n')).rejects.toMatchObject({ code: 'not_found' });
  });
});
