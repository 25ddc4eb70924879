import { buildRequestSchema, type BuildRegistriesBody, type BuildRequestBody } from '#contracts';
import { canonicalName, parseReference, withDefaultTag } from '#kernel';
import { ulimitsSchema, type Ulimits } from './container-config.js';
import { ulimitsOf } from './container-policies.js';
import { badParameter, unsupported } from './errors.js';
import { platformOf } from './image-transfers.js';
import type { DockerQuery } from './query.js';
import { toRegistryAuth } from './registry-auth.js';

const NUMBERS = { memory: 'memoryBytes', memswap: 'memorySwapBytes', cpushares: 'cpuShares', cpuperiod: 'cpuPeriodUs', cpuquota: 'cpuQuotaUs', shmsize: 'shmBytes' } as const;

/** The query of `POST /build`. @throws CodedError `invalid_argument`, `unsupported` */
export function buildRequestOf(query: DockerQuery): BuildRequestBody {
  if (query.text('version') === '2') throw unsupported('BuildKit (build with the environment variable DOCKER_BUILDKIT=0: BuildKit)');
  refuseOptions(query);
  platformOf(query.text('platform'));
  const remote = remoteOf(query.text('remote'));
  const parsed = buildRequestSchema.safeParse({
    ...(remote === undefined ? {} : { remote }),
    ...(query.has('dockerfile') && query.text('dockerfile') !== '' ? { dockerfile: query.text('dockerfile') } : {}),
    ...(query.text('target') === '' ? {} : { target: query.text('target') }),
    ...(query.text('platform') === '' ? {} : { platform: query.text('platform').toLowerCase() }),
    buildArgs: textsOf(query, 'buildargs'),
    labels: textsOf(query, 'labels'),
    tags: [...new Set(query.all('t').filter((name) => name !== '').map(tagOf))],
    noCache: query.flag('nocache'),
    pull: query.flag('pull'),
    network: networkOf(query.text('networkmode')),
    extraHosts: listOf(query, 'extrahosts'),
    cacheFrom: listOf(query, 'cachefrom'),
    ulimits: ulimitsOf(ulimitListOf(query)),
    limits: limitsOf(query),
  });
  if (!parsed.success) throw badParameter(`invalid build options: ${parsed.error.issues[0]?.path.join('.') ?? ''}`);
  return parsed.data;
}

/** Of `X-Registry-Config`: one that cannot be read counts as none. */
export function registriesOf(header: string | undefined): BuildRegistriesBody {
  if (header === undefined || header === '') return {};
  const registries: BuildRegistriesBody = {};
  try {
    const given = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as Record<string, Record<string, unknown>>;
    for (const [host, value] of Object.entries(given)) {
      const { auth } = toRegistryAuth(value);
      if (auth !== undefined) registries[host] = auth;
    }
    return registries;
  } catch {
    return {};
  }
}

function tagOf(name: string): string {
  const reference = parseReference(name);
  if (reference.digest !== undefined) throw badParameter('build tag cannot contain a digest');
  return canonicalName(withDefaultTag(reference));
}

/** A JSON object of texts; null is a build argument that the client's environment has not. */
function textsOf(query: DockerQuery, name: string): Record<string, string> {
  const text = query.text(name);
  if (text === '') return {};
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw badParameter(`error reading ${name === 'labels' ? 'labels' : 'build args'}: invalid JSON`);
  }
  if (value === null) return {};
  const texts = typeof value === 'object' ? Object.entries(value).filter(([, each]) => each !== null) : undefined;
  if (texts === undefined || !texts.every(([, each]) => typeof each === 'string')) throw badParameter(`error reading ${name === 'labels' ? 'labels' : 'build args'}: not an object of strings`);
  return Object.fromEntries(texts);
}

/** `client-session` is BuildKit's. */
function remoteOf(text: string): string | undefined {
  if (text === 'client-session') throw unsupported('BuildKit (build with the environment variable DOCKER_BUILDKIT=0: a client session)');
  return text === '' ? undefined : text;
}

/** Of the tenant's own networks any. */
function networkOf(mode: string): string {
  if (mode === '' || mode === 'default' || mode === 'bridge') return 'default';
  if (mode === 'host' || mode.startsWith('container:')) throw unsupported(`the network mode ${JSON.stringify(mode.slice(0, 100))} of a build`);
  return mode;
}

/** What no build has here. `rm` and `forcerm` say what is done anyway: no container of a step stays. @throws CodedError `unsupported`, `invalid_argument` */
function refuseOptions(query: DockerQuery): void {
  for (const name of ['squash', 'outputs', 'cgroupparent', 'session', 'buildid']) if (query.flag(name)) throw unsupported(`the option ${name} of a build`);
  if (!['', 'default'].includes(query.text('isolation'))) throw badParameter(`invalid isolation: ${query.text('isolation').slice(0, 100)}: only default is known`);
  if (arrayOf(query, 'securityopt').length > 0) throw unsupported('the option securityopt of a build');
  if (!['', '{}', 'null'].includes(query.text('storageopt'))) throw unsupported('the option storageopt of a build');
}

function arrayOf(query: DockerQuery, name: string): readonly unknown[] {
  const text = query.text(name);
  if (text === '') return [];
  try {
    const value: unknown = JSON.parse(text);
    if (value === null) return [];
    if (Array.isArray(value)) return value;
  } catch {
    // As what is no list.
  }
  throw badParameter(`error reading ${name}: not a list`);
}

/** A list of texts, or one of them, as the name may also come several times. */
function listOf(query: DockerQuery, name: string): string[] | undefined {
  const values = query.text(name).startsWith('[') || query.text(name) === 'null' ? arrayOf(query, name) : query.all(name).filter((value) => value !== '');
  if (!values.every((value) => typeof value === 'string')) throw badParameter(`error reading ${name}: not a list of strings`);
  return values.length === 0 ? undefined : [...values];
}

/** @throws CodedError `invalid_argument` */
function ulimitListOf(query: DockerQuery): Ulimits {
  const parsed = ulimitsSchema.safeParse(arrayOf(query, 'ulimits'));
  if (!parsed.success) throw badParameter('error reading ulimit settings: not a list of limits');
  return parsed.data;
}

function limitsOf(query: DockerQuery): NonNullable<BuildRequestBody['limits']> {
  const limits: Record<string, number | string> = {};
  for (const [name, field] of Object.entries(NUMBERS)) {
    const value = query.integer(name) ?? 0;
    if (value !== 0) limits[field] = value;
  }
  for (const [name, field] of [['cpusetcpus', 'cpusetCpus'], ['cpusetmems', 'cpusetMems']] as const) if (query.text(name) !== '') limits[field] = query.text(name);
  return limits;
}
