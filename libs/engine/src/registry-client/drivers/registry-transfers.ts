import { join } from 'node:path';
import { CodedError, canonicalName, familiarName, familiarRepository, isCodedError, isId, silentLogger, systemClock, withDefaultTag, type Clock, type ImageReference, type Logger } from '#kernel';
import type { ContentStore } from '../../content/index.js';
import type { HostEvents } from '../../events/index.js';
import type { TenantImages } from '../../images/index.js';
import type { ImageTransfers, PullRequest, PullResult, PushRequest, PushResult, RegistryAuth, RegistryPolicy, SearchResult } from '../registry-client.js';
import { AddressPolicy } from './address-policy.js';
import { Dialer } from './dialer.js';
import { DOCKER_HUB, Reachability, endpointOf, endpointOfAddress, mirrorsOf, type DockerHub, type Endpoint } from './endpoints.js';
import { isUnreachable } from './failures.js';
import { KnownBlobs } from './known-blobs.js';
import { checkLogin } from './login.js';
import { GzipLayers } from './gzip-layers.js';
import { Pull } from './pull.js';
import { Push, announcePush, imageToPush } from './push.js';
import { RegistrySession, type TransferTiming } from './registry-session.js';
import { searchHub, searchProvided } from './search.js';
import { pullStandIn } from './stand-in.js';
import { readTags } from './tags.js';

const TIMING: TransferTiming = { connectMs: 5_000, stallMs: 30_000, backoffMs: 500, layerWaitMs: 15_000 };

export interface RegistryTransfersOptions {
  /** A directory of its own, made when it is first needed. */
  readonly root: string;
  readonly images: TenantImages;
  readonly content: ContentStore;
  readonly policy: RegistryPolicy;
  readonly events: HostEvents;
  readonly logger?: Logger;
  readonly clock?: Clock;
  readonly timing?: Partial<TransferTiming>;
  readonly hub?: DockerHub;
  /** What the images of a name space may take up, bytes. undefined: no limit. */
  readonly quotaBytesOf?: (namespace: string) => number | undefined;
}

/** Over HTTP, as the distribution specification and Docker's registries have it. */
export class RegistryTransfers implements ImageTransfers {
  private readonly clock: Clock;
  private readonly logger: Logger;
  private readonly timing: TransferTiming;
  private readonly hub: DockerHub;
  private readonly addresses: AddressPolicy;
  private readonly reachability: Reachability;
  private readonly gzipLayers: GzipLayers;
  private readonly known: KnownBlobs;

  constructor(private readonly options: RegistryTransfersOptions) {
    this.clock = options.clock ?? systemClock;
    this.logger = options.logger ?? silentLogger;
    this.timing = { ...TIMING, ...options.timing };
    this.hub = options.hub ?? DOCKER_HUB;
    this.addresses = new AddressPolicy(options.policy);
    this.reachability = new Reachability(this.clock);
    this.known = new KnownBlobs(options.images, join(options.root, 'fetched'));
    this.gzipLayers = new GzipLayers(options.root);
  }

  async pull(asked: PullRequest): Promise<PullResult> {
    const request = { ...asked, reference: named(asked.reference) };
    const result = await this.pullAnywhere(request);
    this.publish('pull', request, familiarName(request.reference));
    return result;
  }

