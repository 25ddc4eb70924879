import { tenantLimitsSchema, type CreateRun, type RunOutcome } from '#contracts';
import { newId, type ApiKeyId, type BuildId, type BuildSourceId, type DeliveryId, type NodeId, type OperationId, type RunId, type TenantId } from '#kernel';
import type { NewBuildDelivery, NewBuildSource } from './build-sources.js';
import type { NewBuild } from './builds.js';
import type { ApiKey, NewOperation, Repositories, Tenant } from './repositories.js';

type TenantOwned = Pick<Repositories, 'apiKeys' | 'runs' | 'runLogs' | 'operations' | 'builds' | 'buildLogs' | 'buildSources' | 'buildDeliveries'>;

/** One tenant, and one of each thing that it owns. */
export interface Owner {
  readonly tenant: Tenant;
  readonly key: ApiKey;
  readonly queued: RunId;
  readonly running: RunId;
  readonly finished: RunId;
  readonly operation: OperationId;
  readonly build: BuildId;
  readonly source: BuildSourceId;
  readonly delivery: DeliveryId;
}

interface Attack {
  readonly repositories: Repositories;
  /** Who calls. */
  readonly intruder: Owner;
  /** Whose ids the intruder uses. */
  readonly victim: Owner;
}

/** Calls the method as the intruder, with the victim's ids; fails when it gives anything away. What it changes is checked for all. */
type Case = (attack: Attack) => Promise<void>;

/** A method that takes no tenant, and why. */
interface Exempt {
  readonly exempt: string;
}

/** Total: a method without a case does not compile, and (Jest does not check types) is found at run time too. */
type Cases = { readonly [R in keyof TenantOwned]: { readonly [M in keyof TenantOwned[R]]: Case | Exempt } };

const now = (): Date => new Date();
const query = { limit: 200 };

