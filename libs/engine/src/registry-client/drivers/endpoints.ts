import { CodedError, DEFAULT_DOMAIN, type Clock } from '#kernel';
import type { RegistryPolicy } from '../registry-client.js';

/** Where docker.io's images and catalogue are. */
export interface DockerHub {
  readonly registry: string;
  readonly search: string;
}

export const DOCKER_HUB: DockerHub = { registry: 'https://registry-1.docker.io', search: 'https://index.docker.io/v1/search' };

export interface Endpoint {
  readonly base: URL;
  readonly kind: 'mirror' | 'hub' | 'registry';
}

/** Where a name's registry is. @throws CodedError `invalid_argument` */
export function endpointOf(domain: string, hub: DockerHub): Endpoint {
  return domain === DEFAULT_DOMAIN ? { base: new URL(hub.registry), kind: 'hub' } : { base: registryUrl(domain), kind: 'registry' };
}

/** What is to be asked before. */
export function mirrorsOf(domain: string, policy: RegistryPolicy): Endpoint[] {
  return domain === DEFAULT_DOMAIN ? policy.mirrors.map((mirror) => ({ base: new URL(mirror), kind: 'mirror' })) : [];
}

/** What `docker login` names: `127.0.0.1:5000`, `https://index.docker.io/v1/`. @throws CodedError `invalid_argument` */
export function endpointOfAddress(address: string, hub: DockerHub): Endpoint {
  const host = address.replace(/^https?:\/\//, '').replace(/\/.*$/s, '');
  if (host === '' || host === DEFAULT_DOMAIN || host === 'index.docker.io' || host === 'registry-1.docker.io') return { base: new URL(hub.registry), kind: 'hub' };
  return { base: registryUrl(host), kind: 'registry' };
}

function registryUrl(host: string): URL {
  try {
    const url = new URL(`https://${host}`);
    if (url.username === '' && url.password === '' && url.pathname === '/' && url.search === '' && url.hash === '') return url;
  } catch {
    // Said below.
  }
  throw new CodedError('invalid_argument', `invalid registry host: ${JSON.stringify(host.slice(0, 200))}`);
}

const REMEMBERED_MS = 60_000;

/** What the last attempt to reach a host has told, for a minute: on a machine without a way out, every pull would wait for it. */
export class Reachability {
  private readonly failures = new Map<string, { readonly error: CodedError; readonly until: number }>();

  constructor(private readonly clock: Clock) {}

  /** @throws CodedError: that of the attempt that failed less than a minute ago */
  check(base: URL): void {
    const failure = this.failures.get(base.origin);
    if (failure && failure.until > this.clock.now()) throw failure.error;
    this.failures.delete(base.origin);
  }

  failed(base: URL, error: CodedError): void {
    this.failures.set(base.origin, { error, until: this.clock.now() + REMEMBERED_MS });
  }
}