  listTags(reference: ImageReference, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<string[]> {
    return this.anywhere(reference, auth, signal, (session) => readTags(session, reference));
  }

  async push(asked: PushRequest): Promise<PushResult> {
    const request = { ...asked, reference: withDefaultTag(asked.reference) };
    const record = await imageToPush(this.options.images, request.namespace, request.reference);
    announcePush(request);
    const endpoint = endpointOf(request.reference.domain, this.hub);
    const stores = { ...this.options, clock: this.clock, gzipLayers: this.gzipLayers };
    const result = await this.withSession(endpoint, request.auth, request.signal, (session) => new Push(session, stores, request, record).run());
    this.publish('push', request, familiarName(request.reference));
    return result;
  }

  async login(serverAddress: string, auth: RegistryAuth, signal: AbortSignal): Promise<{ readonly identityToken?: string }> {
    return this.withSession(endpointOfAddress(serverAddress, this.hub), auth, signal, (session) => checkLogin(session, auth));
  }

  async search(term: string, limit: number, signal: AbortSignal): Promise<SearchResult[]> {
    const provided = await searchProvided(this.options.images, term);
    const listed = await this.searchHub(term, limit, signal);
    const known = new Set(listed.map(({ name }) => name));
    return [...provided.filter(({ name }) => !known.has(name)), ...listed].slice(0, limit);
  }

  private async searchHub(term: string, limit: number, signal: AbortSignal): Promise<SearchResult[]> {
    const base = new URL(this.hub.search);
    const dialer = new Dialer(this.addresses, this.timing);
    try {
      this.reachability.check(base);
      return await searchHub(dialer, this.hub.search, { term, limit, signal }, this.logger);
    } catch (error) {
      if (isUnreachable(error)) this.reachability.failed(base, error);
      if (!isCodedError(error) || error.code === 'cancelled') throw error;
      return [];
    } finally {
      dialer.close();
    }
  }

  private async pullAnywhere(request: PullRequest): Promise<PullResult> {
    const { reference, auth, signal } = request;
    try {
      return await this.anywhere(reference, auth, signal, (session) => new Pull(session, { ...this.options, clock: this.clock, known: this.known }, request).run());
    } catch (error) {
      // Also when it was not this time that the host could not be reached.
      const standIn = isHubSilent(error) ? await pullStandIn({ ...this.options, clock: this.clock }, request) : undefined;
      if (!standIn) throw error;
      this.logger.info({ namespace: request.namespace, image: canonicalName(reference) }, 'the node’s own image stands in for one that cannot be fetched');
      return standIn;
    }
  }

  /** With the first registry of a name that does it: mirrors, without credentials, before docker.io itself. */
  private async anywhere<T>(reference: ImageReference, auth: RegistryAuth | undefined, signal: AbortSignal, action: (session: RegistrySession) => Promise<T>): Promise<T> {
    for (const endpoint of mirrorsOf(reference.domain, this.options.policy)) {
      try {
        return await this.withSession(endpoint, undefined, signal, action);
      } catch (error) {
        if (!isCodedError(error) || error.code === 'cancelled' || error.code === 'resource_exhausted' || error.code === 'quota_exceeded') throw error;
        this.logger.warn({ err: error, mirror: endpoint.base.origin }, 'a mirror did not give an image');
      }
    }
    return this.withSession(endpointOf(reference.domain, this.hub), auth, signal, action);
  }

  private async withSession<T>(endpoint: Endpoint, auth: RegistryAuth | undefined, signal: AbortSignal, action: (session: RegistrySession) => Promise<T>): Promise<T> {
    const dialer = new Dialer(this.addresses, this.timing);
    try {
      return await action(await this.openSession(endpoint, dialer, auth, signal));
    } finally {
      dialer.close();
    }
  }

  private async openSession({ base, kind }: Endpoint, dialer: Dialer, auth: RegistryAuth | undefined, signal: AbortSignal): Promise<RegistrySession> {
    const open = (): Promise<RegistrySession> => RegistrySession.open({ dialer, base, trusted: kind === 'mirror', auth, timing: this.timing, clock: this.clock, signal });
    if (kind !== 'hub') return open();
    try {
      this.reachability.check(base);
      return await open();
    } catch (error) {
      if (!isUnreachable(error)) throw error;
      if (error.details.hub !== true) this.reachability.failed(base, hubSilent(error));
      throw hubSilent(error);
    }
  }

  private publish(action: 'pull' | 'push', { namespace, reference }: PushRequest, id: string): void {
    if (isId('tenant', namespace)) this.options.events.publish(namespace, { type: 'image', action, id, attributes: { name: familiarRepository(reference) } });
  }
}

/** A digest says exactly which: a tag beside it means nothing. */
function named(reference: ImageReference): ImageReference {
  const { domain, path, digest } = reference;
  return digest === undefined ? withDefaultTag(reference) : { domain, path, digest };
}

function hubSilent(error: CodedError): CodedError {
  return new CodedError(error.code, error.message, { ...error.details, hub: true }, { cause: error });
}

function isHubSilent(error: unknown): boolean {
  return isUnreachable(error) && error.details.hub === true;
}
