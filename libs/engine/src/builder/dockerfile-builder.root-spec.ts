import { setTimeout as sleep } from 'node:timers/promises';
import { jest } from '@jest/globals';
import { parseReference, withDefaultTag } from '#kernel';
import { writeTar } from '../tar/index.js';
import { BuildHost, collected, file } from './testing/build-host.contract.js';

describe('builds from Dockerfiles', () => {
  let host: BuildHost;

  beforeAll(async () => {
    host = await BuildHost.open();
  }, 60_000);
  afterAll(() => host.close(), 60_000);
  afterEach(() => host.expectNothingLeft());

  const build: BuildHost['build'] = (...args) => host.build(...args);
  const filesOf: BuildHost['filesOf'] = (imageId) => host.filesOf(imageId);

  it('runs commands in what came before, and keeps config, history and files', async () => {
    const tags = [withDefaultTag(parseReference('app:1'))];
    const { imageId, output } = await build('FROM busybox\nENV A=one\nWORKDIR /srv/app\nRUN echo "$A in $(pwd)"; echo $A > made\nCMD ["cat", "made"]\n', { tags });
    expect(output).toBe('one in /srv/app\n');
    const record = await host.images.resolve(host.tenant, 'app:1');
    expect(record.id).toBe(imageId);
    expect(record.config.config).toMatchObject({ Env: ['PATH=/bin', 'A=one'], WorkingDir: '/srv/app', Cmd: ['cat', 'made'] });
    expect((await filesOf(imageId)).get('srv/app/made')).toBe('file 644 0:0 one\n');
    expect((await host.images.history(host.tenant, imageId)).map(({ createdBy }) => createdBy.replace(/; echo \$A.*/, '')).slice(0, 4)).toEqual(['/bin/sh -c #(nop)  CMD ["cat" "made"]', '/bin/sh -c echo "$A in $(pwd)"', '/bin/sh -c #(nop) WORKDIR /srv/app', '/bin/sh -c #(nop)  ENV A=one']);
  });

  it('copies from the context as root, from other stages as it is there, and to whom it is told', async () => {
    const { imageId } = await build('FROM busybox AS one\nRUN mkdir /out && echo x > /out/x && chown 7:8 /out/x && ln -s /out/x /link\nFROM busybox\nCOPY a /to/\nCOPY --chown=app b /b\nCOPY --from=one /out /out\nCOPY --from=one /link /followed\nADD packed.tar /packed/\n', {
      files: [file('a', 'A'), file('b', 'B'), file('packed.tar', Buffer.concat(await collected(writeTar([file('in/it', 'it')]))).toString('latin1'))],
    });
    const files = await filesOf(imageId);
    expect(['to/a', 'b', 'out/x', 'followed', 'packed/in/it'].map((path) => files.get(path))).toEqual(['file 644 0:0 A', 'file 644 1000:1000 B', 'file 644 7:8 x\n', 'file 644 7:8 x\n', 'file 644 1234:1234 it']);
  });

  it('knows its steps again, touched files or not, until something they are made of changes', async () => {
    const dockerfile = (value: string): string => `FROM busybox\nENV B=${value}\nCOPY a /a\nRUN cat /a\n`;
    const first = await build(dockerfile('1'), { files: [file('a', 'x')] });
    const again = await build(dockerfile('1'), { files: [file('a', 'x', { mtimeNs: 99_000_000_000n })] });
    expect([again.imageId, again.cached]).toEqual([first.imageId, [2, 3, 4]]);
    expect((await build(dockerfile('1'), { files: [file('a', 'y')] })).cached).toEqual([2]);
    expect((await build(dockerfile('2'), { files: [file('a', 'x')] })).cached).toEqual([]);
    expect((await build(dockerfile('1'), { files: [file('a', 'x')], noCache: true })).cached).toEqual([]);
  });

  it('makes no layer of a command that changes nothing, and one of what is said of the root alone', async () => {
    const layersOf = async (lines: string): Promise<number> => (await host.images.resolve(host.tenant, (await build(`FROM busybox\nRUN true\n${lines}`)).imageId)).config.rootfs.diff_ids.length;
    const before = await layersOf('');
    expect(await layersOf('RUN true again\nRUN --mount=type=tmpfs,target=/gone echo lost > /gone/it\n')).toBe(before);
    expect(await layersOf('RUN chmod 711 /\n')).toBe(before + 1);
    expect(await layersOf('RUN rm /bin/sh\n')).toBe(before + 1);
    const { imageId } = await build('FROM busybox\nRUN true\n');
    expect((await host.images.resolve(host.tenant, imageId)).config.history?.at(-1)).toMatchObject({ created_by: '/bin/sh -c true' });
    expect((await filesOf((await build('FROM busybox\nRUN chmod 711 /\n')).imageId)).get('.')).toBe('directory 711 0:0 ');
  });

  it('goes on while what a step has left goes, and ends when it has gone', async () => {
    const { containers } = host.host;
    const removed: string[] = [];
    const order: string[] = [];
    const remove = containers.remove.bind(containers);
    const slow = jest.spyOn(containers, 'remove');
    slow.mockImplementation(async (tenant, id, options) => {
      await sleep(300);
      await remove(tenant, id, options);
      order.push('gone');
      removed.push(id);
    });
    try {
      const { events } = await build('FROM busybox\nRUN echo 1 > a\nRUN echo 2 > b\nRUN echo 3 > c\n', { noCache: true, report: ({ kind }) => { order.push(kind); } });
      await host.expectNothingLeft();
      expect(removed).toEqual(events.flatMap((event) => (event.kind === 'running' ? [event.containerId] : [])));
      expect(order.indexOf('gone')).toBeGreaterThan(order.indexOf('running', order.indexOf('running') + 1));
      expect(order.lastIndexOf('gone')).toBeLessThan(order.indexOf('built'));
      // What cannot be taken away is told, not left.
      slow.mockImplementationOnce(() => Promise.reject(new Error('it stays')));
      await expect(build('FROM busybox\nRUN echo 1 > a\nRUN echo 2 > b\n', { noCache: true, report: (event) => { if (event.kind === 'running') removed.push(event.containerId); } })).rejects.toThrow('it stays');
    } finally {
      slow.mockRestore();
    }
    for (const id of new Set(removed)) await containers.remove(host.tenant, id, { force: true, volumes: true }).catch(() => undefined);
  });

  it('fails with the command that failed, and goes on from there the next time', async () => {
    await expect(build('FROM busybox\nRUN echo kept > /kept\nRUN exit 7\n')).rejects.toMatchObject({ code: 'invalid_argument', message: "The command '/bin/sh -c exit 7' returned a non-zero code: 7", details: { exitCode: 7 } });
    expect((await build('FROM busybox\nRUN echo kept > /kept\nRUN exit 0\n')).cached).toEqual([2]);
  });

  it('ends in the middle of a command when it is cancelled', async () => {
    const cancelling = new AbortController();
    const over = build('FROM busybox\nRUN echo begun; sleep 100\n', {
      signal: cancelling.signal,
      report: (event) => {
        if (event.kind === 'log') cancelling.abort();
      },
    });
    await expect(over).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('runs documents, mounts caches and folders, and leaves nothing of them in the image', async () => {
    const dockerfile = 'FROM busybox\nRUN <<EOF\necho doc > /doc\nEOF\nRUN <<-FILE\n\t#!/bin/sh\n\techo script > /script\n\tFILE\nRUN --mount=type=cache,target=/cache echo once >> /cache/n; wc -l < /cache/n > /count\nRUN --mount=type=bind,source=dir,target=/seen cat /seen/f > /copied\nRUN --mount=type=tmpfs,target=/scratch echo lost > /scratch/lost\n';
    const { imageId } = await build(dockerfile, { files: [file('dir/f', 'F')] });
    const files = await filesOf(imageId);
    expect(['doc', 'script', 'count', 'copied'].map((path) => files.get(path)?.split(' ').at(-1))).toEqual(['doc\n', 'script\n', '1\n', 'F']);
    expect(['cache/n', 'seen/f', 'scratch/lost', '.build-script'].filter((path) => files.has(path))).toEqual([]);
    const again = await build(dockerfile, { files: [file('dir/f', 'F')], noCache: true });
    expect((await filesOf(again.imageId)).get('count')).toMatch(/2\n$/);
  });

  it.each([
    ['COPY ../x /', 'COPY failed: forbidden path outside the build context: ../x ()'],
    ['COPY nothing /', 'COPY failed: file not found in build context or excluded by .dockerignore: stat nothing: file does not exist'],
    ['COPY --from=nowhere /a /a', 'no registry here'],
    ['RUN --mount=type=secret,id=s,required true', 'secret s: not found'],
    ['RUN --mount=type=ssh,required true', '--mount=type=ssh is not supported by this server'],
    ['RUN --network=host true', 'the network of the host is not open to builds on this server'],
    ['ADD https://example.org/x.git /x', 'no repository here'],
    ['COPY https://example.org/x.git /x', "source can't be a URL for COPY"],
    ['FROM --platform=linux/s390x busybox', 'building for the platform linux/s390x is not supported by this server: it builds for '],
    ['NONSENSE', 'dockerfile parse error on line 2, column 1: unknown instruction: NONSENSE'],
  ])('refuses %s', async (line, message) => {
    await expect(build(`FROM busybox\n${line}\n`)).rejects.toThrow(message);
  });

  it('carries out what a base has left for those who build on it, once', async () => {
    await build('FROM busybox\nONBUILD RUN echo triggered > /triggered\nONBUILD ENV C=3\n', { tags: [withDefaultTag(parseReference('base'))] });
    const { imageId } = await build('FROM base\nENV D=4\n');
    const { config } = await host.images.resolve(host.tenant, imageId);
    expect(config.config.OnBuild).toBeUndefined();
    expect(config.config.Env).toEqual(['PATH=/bin', 'C=3', 'D=4']);
    expect((await filesOf(imageId)).get('triggered')).toMatch(/triggered\n$/);
  });

  it('forgets its steps, and what of their images has no name, when it is pruned', async () => {
    await build('FROM busybox\nRUN echo pruned > /pruned\n');
    const images = async (): Promise<string[]> => (await host.images.list(host.tenant)).map(({ id }) => id.replace('sha256:', '')).sort();
    const before = await images();
    const { removed } = await host.builder.prune(host.tenant);
    const left = before.filter((id) => !removed.includes(id));
    expect(left.length).toBeLessThan(before.length);
    expect(await images()).toEqual(left);
    expect((await build('FROM busybox\nRUN echo pruned > /pruned\n')).cached).toEqual([]);
  });
});