const CASES: Cases = {
  apiKeys: {
    create: async ({ repositories, intruder, victim }) => {
      const key = apiKey(victim.tenant.id);
      await expect(repositories.apiKeys.create(intruder.tenant.id, key)).rejects.toMatchObject({ code: 'invalid_argument' });
      expect(await repositories.apiKeys.findByHash(key.hash)).toBeUndefined();
    },
    findByHash: { exempt: 'it is what finds the tenant' },
    findById: { exempt: 'it is what finds the tenant' },
    list: async ({ repositories, intruder }) => {
      const keys = await repositories.apiKeys.list(intruder.tenant.id);
      expect(keys.map((key) => key.id)).toEqual([intruder.key.id]);
      expect((await repositories.apiKeys.list(null)).filter((key) => key.tenantId !== null)).toEqual([]);
    },
    revoke: async ({ repositories, intruder, victim }) => {
      await expect(repositories.apiKeys.revoke(intruder.tenant.id, victim.key.id, now())).rejects.toMatchObject({ code: 'not_found' });
      await expect(repositories.apiKeys.revoke(null, victim.key.id, now())).rejects.toMatchObject({ code: 'not_found' });
    },
    touch: { exempt: 'the gateway reports keys that it has authenticated' },
  },
  runs: {
    create: async ({ repositories, intruder, victim }) => {
      // The victim's idempotency keys are not the intruder's, and its ids are taken.
      const run = { id: newId('run'), spec: runSpec(), createdAt: now(), idempotencyKey: IDEMPOTENCY_KEY };
      const { run: made, created } = await repositories.runs.create(intruder.tenant.id, run);
      expect({ created, id: made.id, tenantId: made.tenantId }).toEqual({ created: false, id: intruder.queued, tenantId: intruder.tenant.id });
      await expect(repositories.runs.create(intruder.tenant.id, { id: victim.queued, spec: runSpec(), createdAt: now() })).rejects.toMatchObject({ code: 'already_exists' });
    },
    find: async ({ repositories, intruder, victim }) => {
      for (const id of runsOf(victim)) expect(await repositories.runs.find(intruder.tenant.id, id)).toBeUndefined();
    },
    list: async ({ repositories, intruder, victim }) => {
      const mine = new Set<string>(runsOf(intruder));
      const cursor = Buffer.from(victim.finished).toString('base64url');
      for (const filter of [{}, { runtime: 'python' }, { state: 'queued' as const }, { label: 'of=contract' }, { cursor }]) {
        const { items } = await repositories.runs.list(intruder.tenant.id, { ...query, ...filter });
        expect(items.filter((run) => !mine.has(run.id) || run.tenantId !== intruder.tenant.id)).toEqual([]);
      }
    },
    discard: async ({ repositories, intruder, victim }) => {
      await repositories.runs.discard(intruder.tenant.id, victim.queued);
    },
    requestCancel: async ({ repositories, intruder, victim }) => {
      for (const id of runsOf(victim)) await expect(repositories.runs.requestCancel(intruder.tenant.id, id, now())).rejects.toMatchObject({ code: 'not_found' });
    },
    markStarted: async ({ repositories, intruder, victim }) => {
      const starts = runsOf(victim).map((id) => ({ tenantId: intruder.tenant.id, id, nodeId: newId('node'), epoch: 9, at: now() }));
      expect(await repositories.runs.markStarted(starts)).toEqual([]);
    },
    markFinished: async ({ repositories, intruder, victim }) => {
      const ends = runsOf(victim).map((id) => ({ tenantId: intruder.tenant.id, id, epoch: 9, at: now(), outcome: runOutcome() }));
      expect(await repositories.runs.markFinished(ends)).toEqual([]);
    },
    listUnfinished: { exempt: 'the reconciler works for all tenants' },
    countByState: async ({ repositories, intruder }) => {
      expect(await repositories.runs.countByState(intruder.tenant.id)).toMatchObject({ queued: 1, running: 1, succeeded: 1, failed: 0 });
    },
    deleteFinishedBefore: { exempt: 'retention works for all tenants' },
  },
  runLogs: {
    save: async ({ repositories, intruder, victim }) => {
      for (const id of runsOf(victim)) await expect(repositories.runLogs.save(intruder.tenant.id, id, [])).rejects.toMatchObject({ code: 'not_found' });
    },
    load: async ({ repositories, intruder, victim }) => {
      for (const id of runsOf(victim)) expect(await repositories.runLogs.load(intruder.tenant.id, id)).toBeUndefined();
    },
  },
  operations: {
    create: async ({ repositories, intruder, victim }) => {
      await expect(repositories.operations.create(intruder.tenant.id, operation(victim.operation), { maxUnfinished: 9 })).rejects.toMatchObject({ code: 'already_exists' });
    },
    find: async ({ repositories, intruder, victim }) => {
      expect(await repositories.operations.find(intruder.tenant.id, victim.operation)).toBeUndefined();
    },
    list: async ({ repositories, intruder, victim }) => {
      for (const filter of [{}, { state: 'queued' as const }, { cursor: Buffer.from(`op_7${'z'.repeat(25)}`).toString('base64url') }]) {
        const { items } = await repositories.operations.list(intruder.tenant.id, { ...query, ...filter });
        expect(items.map(({ id }) => id)).toEqual([intruder.operation]);
        expect(items.map(({ id }) => id)).not.toContain(victim.operation);
      }
    },
    requestCancel: async ({ repositories, intruder, victim }) => {
      await expect(repositories.operations.requestCancel(intruder.tenant.id, victim.operation, now())).rejects.toMatchObject({ code: 'not_found' });
    },
    markStarted: async ({ repositories, intruder, victim }) => {
      expect(await repositories.operations.markStarted(intruder.tenant.id, victim.operation, now())).toBe(false);
    },
    markFinished: async ({ repositories, intruder, victim }) => {
      expect(await repositories.operations.markFinished(intruder.tenant.id, victim.operation, now(), { state: 'cancelled', result: null, error: null })).toBe(false);
    },
    markRequeued: async ({ repositories, intruder, victim }) => {
      expect(await repositories.operations.markRequeued(intruder.tenant.id, victim.operation)).toBe(false);
    },
    listUnfinished: { exempt: 'the reconciler works for all tenants' },
    deleteFinishedBefore: { exempt: 'retention works for all tenants' },
  },
  builds: {
    create: async ({ repositories, intruder, victim }) => {
      const { build: made, created } = await repositories.builds.create(intruder.tenant.id, { ...aBuild(newId('build')), idempotencyKey: IDEMPOTENCY_KEY }, { maxUnfinished: 9 });
      expect({ created, id: made.id }).toEqual({ created: false, id: intruder.build });
      await expect(repositories.builds.create(intruder.tenant.id, aBuild(victim.build), { maxUnfinished: 9 })).rejects.toMatchObject({ code: 'already_exists' });
    },
    findByKey: async ({ repositories, intruder }) => {
      expect((await repositories.builds.findByKey(intruder.tenant.id, IDEMPOTENCY_KEY, SPEC_HASH))?.id).toBe(intruder.build);
    },
    find: async ({ repositories, intruder, victim }) => {
      expect(await repositories.builds.find(intruder.tenant.id, victim.build)).toBeUndefined();
    },
    list: async ({ repositories, intruder, victim }) => {
      for (const filter of [{}, { state: 'queued' as const }, { cursor: Buffer.from(`bld_7${'z'.repeat(25)}`).toString('base64url') }]) {
        const { items } = await repositories.builds.list(intruder.tenant.id, { ...query, ...filter });
        expect(items.map(({ id }) => id)).toEqual([intruder.build]);
        expect(items.map(({ id }) => id)).not.toContain(victim.build);
      }
    },
    countUnfinished: async ({ repositories, intruder }) => {
      expect(await repositories.builds.countUnfinished(intruder.tenant.id)).toBe(1);
    },
    requestCancel: async ({ repositories, intruder, victim }) => {
      await expect(repositories.builds.requestCancel(intruder.tenant.id, victim.build, now())).rejects.toMatchObject({ code: 'not_found' });
    },
    markStarted: async ({ repositories, intruder, victim }) => {
      expect(await repositories.builds.markStarted(intruder.tenant.id, victim.build, now())).toBe(false);
    },
    markFinished: async ({ repositories, intruder, victim }) => {
      const outcome = { state: 'cancelled' as const, imageId: null, digest: null, error: null, steps: [], warnings: [] };
      expect(await repositories.builds.markFinished(intruder.tenant.id, victim.build, now(), outcome)).toBe(false);
    },
    markRequeued: async ({ repositories, intruder, victim }) => {
      expect(await repositories.builds.markRequeued(intruder.tenant.id, victim.build)).toBe(false);
    },
    listUnfinished: { exempt: 'the reconciler works for all tenants' },
    deleteFinishedBefore: { exempt: 'retention works for all tenants' },
  },
  buildLogs: {
    save: async ({ repositories, intruder, victim }) => {
      await expect(repositories.buildLogs.save(intruder.tenant.id, victim.build, [])).rejects.toMatchObject({ code: 'not_found' });
    },
    load: async ({ repositories, intruder, victim }) => {
      expect(await repositories.buildLogs.load(intruder.tenant.id, victim.build)).toBeUndefined();
    },
  },
  buildSources: {
    create: async ({ repositories, intruder, victim }) => {
      await expect(repositories.buildSources.create(intruder.tenant.id, aSource(victim.source, 'another'), { max: 9 })).rejects.toMatchObject({ code: 'already_exists' });
      // The victim's names are not the intruder's, nor do its sources count.
      await expect(repositories.buildSources.create(intruder.tenant.id, aSource(newId('buildSource'), 'third'), { max: 1 })).rejects.toMatchObject({ code: 'quota_exceeded', details: { buildSources: 1 } });
    },
    find: async ({ repositories, intruder, victim }) => {
      expect(await repositories.buildSources.find(intruder.tenant.id, { id: victim.source })).toBeUndefined();
      expect((await repositories.buildSources.find(intruder.tenant.id, { name: 'app' }))?.id).toBe(intruder.source);
    },
    findByHook: { exempt: 'it is what finds the tenant' },
    list: async ({ repositories, intruder, victim }) => {
      const cursor = Buffer.from(victim.source).toString('base64url');
      expect((await repositories.buildSources.list(intruder.tenant.id, query)).items.map(({ id }) => id)).toEqual([intruder.source]);
      expect((await repositories.buildSources.list(intruder.tenant.id, { ...query, cursor })).items.map(({ id }) => id)).not.toContain(victim.source);
    },
    update: async ({ repositories, intruder, victim }) => {
      await expect(repositories.buildSources.update(intruder.tenant.id, victim.source, 1, { sealedSecret: Buffer.from('mine') })).rejects.toMatchObject({ code: 'not_found' });
    },
    noteBuild: async ({ repositories, intruder, victim }) => {
      await repositories.buildSources.noteBuild(intruder.tenant.id, victim.source, newId('build'));
    },
    delete: async ({ repositories, intruder, victim }) => {
      await expect(repositories.buildSources.delete(intruder.tenant.id, victim.source)).rejects.toMatchObject({ code: 'not_found' });
    },
  },
  buildDeliveries: {
    record: async ({ repositories, intruder, victim }) => {
      await expect(repositories.buildDeliveries.record(intruder.tenant.id, victim.source, aDelivery(newId('delivery'), 'new'), { keep: 1 })).rejects.toMatchObject({ code: 'not_found' });
    },
    settle: async ({ repositories, intruder, victim }) => {
      await repositories.buildDeliveries.settle(intruder.tenant.id, victim.delivery, { state: 'built', reason: null, buildId: intruder.build });
    },
    list: async ({ repositories, intruder, victim }) => {
      expect((await repositories.buildDeliveries.list(intruder.tenant.id, victim.source, query)).items).toEqual([]);
    },
  },
};

