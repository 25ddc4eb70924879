import { CodedError, parseReference, withDefaultTag, type TenantId } from '#kernel';
import { BuildHost, file, type BuildCall, type Built } from './testing/build-host.contract.js';
import { MovedImages } from './testing/moved-images.contract.js';

const MEMBER = 'sandbar.build.cache.v1';

/** What `RUN` writes is never the same twice. */
const DOCKERFILE = `FROM busybox AS tools
RUN mkdir /out && echo tool > /out/tool
FROM busybox
LABEL of=app
ENV A=1
WORKDIR /srv/app
COPY a /srv/app/
RUN cat /proc/sys/kernel/random/uuid > /random
COPY --from=tools /out/tool /bin/tool
COPY b /srv/app/
RUN cat /proc/sys/kernel/random/uuid > /last
CMD ["cat", "/random"]
`;
/** Steps of the last stage, without its FROM. */
const LAST = [4, 5, 6, 7, 8, 9, 10, 11, 12];

describe('--cache-from', () => {
  let host: BuildHost;
  let moved: MovedImages;
  let other: TenantId;
  /** Of the host's own tenant, under the name `app`. */
  let imageId: string;

  beforeAll(async () => {
    host = await BuildHost.open('cache-import');
    moved = await MovedImages.open(host);
    other = await host.host.newTenant(256 * 1024 * 1024);
    await moved.move('busybox', host.tenant, other);
    ({ imageId } = await build(host.tenant, named('app')));
  }, 60_000);
  beforeEach(() => moved.move('app', host.tenant, other));
  afterAll(() => host.close(), 60_000);
  afterEach(async () => {
    await host.expectNothingLeft([host.tenant, other]);
    await host.images.prune(other, { all: true, accepts: ({ tags }) => !tags.some((tag) => tag.includes('busybox')) });
    await host.builder.prune(other);
  });

  const build = (tenant: TenantId, { b = 'b', dockerfile = DOCKERFILE, ...call }: BuildCall & { readonly b?: string; readonly dockerfile?: string } = {}): Promise<Built> =>
    host.build(dockerfile, { tenant, files: [file('a', 'a'), file('b', b)], ...call });
  const named = (name: string): Pick<BuildCall, 'tags'> => ({ tags: [withDefaultTag(parseReference(name))] });
  const warnings = ({ events }: Built): string[] => events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []));

  /** What the other takes from an image that the owner of the original has tampered with. */
  async function takenOf(edit: Parameters<MovedImages['rewrite']>[2]): Promise<Built> {
    await moved.rewrite(other, 'app', edit);
    return build(other, { cacheFrom: ['app'] });
  }

  it('takes every step of another tenant’s image, whose ID it comes to', async () => {
    const again = await build(other, { cacheFrom: ['app'], ...named('mine') });
    expect([again.cached, again.imageId, warnings(again)]).toEqual([LAST, imageId, []]);
    expect((await host.images.history(other, 'mine')).map(({ id }) => id !== undefined)).toEqual([...LAST.map(() => true), true]);
    // What came of it on the way goes with it.
    await host.images.remove(other, 'app', { force: false, keepParents: false });
    await host.images.remove(other, 'mine', { force: false, keepParents: false });
    expect((await host.images.list(other)).flatMap(({ tags, config }) => (tags.length === 0 ? [config.history?.at(-1)?.created_by] : []))).toEqual(['/bin/sh -c mkdir /out && echo tool > /out/tool']);
  });

  it('carries out from the first step on that is another, on top of what it took', async () => {
    const changed = await build(other, { b: 'other', cacheFrom: ['app'] });
    expect(changed.cached).toEqual([4, 5, 6, 7, 8, 9]);
    const [there, here] = await Promise.all([host.filesOf(imageId), host.filesOf(changed.imageId, other)]);
    expect(here.get('random')).toBe(there.get('random'));
    expect(here.get('last')).not.toBe(there.get('last'));
    const [one, two] = [await host.images.resolve(host.tenant, imageId), await host.images.resolve(other, changed.imageId)];
    expect(two.config.history?.slice(0, -3)).toEqual(one.config.history?.slice(0, -3));
    expect(two.config.rootfs.diff_ids.slice(0, -2)).toEqual(one.config.rootfs.diff_ids.slice(0, -2));
    // Its own steps are known where their turn comes.
    expect((await build(other, { b: 'other', cacheFrom: ['app'] })).cached).toEqual([2, ...LAST]);
  });

  it('is for the build that names the image: no other has anything of it', async () => {
    await build(other, { cacheFrom: ['app'] });
    const without = await build(other);
    expect(without.cached).toEqual([2]);
    const none = await build(other, { cacheFrom: ['app'], noCache: true });
    expect([none.cached, none.events.filter(({ kind }) => kind === 'cached')]).toEqual([[], []]);
  });

  it('comes before what the tenant has built itself, on which the image’s further steps could not stand', async () => {
    await build(other, { b: 'earlier' });
    const again = await build(other, { cacheFrom: ['app'] });
    expect([again.cached, again.imageId]).toEqual([[2, ...LAST], imageId]);
  });

  it('leaves what the tenant has built itself where the image has no such step, and counts its own image’s steps as its own', async () => {
    const built = await build(other, { b: 'mine', ...named('mine') });
    const again = await build(other, { b: 'mine', cacheFrom: ['mine', 'app'] });
    expect([again.cached, again.imageId]).toEqual([[2, ...LAST], built.imageId]);
    expect((await host.builder.cacheRecords(other)).map(({ uses }) => uses)).toEqual([1, ...LAST.map(() => 1)]);
    const dockerfile = 'FROM busybox\nENV B=1\nRUN echo other > /x\n';
    await build(other, { dockerfile });
    expect((await build(other, { dockerfile, cacheFrom: ['app'] })).cached).toEqual([2, 3]);
  });

  it('is told and pruned as a part of the cache', async () => {
    await host.images.tag(other, (await host.images.resolve(other, 'app')).id, withDefaultTag(parseReference('kept')));
    const failing = { dockerfile: DOCKERFILE.replace('CMD', 'RUN exit 1\nCMD'), cacheFrom: ['app'] };
    await expect(build(other, failing)).rejects.toMatchObject({ code: 'invalid_argument' });
    await expect(build(other, failing)).rejects.toMatchObject({ code: 'invalid_argument' });
    for (const name of ['app', 'kept']) await host.images.remove(other, name, { force: false, keepParents: true });
    expect((await host.builder.cacheRecords(other)).map(({ kind, shared, uses }) => [kind, shared, uses])).toEqual([2, ...LAST.slice(0, -1)].map(() => ['step', false, 1]));
    await host.builder.prune(other, { accepts: () => true });
    expect((await host.images.list(other)).filter(({ tags }) => tags.length === 0)).toEqual([]);
  });

  it('takes nothing for another base, and says so of images that tell nothing and of names without an image', async () => {
    const based = await host.host.newTenant(256 * 1024 * 1024);
    await host.host.importImage(based, 'busybox', 'true', { Cmd: ['sh'], Env: ['PATH=/bin'] });
    await moved.move('app', host.tenant, based);
    const { cached, events } = await build(based, { cacheFrom: ['app', 'busybox', 'nowhere', 'BAD', 'app'] });
    expect(cached).toEqual([]);
    expect(events.flatMap((event) => (event.kind === 'warning' ? [event.message] : []))).toEqual([
      'cache-from: the image busybox says nothing of how it was made: nothing is taken from it',
      'cache-from: the image nowhere cannot be had: no registry here: nothing is taken from it',
      expect.stringMatching(/^cache-from: the image BAD cannot be had: .*: nothing is taken from it$/),
    ]);
    await host.expectNothingLeft([based]);
  });

  it('pulls what is not here', async () => {
    await host.images.remove(other, 'app', { force: true, keepParents: false });
    const asked: string[] = [];
    host.world.pull = async ({ namespace, reference, onProgress }) => {
      asked.push(reference.path);
      onProgress({ status: 'Pulling fs layer' });
      await moved.move('app', host.tenant, namespace as TenantId);
      return { imageId: (await host.images.resolve(namespace, 'app')).id, digest: (await host.images.resolve(namespace, 'app')).manifest, changed: true };
    };
    try {
      const again = await build(other, { cacheFrom: ['app'] });
      expect([again.imageId, asked, again.events.filter(({ kind }) => kind === 'pull')]).toEqual([imageId, ['library/app'], [expect.objectContaining({ step: 2 })]]);
    } finally {
      host.world.pull = () => Promise.reject(new CodedError('not_found', 'no registry here'));
    }
  });

  it.each<[string, unknown]>([
    ['no list', 'all'],
    ['an object', { length: 11 }],
    ['a list that is too short', [null, 'a'.repeat(64)]],
    ['a list that is too long', Array.from({ length: 400 }, () => 'a'.repeat(64))],
    ['words that are no keys', Array.from({ length: 10 }, () => '../../x')],
    ['numbers', Array.from({ length: 10 }, () => 7)],
    ['a megabyte', Array.from({ length: 10 }, () => 'a'.repeat(100_000))],
    ['nothing but null', Array.from({ length: 10 }, () => null)],
  ])('takes an image that says %s of its steps for one that says nothing', async (_what, member) => {
    const again = await takenOf((config) => {
      expect((config[MEMBER] as unknown[]).length).toBe(10);
      config[MEMBER] = member;
    });
    expect([again.cached, warnings(again)]).toEqual([[], ['cache-from: the image app says nothing of how it was made: nothing is taken from it']]);
  });

  it.each<[string, Parameters<MovedImages['rewrite']>[2]]>([
    ['fewer layers than rows tell of', ({ rootfs }, layers) => [rootfs.diff_ids, layers].map((list) => list.pop())],
    ['more layers than rows tell of', ({ history }) => (history[4] = { ...history[4], empty_layer: true })],
  ])('takes an image with %s for one that says nothing', async (_what, edit) => {
    const again = await takenOf(edit);
    expect([again.cached, warnings(again)]).toEqual([[], ['cache-from: the image app says nothing of how it was made: nothing is taken from it']]);
  });

  it.each<[string, number[], (history: Record<string, unknown>[]) => void]>([
    ['another line', [4, 5], (history) => (history[3] = { ...history[3], created_by: 'x' })],
    ['a comment', [4, 5], (history) => (history[3] = { ...history[3], comment: 'x' })],
    ['another author', [4, 5], (history) => (history[3] = { ...history[3], author: 'x' })],
    ['a time that is none', [4, 5], (history) => (history[3] = { ...history[3], created: '2026-99-99T99:99:99.999Z' })],
    ['a time of another form', [4, 5], (history) => (history[3] = { ...history[3], created: 'Nov 28 2026' })],
    ['no time', [4, 5], (history) => delete history[3]?.created],
    ['another row below', [], (history) => (history[0] = { ...history[0], comment: 'x' })],
    ['the layer of a command in the row of a config', [4], (history) => {
      history[2] = { ...history[2] };
      delete history[2].empty_layer;
      history[4] = { ...history[4], empty_layer: true };
    }],
  ])('ends at a row with %s', async (_what, cached, edit) => {
    expect((await takenOf(({ history }) => { edit(history); })).cached).toEqual(cached);
  });

  it('takes nothing that stands on other layers', async () => {
    const again = await takenOf(({ rootfs: { diff_ids: diffIds } }, layers) => {
      diffIds.splice(0, 2, ...diffIds.slice(0, 2).reverse());
      layers.splice(0, 2, ...layers.slice(0, 2).reverse());
    });
    expect([again.cached, warnings(again)]).toEqual([[], []]);
  });

  it('believes an image’s own words for its own build: a row of another key is carried out', async () => {
    const again = await takenOf((config) => {
      config[MEMBER] = (config[MEMBER] as unknown[]).map((key, index) => (index === 4 ? 'f'.repeat(64) : key));
    });
    expect(again.cached).toEqual([4, 5, 6]);
  });
});
