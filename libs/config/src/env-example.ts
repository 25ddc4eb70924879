import type { z } from 'zod';
import { metaOf } from './load.js';
import { commonVariables, gatewayVariables, workerVariables } from './variables.js';

/** The text of `infra/.env.example`, made from the schemas by `infra/config/env-example.mjs`. */
export function renderEnvExample(): string {
  const common = new Set(Object.keys(commonVariables));
  const only = (variables: Record<string, z.ZodType>) => Object.entries(variables).filter(([name]) => !common.has(name));
  return [
    '# Generated from libs/config by infra/config/env-example.mjs. Sizes: 512MiB. Durations: 30s.',
    '# A variable marked "or _FILE" may be given as NAME_FILE=/path/of/a/file that holds it.',
    ...section('Gateway and worker', Object.entries(commonVariables)),
    ...section('Gateway', only(gatewayVariables)),
    ...section('Worker', only(workerVariables)),
    '',
  ].join('\n');
}

function section(title: string, variables: readonly [string, z.ZodType][]): string[] {
  return ['', `# ── ${title}`, ...variables.flatMap(([name, schema]) => variable(name, schema))];
}

function variable(name: string, schema: z.ZodType): string[] {
  const meta = metaOf(schema);
  const initial = meta.initial ?? initialOf(schema);
  const required = !schema.safeParse(undefined).success;
  const notes = [required ? 'required' : '', meta.secret === true ? 'or _FILE' : ''].filter((note) => note !== '');
  const mark = notes.length > 0 ? ` (${notes.join(', ')})` : '';
  return [`# ${meta.description}${mark}`, `${required ? '' : '#'}${name}=${initial}`];
}

/** The default in the words a user would write it in. */
function initialOf(schema: z.ZodType): string {
  const definition = schema.def as unknown as { defaultValue?: unknown };
  const initial = definition.defaultValue;
  return typeof initial === 'string' || typeof initial === 'number' ? String(initial) : '';
}

