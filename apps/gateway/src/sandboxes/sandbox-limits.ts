import type { CreateSandbox, TenantLimits } from '#contracts';
import { CodedError } from '#kernel';

/** @throws CodedError `invalid_argument`: what is more than the tenant has cannot be given */
export function checkLimits(limits: CreateSandbox['limits'], most: TenantLimits): void {
  const issues = [
    { field: 'memoryBytes', asked: limits.memoryBytes, most: most.memoryBytes },
    { field: 'cpuMillis', asked: limits.cpuMillis, most: most.cpuMillis },
    { field: 'pids', asked: limits.pids, most: most.pids },
    { field: 'diskBytes', asked: limits.diskBytes, most: most.storageBytes },
  ].flatMap(({ field, asked, most: maximum }) => (asked !== undefined && asked > maximum ? [{ path: `limits.${field}`, message: `is more than the tenant's ${maximum}` }] : []));
  const [first] = issues;
  if (first !== undefined) throw new CodedError('invalid_argument', `${first.path}: ${first.message}`, { issues });
}
