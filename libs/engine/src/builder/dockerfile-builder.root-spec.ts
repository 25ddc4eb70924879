import { mkdtemp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { CodedError, parseReference, silentLogger, systemClock, withDefaultTag, type TenantId } from '#kernel';
import { openContainerHost, type ContainerHost } from '../containers/testing/container-host.js';
import { describeLeftovers } from '../containers/testing/container-requests.js';
import { OverlaySnapshotter } from '../snapshots/index.js';
import { readTar, writeTar, type TarEntryInput } from '../tar/index.js';
import { HelperTrees } from '../tree/index.js';
import { DockerfileBuilder, type BuildEvent, type BuildRequest } from './index.js';

const NEVER = new AbortController().signal;

describe('builds from Dockerfiles', () => {
  let host: ContainerHost;
  let tenant: TenantId;
  let builder: DockerfileBuilder;
  let root: string;
  let trees: HelperTrees;
  let snapshots: OverlaySnapshotter;

  beforeAll(async () => {
    host = await openContainerHost('builder');
    tenant = await host.newTenant(256 * 1024 * 1024);
    await host.importImage(tenant, 'busybox', 'true', { Cmd: ['sh'], Env: ['PATH=/bin'] });
    root = await mkdtemp(join(host.base, 'builds-'));
    trees = new HelperTrees({ program: join(host.base, 'sandbar-tree'), logger: silentLogger });
    snapshots = await OverlaySnapshotter.open(join(host.base, 'snapshots'), { trees });
    builder = open();
    await builder.recover();
  }, 60_000);
  afterAll(() => host.dispose(), 60_000);
  afterEach(async () => {
    expect(await describeLeftovers(host, [tenant])).toEqual([]);
    expect(await readdir(join(root, 'work'))).toEqual([]);
  });

  const open = (): DockerfileBuilder =>
    new DockerfileBuilder({
      root,
      images: host.images,
      transfers: { pull: () => Promise.reject(new CodedError('not_found', 'no registry here')) },
      snapshots,
      trees,
      containers: host.containers,
      processes: host.containers.processes,
      volumes: host.volumes,
      fetchUrl: () => Promise.reject(new CodedError('unavailable', 'no network here')),
      clock: systemClock,
      logger: silentLogger,
    });

  const file = (path: string, text: string, more: Partial<TarEntryInput> = {}): TarEntryInput => {
    const bytes = Buffer.from(text);
    return { path, type: 'file', mode: 0o644, uid: 1234, gid: 1234, mtimeNs: 0n, size: bytes.length, content: [bytes], ...more };
  };

  interface Built {
    readonly imageId: string;
    readonly events: readonly BuildEvent[];
    readonly output: string;
    readonly cached: readonly number[];
  }

  async function build(dockerfile: string, { files = [], signal = NEVER, report, ...request }: Partial<BuildRequest> & { readonly files?: readonly TarEntryInput[]; readonly signal?: AbortSignal; readonly report?: (event: BuildEvent) => void } = {}): Promise<Built> {
    const events: BuildEvent[] = [];
    const whole: BuildRequest = { buildArgs: new Map(), labels: new Map(), tags: [], noCache: false, pull: false, network: 'none', limits: {}, authOf: () => undefined, ...request };
    const context = writeTar([file('Dockerfile', dockerfile), ...files]);
    const { imageId } = await builder.build(tenant, whole, context, (event) => {
      events.push(event);
      report?.(event);
      return Promise.resolve();
    }, signal);
    return { imageId, events, output: events.map((event) => (event.kind === 'log' ? event.text : '')).join(''), cached: events.flatMap((event) => (event.kind === 'cached' ? [event.step] : [])) };
  }

  async function filesOf(imageId: string): Promise<Map<string, string>> {
    const { chainId } = await host.images.resolve(tenant, imageId);
    const found = new Map<string, string>();
    for await (const entry of readTar(snapshots.packTree(chainId, undefined))) {
      const chunks: Uint8Array[] = [];
      for await (const chunk of entry.content) chunks.push(chunk);
      found.set(entry.path.replace(/\/$/, ''), `${entry.type} ${entry.mode.toString(8)} ${entry.uid}:${entry.gid} ${Buffer.concat(chunks).toString()}`);
    }
    return found;
  }

  it('runs commands in what came before, and keeps config, history and files', async () => {
    const tags = [withDefaultTag(parseReference('app:1'))];
    const { imageId, output } = await build('FROM busybox\nENV A=one\nWORKDIR /srv/app\nRUN echo "$A in $(pwd)"; echo $A > made\nCMD ["cat", "made"]\n', { tags });
    expect(output).toBe('one in /srv/app\n');
    const record = await host.images.resolve(tenant, 'app:1');
    expect(record.id).toBe(imageId);
    expect(record.config.config).toMatchObject({ Env: ['PATH=/bin', 'A=one'], WorkingDir: '/srv/app', Cmd: ['cat', 'made'] });
    expect((await filesOf(imageId)).get('srv/app/made')).toBe('file 644 0:0 one\n');
    expect((await host.images.history(tenant, imageId)).map(({ createdBy }) => createdBy.replace(/; echo \$A.*/, '')).slice(0, 4)).toEqual(['/bin/sh -c #(nop)  CMD ["cat" "made"]', '/bin/sh -c echo "$A in $(pwd)"', '/bin/sh -c #(nop) WORKDIR /srv/app', '/bin/sh -c #(nop)  ENV A=one']);
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
    ['RUN --mount=type=secret,id=s true', '--mount=type=secret is not supported by this server'],
    ['RUN --network=host true', 'the network of the host is not open to builds on this server'],
    ['ADD https://example.org/x.git /x', 'adding a Git repository is not supported by this server'],
    ['FROM --platform=linux/s390x busybox', 'building for the platform linux/s390x is not supported by this server: it builds for '],
    ['NONSENSE', 'dockerfile parse error on line 2, column 1: unknown instruction: NONSENSE'],
  ])('refuses %s', async (line, message) => {
    await expect(build(`FROM busybox\n${line}\n`)).rejects.toThrow(message);
  });

  it('carries out what a base has left for those who build on it, once', async () => {
    await build('FROM busybox\nONBUILD RUN echo triggered > /triggered\nONBUILD ENV C=3\n', { tags: [withDefaultTag(parseReference('base'))] });
    const { imageId } = await build('FROM base\nENV D=4\n');
    const { config } = await host.images.resolve(tenant, imageId);
    expect(config.config.OnBuild).toBeUndefined();
    expect(config.config.Env).toEqual(['PATH=/bin', 'C=3', 'D=4']);
    expect((await filesOf(imageId)).get('triggered')).toMatch(/triggered\n$/);
  });

  it('forgets its steps, and what of their images has no name, when it is pruned', async () => {
    await build('FROM busybox\nRUN echo pruned > /pruned\n');
    const before = (await host.images.list(tenant)).length;
    const { removed } = await builder.prune(tenant);
    expect(removed.length).toBeGreaterThan(0);
    expect((await host.images.list(tenant)).length).toBe(before - removed.length);
    expect((await build('FROM busybox\nRUN echo pruned > /pruned\n')).cached).toEqual([]);
  });
});

async function collected(bytes: AsyncIterable<Buffer>): Promise<Buffer[]> {
  const chunks: Buffer[] = [];
  for await (const chunk of bytes) chunks.push(chunk);
  return chunks;
}
