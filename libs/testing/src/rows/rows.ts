import { createRunSchema, tenantLimitsSchema, type CreateRun, type CreateRunInput, type RunOutcome, type StepResult } from '#contracts';
import { newId, type TenantId } from '#kernel';
import type { ApiKey, Tenant } from '#persistence';

export function aTenant(change: Partial<Tenant> = {}): Tenant {
  const id = newId('tenant');
  return { id, name: id.slice(-20), limits: tenantLimitsSchema.parse({}), createdAt: new Date(), ...change };
}

export function anApiKey(tenantId: TenantId | null, change: Partial<ApiKey> = {}): ApiKey {
  const id = newId('apiKey');
  return { id, tenantId, name: 'a key', prefix: 'sbk_abcd', hash: `hash of ${id}`, scopes: ['runs:read'], createdAt: new Date(), expiresAt: null, lastUsedAt: null, revokedAt: null, ...change };
}

export function aRunSpec(change: Partial<CreateRunInput> = {}): CreateRun {
  return createRunSchema.parse({ runtime: 'python', code: 'print(6*7)', ...change });
}

export function aStepResult(change: Partial<StepResult> = {}): StepResult {
  return { exitCode: 0, signal: null, stdout: '42\n', stderr: '', stdoutTruncated: false, stderrTruncated: false, encoding: 'utf8', wallTimeMs: 12.5, cpuTimeMs: 9, memoryPeakBytes: 9_000_000, ...change };
}

export function anOutcome(change: Partial<RunOutcome> = {}): RunOutcome {
  return { state: 'succeeded', failedStep: null, compile: null, run: aStepResult(), error: null, ...change };
}