/** Two tenants with the same belongings: no method of a tenant-owned repository lets one see or change what is the other's. */
export function describeTenantIsolation(name: string, open: () => Promise<{ repositories: Repositories; cleanup: () => Promise<void> }>): void {
  describe(`${name}: tenants are isolated`, () => {
    let repositories: Repositories;
    let cleanup: () => Promise<void>;
    let intruder: Owner;
    let victim: Owner;

    beforeAll(async () => {
      ({ repositories, cleanup } = await open());
      victim = await furnish(repositories);
      intruder = await furnish(repositories);
    });
    afterAll(() => cleanup());

    for (const [repository, methods] of Object.entries(CASES)) {
      for (const [method, rule] of Object.entries(methods as Record<string, Case | Exempt>)) {
        if (typeof rule !== 'function') continue;
        it(`${repository}.${method}`, async () => {
          const before = await belongings(repositories, victim);
          await rule({ repositories, intruder, victim });
          expect(await belongings(repositories, victim)).toEqual(before);
        });
      }
    }

    it.each(Object.keys(CASES) as (keyof Cases)[])('%s has no method without a case', (repository) => {
      expect(methodsOf(repositories[repository])).toEqual(Object.keys(CASES[repository]).sort());
    });

    it('no repository is left out', () => {
      const all = Object.entries(repositories).filter(([, member]) => typeof member === 'object');
      expect(all.map(([repository]) => repository).sort()).toEqual(['tenants', ...Object.keys(CASES)].sort());
    });
  });
}

