import { RUN_LIMIT_BOUNDS, type RunLimits, type TenantLimits } from '#contracts';
import { CodedError } from '#kernel';

/** Limits of a run that cannot exceed what its tenant has on a node altogether. */
const SHARED = ['memoryBytes', 'cpuMillis', 'pids'] as const satisfies readonly (keyof RunLimits & keyof TenantLimits)[];

/**
 * A default above the tenant's maximum is lowered to it: the caller did not ask for it.
 * @throws CodedError `invalid_argument` for a limit that was asked for
 */
export function fitToTenant(limits: RunLimits, tenant: TenantLimits): RunLimits {
  const fitted = { ...limits };
  const issues: { path: string; message: string }[] = [];
  for (const name of SHARED) {
    if (limits[name] <= tenant[name]) continue;
    if (limits[name] === RUN_LIMIT_BOUNDS[name].default) fitted[name] = tenant[name];
    else issues.push({ path: `limits.${name}`, message: `is more than the ${tenant[name]} of the tenant` });
  }
  if (issues.length > 0) throw new CodedError('invalid_argument', `${issues[0]?.path ?? ''}: ${issues[0]?.message ?? ''}`, { issues });
  return fitted;
}
