import { readFileSync } from 'node:fs';
import type { z } from 'zod';
import { CodedError, errnoOf } from '#kernel';
import { engineConfigSchema, gatewayConfigSchema, workerConfigSchema, type EngineConfig, type GatewayConfig, type WorkerConfig } from './schemas.js';
import { engineVariables, gatewayVariables, workerVariables, type VariableMeta } from './variables.js';

export type Environment = Readonly<Record<string, string | undefined>>;
type Variables = Readonly<Record<string, z.ZodType>>;

/**
 * Reads and checks all variables of the gateway. Frozen.
 * @throws CodedError `invalid_argument` naming every fault (`details.faults`: variable and rule, never a value).
 */
export function loadGatewayConfig(env: Environment): GatewayConfig {
  return load(env, gatewayVariables, gatewayConfigSchema);
}

/** As `loadGatewayConfig`, for the worker. */
export function loadWorkerConfig(env: Environment): WorkerConfig {
  return load(env, workerVariables, workerConfigSchema);
}

/** As `loadGatewayConfig`, for programs that work with the engine and speak to nobody. */
export function loadEngineConfig(env: Environment): EngineConfig {
  return load(env, engineVariables, engineConfigSchema);
}

export function metaOf(schema: z.ZodType): VariableMeta {
  return schema.meta() as unknown as VariableMeta;
}

function load<T extends object>(env: Environment, variables: Variables, schema: z.ZodType<T>): T {
  const given: Record<string, string> = {};
  const faults: string[] = [];
  const unread = new Set<string>();
  for (const [name, variable] of Object.entries(variables)) {
    const read = metaOf(variable).secret === true ? readSecret(env, name) : { value: env[name] };
    if (read.fault !== undefined) {
      faults.push(read.fault);
      unread.add(name);
    } else if (read.value !== undefined && read.value !== '') {
      // An empty variable is an absent one: that is how compose files and unit files leave one out.
      given[name] = read.value;
    }
  }
  const parsed = schema.safeParse(given);
  for (const issue of parsed.error?.issues ?? []) {
    const name = String(issue.path[0]);
    if (!unread.has(name)) faults.push(`${name} ${name in given ? rule(issue) : 'is required'}`);
  }
  if (!parsed.success || faults.length > 0) throw new CodedError('invalid_argument', `configuration: ${faults.join('; ')}`, { faults });
  return deepFreeze(parsed.data);
}

function readSecret(env: Environment, name: string): { value?: string | undefined; fault?: string } {
  const direct = env[name];
  const file = env[`${name}_FILE`];
  if (file === undefined || file === '') return { value: direct };
  if (direct !== undefined && direct !== '') return { fault: `${name} and ${name}_FILE are both set` };
  try {
    return { value: readFileSync(file, 'utf8').trimEnd() };
  } catch (error) {
    return { fault: `${name}_FILE cannot be read (${errnoOf(error) ?? 'unknown'})` };
  }
}

/** zod's own words quote expected values only; ours name the rule. Neither repeats what was given. */
function rule(issue: z.core.$ZodIssue): string {
  return issue.code === 'invalid_value' ? `must be one of ${issue.values.map(String).join(', ')}` : issue.message;
}

function deepFreeze<T extends object>(value: T): T {
  for (const part of Object.values(value) as unknown[]) if (typeof part === 'object' && part !== null) deepFreeze(part);
  return Object.freeze(value);
}