function methodsOf(repository: object): string[] {
  const prototype: unknown = Object.getPrototypeOf(repository);
  return Object.getOwnPropertyNames(prototype).filter((name) => name !== 'constructor').sort();
}

const IDEMPOTENCY_KEY = 'the same for both';
const SPEC_HASH = Buffer.alloc(32, 1);

async function furnish(repositories: Repositories): Promise<Owner> {
  const id = newId('tenant');
  const limits = tenantLimitsSchema.parse({ concurrentRuns: 1 });
  const tenant: Tenant = { id, name: id.slice(-20), limits, createdAt: now() };
  await repositories.tenants.create(tenant);
  const key = apiKey(id);
  await repositories.apiKeys.create(id, key);
  const [queued, running, finished] = [newId('run'), newId('run'), newId('run')];
  await repositories.runs.create(id, { id: queued, spec: runSpec(), createdAt: now(), idempotencyKey: IDEMPOTENCY_KEY });
  for (const run of [running, finished]) await repositories.runs.create(id, { id: run, spec: runSpec(), createdAt: now() });
  const nodeId: NodeId = newId('node');
  await repositories.runs.markStarted([running, finished].map((run) => ({ tenantId: id, id: run, nodeId, epoch: 1, at: now() })));
  await repositories.runs.markFinished([{ tenantId: id, id: finished, epoch: 1, at: now(), outcome: runOutcome() }]);
  await repositories.runLogs.save(id, finished, [{ seq: 1, type: 'end', state: 'succeeded', exitCode: 0, signal: null, time: 0 }]);
  const pull = operation(newId('operation'));
  await repositories.operations.create(id, pull, { maxUnfinished: 1 });
  const build = aBuild(newId('build'));
  await repositories.builds.create(id, { ...build, idempotencyKey: IDEMPOTENCY_KEY }, { maxUnfinished: 1 });
  await repositories.buildLogs.save(id, build.id, [{ seq: 1, type: 'end', state: 'cancelled', imageId: null, error: null, time: 0 }]);
  const source = aSource(newId('buildSource'), 'app');
  await repositories.buildSources.create(id, source, { max: 1 });
  const delivery = aDelivery(newId('delivery'), 'one');
  await repositories.buildDeliveries.record(id, source.id, delivery, { keep: 1 });
  return { tenant, key, queued, running, finished, operation: pull.id, build: build.id, source: source.id, delivery: delivery.id };
}

