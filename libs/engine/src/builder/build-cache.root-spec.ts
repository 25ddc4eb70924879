import { parseReference, withDefaultTag } from '#kernel';
import { BuildHost, file } from './testing/build-host.contract.js';

describe('what builds keep', () => {
  let host: BuildHost;

  beforeAll(async () => {
    host = await BuildHost.open('build-cache');
  }, 60_000);
  afterAll(() => host.close(), 60_000);
  afterEach(async () => {
    await host.expectNothingLeft();
    await host.builder.prune(host.tenant);
  });

  const DOCKERFILE = 'FROM busybox\nENV A=1\nRUN dd if=/dev/zero of=/big bs=1k count=100 2>/dev/null\nRUN --mount=type=cache,id=downloads,target=/c dd if=/dev/zero of=/c/kept bs=1k count=200 2>/dev/null\n';

  it('is told step by step with what each takes, and how often it was of use', async () => {
    await host.build(DOCKERFILE);
    await host.build(DOCKERFILE);
    const records = await host.builder.cacheRecords(host.tenant);
    expect(records.map(({ kind, description, sizeBytes, uses, inUse, shared }) => [kind, description.slice(0, 40), sizeBytes >= 102_400, uses, inUse, shared])).toEqual([
      ['step', '/bin/sh -c #(nop)  ENV A=1', false, 1, false, false],
      ['step', '/bin/sh -c dd if=/dev/zero of=/big bs=1k', true, 1, false, false],
      ['step', '/bin/sh -c dd if=/dev/zero of=/c/kept bs', false, 1, false, false],
      ['mount', 'cached mount downloads', true, 1, false, false],
    ]);
    expect(records.map(({ parent }) => parent)).toEqual([undefined, records[0]?.id, records[1]?.id, undefined]);
    expect(await host.builder.cacheRecords(await host.host.newTenant())).toEqual([]);
  });

  it('goes as it is chosen: what stands on it goes first, what is named stays', async () => {
    await host.build(DOCKERFILE);
    // Something stands on it that is not chosen.
    expect((await host.builder.prune(host.tenant, { accepts: ({ description }) => description.includes('/big') })).removed).toEqual([]);
    expect((await host.builder.prune(host.tenant, { accepts: ({ kind }) => kind === 'mount' })).reclaimedBytes).toBeGreaterThan(200_000);
    await host.build('FROM busybox\nENV A=1\n', { tags: [withDefaultTag(parseReference('named'))] });
    expect((await host.builder.cacheRecords(host.tenant)).map(({ shared }) => shared)).toEqual([true, false, false]);
    const { removed, reclaimedBytes } = await host.builder.prune(host.tenant, { accepts: () => true });
    expect([removed.length, reclaimedBytes]).toEqual([2, 102_400]);
    expect((await host.build(DOCKERFILE)).cached).toEqual([2]);
    await host.images.remove(host.tenant, 'named', { force: true, keepParents: true });
  });

  it('goes from what was used longest ago until no more is left than is to stay', async () => {
    const step = (name: string): string => `FROM busybox\nRUN dd if=/dev/zero of=/${name} bs=1k count=100 2>/dev/null\n`;
    for (const name of ['one', 'two', 'three']) await host.build(step(name));
    await host.build(step('one'));
    expect((await host.builder.prune(host.tenant, { keepBytes: 250_000 })).removed).toHaveLength(1);
    const kept = await Promise.all(['one', 'three', 'two'].map(async (name) => (await host.build(step(name))).cached));
    expect(kept).toEqual([[2], [2], []]);
  });

  it('is each tenant’s own', async () => {
    const other = await host.host.newTenant();
    await host.host.importImage(other, 'busybox', 'true', { Cmd: ['sh'], Env: ['PATH=/bin'] });
    await host.build('FROM busybox\nRUN echo mine > /x\n');
    expect((await host.build('FROM busybox\nRUN echo mine > /x\n', { tenant: other })).cached).toEqual([]);
    await host.builder.prune(other);
    expect((await host.build('FROM busybox\nRUN echo mine > /x\n')).cached).toEqual([2]);
    await host.expectNothingLeft([other]);
  });

  it('counts again what has changed: content, modes and owners, and nothing that only was touched', async () => {
    const build = (more: object, line = 'COPY a /a') => host.build(`FROM busybox\nRUN echo first\n${line}\nRUN cat /a /b 2>/dev/null; true\n`, { files: [file('a', 'x', more)] });
    await build({});
    expect((await build({ mtimeNs: 5_000_000_000n })).cached).toEqual([2, 3, 4]);
    expect((await build({ mode: 0o600 })).cached).toEqual([2]);
    expect((await build({ uid: 9 })).cached).toEqual([2, 3, 4]);
    expect((await build({}, 'COPY --chown=1:2 a /a')).cached).toEqual([2]);
    expect((await build({}, 'COPY --chmod=755 a /a')).cached).toEqual([2]);
    expect((await build({}, 'COPY a /b')).cached).toEqual([2]);
  });
});
