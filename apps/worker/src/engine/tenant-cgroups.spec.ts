import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Cgroup } from '#engine';
import { CodedError, newId } from '#kernel';
import { TenantCgroups } from './tenant-cgroups.js';

describe('the cgroups of tenants', () => {
  const tenant = newId('tenant');
  const limits = { memoryBytes: 1 << 30, cpuMillis: 1000, pids: 100 };
  let folder: string;
  let given: unknown[];
  let refusal: CodedError | undefined;
  const cgroups = {
    ensureTenant: (tenantId: string, wanted: object) => {
      given.push([tenantId, wanted]);
      return refusal === undefined ? Promise.resolve({} as Cgroup) : Promise.reject(refusal);
    },
  };

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'tenant-cgroups-'));
    [given, refusal] = [[], undefined];
  });
  afterEach(() => rm(folder, { recursive: true, force: true }));

  it('are limited again only when the limits change', async () => {
    const tenants = new TenantCgroups(cgroups, folder);
    await Promise.all([tenants.ensure(tenant, limits), tenants.ensure(tenant, limits)]);
    await tenants.ensure(tenant, { ...limits, pids: 5 });
    expect(given).toEqual([[tenant, limits], [tenant, { ...limits, pids: 5 }]]);
  });

  it('are known to the next worker, until the tenant goes', async () => {
    await new TenantCgroups(cgroups, folder).ensure(tenant, limits);
    given = [];
    await new TenantCgroups(cgroups, folder).ensureAgain(tenant);
    expect(given).toEqual([[tenant, limits]]);
    await new TenantCgroups(cgroups, folder).ensureAgain(newId('tenant'));
    await writeFile(join(folder, `${tenant}.json`), '{"memoryBytes":');
    await new TenantCgroups(cgroups, folder).ensureAgain(tenant);
    await new TenantCgroups(cgroups, folder).forget(tenant);
    await new TenantCgroups(cgroups, folder).ensureAgain(tenant);
    expect(given).toHaveLength(1);
  });

  it.each(['failed_precondition', 'invalid_argument'] as const)('keep the old limits when the new ones cannot be had now (%s), and try again', async (code) => {
    const tenants = new TenantCgroups(cgroups, folder);
    refusal = new CodedError(code, 'in use');
    await tenants.ensure(tenant, limits);
    refusal = new CodedError('internal', 'broken');
    await expect(tenants.ensure(tenant, { ...limits, pids: 1 })).rejects.toBe(refusal);
    refusal = undefined;
    await tenants.ensure(tenant, limits);
    expect(given).toHaveLength(3);
  });
});
