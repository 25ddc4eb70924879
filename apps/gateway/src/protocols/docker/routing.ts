import type { IncomingMessage } from 'node:http';
import { CodedError } from '#kernel';

/** Where Docker's routes stand inside; nobody outside can name it. */
export const DOCKER_PREFIX = '/docker';
/** Every Docker request has this type inside: none of its bodies is parsed before its route asks for it. */
export const DOCKER_CONTENT = 'application/x-sandbar-docker';

export const MAX_API = '1.50';
export const MIN_API = '1.24';

const VERSIONED = /^\/v(\d+\.\d+)(\/.*)?$/;
/** First components of Docker's paths. What REST serves stands below `/v1/`, `/docs`, `/health` and `/metrics`. */
const NOUNS = new Set([
  '_ping', 'auth', 'build', 'commit', 'configs', 'containers', 'distribution', 'events', 'exec', 'grpc', 'images', 'info', 'networks', 'nodes', 'plugins', 'secrets', 'services', 'session',
  'swarm', 'system', 'tasks', 'version', 'volumes',
]);

/** Names of images hold slashes and colons, escaped or not: what follows the name tells where it ends. */
const NAMED: readonly { readonly methods: readonly string[]; readonly form: RegExp }[] = [
  { methods: ['GET', 'HEAD'], form: /^\/(images|distribution)\/(.+)\/(json|history|get)$/ },
  { methods: ['POST'], form: /^\/(images)\/(.+)\/(tag|push)$/ },
  // A link's name is that of a container, a slash and its own.
  { methods: ['DELETE'], form: /^\/(images|containers)\/(.+)$/ },
];

const requests = new WeakMap<IncomingMessage, { readonly version: string | undefined }>();

/**
 * Fastify's `rewriteUrl`: Docker's paths (`/v1.43/images/a/b:c/json`, `/_ping`) become routes below the prefix with the image's name as one
 * component; all other paths stay what they are.
 */
export function rewriteDockerUrl(message: IncomingMessage): string {
  const target = message.url ?? '/';
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const query = mark < 0 ? '' : target.slice(mark);
  // The prefix itself is no public path.
  if (path === DOCKER_PREFIX || path.startsWith(`${DOCKER_PREFIX}/`)) return `/-${target}`;
  const versioned = VERSIONED.exec(path);
  const bare = versioned === null ? path : (versioned[2] ?? '/');
  if (versioned === null && !NOUNS.has(bare.split('/', 2)[1] ?? '')) return target;
  requests.set(message, { version: versioned?.[1] });
  message.headers['content-type'] = DOCKER_CONTENT;
  return DOCKER_PREFIX + withOneComponentNames(message.method ?? 'GET', bare) + query;
}

export function isDockerRequest(message: IncomingMessage): boolean {
  return requests.has(message);
}

/** Whether a target is one of Docker's, before the request is routed: upgrades are offered before. */
export function isDockerTarget(target: string): boolean {
  const path = target.split('?', 1)[0] ?? '/';
  return VERSIONED.test(path) || NOUNS.has(path.split('/', 2)[1] ?? '');
}

export type HijackKind = 'attach' | 'attach-ws' | 'exec-start';

/** A request whose connection is to become a stream. */
export interface DockerHijack {
  readonly kind: HijackKind;
  /** The container or the exec, decoded. */
  readonly ref: string;
}

const HIJACKS: readonly { readonly kind: HijackKind; readonly method: string; readonly form: RegExp; readonly webSocket: boolean }[] = [
  { kind: 'attach', method: 'POST', form: /^\/containers\/([^/]+)\/attach$/, webSocket: false },
  { kind: 'exec-start', method: 'POST', form: /^\/exec\/([^/]+)\/start$/, webSocket: false },
  { kind: 'attach-ws', method: 'GET', form: /^\/containers\/([^/]+)\/attach\/ws$/, webSocket: true },
];

/** Of a request with `Upgrade:`. Undefined when it is none of Docker's streams: the header is then an offer that is ignored, as Docker does. */
export function hijackOf({ url, method, headers }: IncomingMessage): DockerHijack | undefined {
  const path = (url ?? '').split('?', 1)[0] ?? '';
  const bare = VERSIONED.exec(path)?.[2] ?? path;
  const webSocket = headers.upgrade?.toLowerCase() === 'websocket';
  for (const hijack of HIJACKS) {
    const ref = hijack.method === method && hijack.webSocket === webSocket ? hijack.form.exec(bare)?.[1] : undefined;
    if (ref !== undefined) return { kind: hijack.kind, ref: decoded(ref) };
  }
  return undefined;
}

/** The version that the client speaks, as a number that compares: 1.43 → 43. Without one in the path it is ours. */
export function apiVersionOf(message: IncomingMessage): number {
  return minorOf(requests.get(message)?.version ?? MAX_API);
}

/** @throws CodedError `invalid_argument`, in Docker's words */
export function assertVersion(message: IncomingMessage): void {
  const version = requests.get(message)?.version;
  if (version === undefined) return;
  const [major = 0] = version.split('.').map(Number);
  if (major > 1 || minorOf(version) > minorOf(MAX_API)) throw new CodedError('invalid_argument', `client version ${version} is too new. Maximum supported API version is ${MAX_API}`);
  if (major < 1 || minorOf(version) < minorOf(MIN_API)) {
    throw new CodedError('invalid_argument', `client version ${version} is too old. Minimum supported API version is ${MIN_API}, please upgrade your client to a newer version`);
  }
}

function minorOf(version: string): number {
  return Number(version.split('.')[1] ?? 0);
}

function withOneComponentNames(method: string, path: string): string {
  for (const { methods, form } of NAMED) {
    const found = methods.includes(method) ? form.exec(path) : null;
    if (found === null) continue;
    const [, noun = '', name = '', suffix] = found;
    const component = asComponent(name);
    return component === undefined ? path : `/${noun}/${component}${suffix === undefined ? '' : `/${suffix}`}`;
  }
  return path;
}

/** What is malformed names nothing. */
function decoded(component: string): string {
  try {
    return decodeURIComponent(component);
  } catch {
    return component;
  }
}

function asComponent(name: string): string | undefined {
  try {
    return encodeURIComponent(decodeURIComponent(name));
  } catch {
    return undefined;
  }
}
