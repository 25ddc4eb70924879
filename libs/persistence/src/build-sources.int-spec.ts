import { newId, silentLogger, type BuildSourceId, type TenantId } from '#kernel';
import { aTenant, startTestPostgres } from '#testing';
import type { BuildSource, NewBuildDelivery, NewBuildSource } from './build-sources.js';
import { openRepositories } from './open-repositories.js';
import type { Repositories } from './repositories.js';

describe('build sources and their deliveries', () => {
  let repositories: Repositories;
  let stop: () => Promise<void>;
  let tenantId: TenantId;

  beforeAll(async () => {
    const postgres = await startTestPostgres();
    repositories = await openRepositories({ databaseUrl: postgres.url, logger: silentLogger });
    stop = async () => {
      await repositories.close();
      await postgres.stop();
    };
    const tenant = aTenant();
    tenantId = tenant.id;
    await repositories.tenants.create(tenant);
  }, 60_000);
  afterAll(() => stop());

  const create = (name: string, max = 99): Promise<BuildSource> => {
    const id: BuildSourceId = newId('buildSource');
    const spec: NewBuildSource['spec'] = { git: { url: 'https://git.example/app.git' }, on: { tag: 'v*' }, tags: ['app:{tag}'], labels: {}, noCache: false, pull: false, network: 'none', buildArgs: ['A'], secrets: [], registries: [] };
    return repositories.buildSources.create(tenantId, { id, name, hook: `hook-${id}`, spec, sealedValues: Buffer.from([0, 1]), sealedSecret: Buffer.from([2]), createdAt: new Date() }, { max });
  };
  const delivery = (key: string, more: Partial<NewBuildDelivery> = {}): NewBuildDelivery => ({ id: newId('delivery'), key, digest: null, event: 'push', ref: null, commit: null, state: 'received', reason: null, buildId: null, receivedAt: new Date(), ...more });

  it('are found by id, name and hook as they were made, and a name is taken once', async () => {
    const made = await create('one');
    expect(await repositories.buildSources.find(tenantId, { id: made.id })).toEqual(made);
    expect(await repositories.buildSources.find(tenantId, { name: 'one' })).toEqual(made);
    expect(await repositories.buildSources.findByHook(made.hook)).toMatchObject({ source: made, tenant: { id: tenantId } });
    expect(await repositories.buildSources.findByHook('nothing')).toBeUndefined();
    await expect(create('one')).rejects.toMatchObject({ code: 'already_exists' });
  });

  it('are no more than the limit, however many come at once', async () => {
    const there = (await repositories.buildSources.list(tenantId, { limit: 200 })).items.length;
    const made = await Promise.allSettled(Array.from({ length: 6 }, (_, index) => create(`many${index}`, there + 2)));
    expect(made.filter(({ status }) => status === 'fulfilled')).toHaveLength(2);
    expect(made.find(({ status }) => status === 'rejected')).toMatchObject({ reason: { code: 'quota_exceeded' } });
  });

  it('take a change of the revision that was read, and of no older one', async () => {
    const { id, revision, spec } = await create('changed');
    const changed = await repositories.buildSources.update(tenantId, id, revision, { spec: { ...spec, pull: true } });
    expect(changed).toMatchObject({ revision: revision + 1, spec: { pull: true }, sealedSecret: Buffer.from([2]) });
    await expect(repositories.buildSources.update(tenantId, id, revision, { spec })).rejects.toMatchObject({ code: 'conflict' });
    await repositories.buildSources.delete(tenantId, id);
    await expect(repositories.buildSources.update(tenantId, id, revision, { spec })).rejects.toMatchObject({ code: 'not_found' });
  });

  it('know a delivery again by its key and by its digest, also when it comes many times at once', async () => {
    const { id } = await create('replayed');
    const digest = Buffer.alloc(32, 7);
    const both = await Promise.all(Array.from({ length: 4 }, () => repositories.buildDeliveries.record(tenantId, id, delivery('k', { digest }), { keep: 9 })));
    expect(both.filter(({ created }) => created)).toHaveLength(1);
    expect(new Set(both.map((one) => one.delivery.id)).size).toBe(1);
    expect(await repositories.buildDeliveries.record(tenantId, id, delivery('other', { digest }), { keep: 9 })).toMatchObject({ created: false, delivery: { key: 'k' } });
    expect(await repositories.buildDeliveries.record(tenantId, id, delivery('k', { digest: Buffer.alloc(32) }), { keep: 9 })).toMatchObject({ created: false });
    expect((await repositories.buildDeliveries.record(tenantId, id, delivery('third'), { keep: 9 })).created).toBe(true);
  });

  it('keep the newest deliveries, what became of them, and the last build', async () => {
    const { id } = await create('settled');
    const keys = ['a', 'b', 'c', 'd'];
    const ids = [];
    for (const [index, key] of keys.entries()) ids.push((await repositories.buildDeliveries.record(tenantId, id, delivery(key, { id: newId('delivery', 1_000_000 + index) }), { keep: 3 })).delivery.id);
    expect((await repositories.buildDeliveries.list(tenantId, id, { limit: 9 })).items.map(({ key }) => key)).toEqual(['d', 'c', 'b']);
    const buildId = newId('build');
    const [, second, third, last] = ids;
    await repositories.buildDeliveries.settle(tenantId, last ?? newId('delivery'), { state: 'built', reason: null, buildId });
    await repositories.buildDeliveries.settle(tenantId, last ?? newId('delivery'), { state: 'failed', reason: 'late', buildId: null });
    await repositories.buildDeliveries.settle(tenantId, third ?? newId('delivery'), { state: 'failed', reason: 'away', buildId: null });
    const page = await repositories.buildDeliveries.list(tenantId, id, { limit: 2 });
    expect(page.items).toMatchObject([{ state: 'built', buildId, reason: null }, { state: 'failed', reason: 'away' }]);
    expect((await repositories.buildDeliveries.list(tenantId, id, { limit: 2, cursor: page.nextCursor ?? '' })).items.map((one) => one.id)).toEqual([second]);
    expect(await repositories.buildSources.find(tenantId, { id })).toMatchObject({ lastBuildId: buildId, lastDeliveryAt: expect.any(Date) as Date });
    await repositories.buildSources.delete(tenantId, id);
    expect((await repositories.buildDeliveries.list(tenantId, id, { limit: 9 })).items).toEqual([]);
  });
});