/** All that the owner has, as the owner sees it. */
async function belongings(repositories: Repositories, owner: Owner): Promise<unknown> {
  const id: TenantId = owner.tenant.id;
  return {
    tenant: await repositories.tenants.find(id),
    keys: await repositories.apiKeys.list(id),
    runs: await repositories.runs.list(id, query),
    operations: await repositories.operations.list(id, query),
    builds: await repositories.builds.list(id, query),
    buildLog: await repositories.buildLogs.load(id, owner.build),
    sources: await repositories.buildSources.list(id, query),
    deliveries: await repositories.buildDeliveries.list(id, owner.source, query),
    logs: await Promise.all(runsOf(owner).map((run) => repositories.runLogs.load(id, run))),
  };
}

function runsOf(owner: Owner): RunId[] {
  return [owner.queued, owner.running, owner.finished];
}

function apiKey(tenantId: TenantId | null): ApiKey {
  const id: ApiKeyId = newId('apiKey');
  return { id, tenantId, name: 'contract', prefix: 'sbk_', hash: `hash of ${id}`, scopes: ['runs:read'], createdAt: now(), expiresAt: null, lastUsedAt: null, revokedAt: null };
}

function operation(id: OperationId): NewOperation {
  return { id, kind: 'image.pull', reference: 'docker.io/library/busybox:latest', platform: null, withAuth: false, nodeId: newId('node'), requestId: newId('request'), createdAt: now() };
}

function aBuild(id: BuildId): NewBuild {
  const spec: NewBuild['spec'] = { source: 'files', git: null, dockerfile: 'Dockerfile', target: null, tags: [], buildArgs: [], secrets: [], noCache: false, pull: false };
  return { id, spec, specHash: SPEC_HASH, nodeId: newId('node'), attached: false, requestId: newId('request'), createdAt: now() };
}

function aSource(id: BuildSourceId, name: string): NewBuildSource {
  const spec: NewBuildSource['spec'] = { git: { url: 'https://git.example/app.git' }, on: { branch: 'main' }, tags: ['app:{branch}'], labels: {}, noCache: false, pull: false, network: 'default', buildArgs: [], secrets: [], registries: [] };
  return { id, name, hook: `hook of ${id} ${name}`, spec, sealedValues: Buffer.from('values'), sealedSecret: Buffer.from('secret'), createdAt: now() };
}

function aDelivery(id: DeliveryId, key: string): NewBuildDelivery {
  return { id, key, digest: null, event: 'push', ref: 'refs/heads/main', commit: '0'.repeat(40), state: 'received', reason: null, buildId: null, receivedAt: now() };
}

function runSpec(): CreateRun {
  const limits = { cpuTimeMs: 10, wallTimeMs: 10, memoryBytes: 16_777_216, pids: 1, outputBytes: 0, diskBytes: 1_048_576, openFiles: 16, cpuMillis: 50 };
  return { runtime: 'python', code: 'print()', args: [], env: {}, stdin: '', stdinEncoding: 'utf8', stdinOpen: false, limits, network: 'none', user: 'runner', labels: { of: 'contract' } };
}

function runOutcome(): RunOutcome {
  return { state: 'succeeded', failedStep: null, compile: null, run: null, error: null };
}
