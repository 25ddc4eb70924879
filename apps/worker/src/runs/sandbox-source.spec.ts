import { tenantLimitsSchema } from '#contracts';
import { CodedError, digestOf, newId } from '#kernel';
import { TenantCgroups } from '../engine/tenant-cgroups.js';
import { FreshSandboxSource } from './sandbox-source.js';

describe('FreshSandboxSource', () => {
  const request = {
    tenantId: newId('tenant'),
    tenantLimits: tenantLimitsSchema.parse({}),
    chainId: digestOf('image'),
    limits: { memoryBytes: 1, pids: 1, cpuMillis: 1, diskBytes: 1 },
    annotations: {},
  };
  function source(...failures: CodedError[]) {
    const asked: string[] = [];
    const runtime = { create: () => Promise.resolve(void asked.push('create') as never) };
    const cgroups = { ensureTenant: () => (asked.push('tenant'), failures.length > 0 ? Promise.reject(failures.shift()!) : Promise.resolve(undefined as never)) };
    return { asked, source: new FreshSandboxSource(runtime, new TenantCgroups(cgroups)) };
  }

  it('gives a tenant its limits once, and again when they change', async () => {
    const { asked, source: fresh } = source();
    await fresh.acquire(request);
    await fresh.acquire(request);
    await fresh.acquire({ ...request, tenantLimits: { ...request.tenantLimits, pids: 7 } });
    expect(asked).toEqual(['tenant', 'create', 'create', 'tenant', 'create']);
  });

  it('goes on under the old limits while more than the new ones is in use, and tries again', async () => {
    const { asked, source: fresh } = source(new CodedError('failed_precondition', 'in use'));
    await fresh.acquire(request);
    await fresh.acquire(request);
    expect(asked).toEqual(['tenant', 'create', 'tenant', 'create']);
  });

  it('makes no sandbox for a tenant whose limits cannot be set', async () => {
    const { asked, source: fresh } = source(new CodedError('internal', 'broken'));
    await expect(fresh.acquire(request)).rejects.toMatchObject({ code: 'internal' });
    await fresh.acquire(request);
    expect(asked).toEqual(['tenant', 'tenant', 'create']);
  });
});
