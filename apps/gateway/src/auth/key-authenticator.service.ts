import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import { CodedError, type ApiKeyId, type Clock, type Logger } from '#kernel';
import type { ApiKey, Repositories, Tenant } from '#persistence';
import { EVERY_SUBJECT, type AuthInvalidation } from '#queue';
import { AUTH_INVALIDATION, CLOCK, LOGGER, REPOSITORIES } from '../platform/platform.js';
import { bearerKey, hashKeySecret } from './api-key-secret.js';
import type { Caller } from './caller.js';
import { certifiedKeyOf } from './client-certificate.js';

const CACHE_TTL_MS = 5_000;
const CACHE_SIZE = 10_000;
const TOUCH_INTERVAL_MS = 5_000;

interface Entry {
  readonly key: ApiKey;
  readonly tenant: Tenant | null;
  readonly readAt: number;
}

/**
 * Finds the caller that a key names. Answers are kept for five seconds; a revocation is announced to every gateway and empties the
 * entry at once (without Redis, the five seconds bound it).
 */
@Injectable()
export class KeyAuthenticator implements OnModuleInit, OnApplicationShutdown {
  private readonly cache = new Map<string, Entry>();
  private uses = new Map<ApiKeyId, Date>();
  /** Rises with each invalidation: a row that was read before it must not enter the cache after it. */
  private generation = 0;
  private timer: NodeJS.Timeout | undefined;

  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    @Inject(AUTH_INVALIDATION) private readonly invalidation: AuthInvalidation,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async onModuleInit(): Promise<void> {
    await this.invalidation.subscribe((subject) => {
      this.forget(subject);
    });
    this.timer = setInterval(() => void this.flushUses(), TOUCH_INTERVAL_MS);
    this.timer.unref();
  }

  async onApplicationShutdown(): Promise<void> {
    clearInterval(this.timer);
    await this.flushUses();
  }

  /** @throws CodedError `unauthenticated`, the same for a missing, malformed, unknown, expired or revoked key */
  async authenticate(authorization: string | undefined): Promise<Caller> {
    const secret = bearerKey(authorization);
    if (secret === undefined) throw unauthenticated();
    return this.authenticateHash(hashKeySecret(secret));
  }

  /**
   * By the request's header, or else by the client's certificate. Browsers show a certificate with whatever any page asks of them: what comes from
   * one needs the header.
   */
  async authenticateMessage({ headers, socket }: IncomingMessage): Promise<Caller> {
    const fromBrowser = headers.origin !== undefined || headers['sec-fetch-site'] !== undefined;
    const keyId = headers.authorization === undefined && !fromBrowser ? certifiedKeyOf(socket) : undefined;
    if (keyId === undefined) return this.authenticate(headers.authorization);
    return this.admit(await this.lookUp(keyId, () => this.repositories.apiKeys.findById(keyId)));
  }

  /** When the key ends by itself. @throws CodedError `unauthenticated` */
  async expiryOf(keyId: ApiKeyId): Promise<Date | null> {
    return (await this.lookUp(keyId, () => this.repositories.apiKeys.findById(keyId))).key.expiresAt;
  }

  /** As `authenticate`, for a ticket that stands for the key with this hash. */
  async authenticateHash(hash: string): Promise<Caller> {
    return this.admit(await this.lookUp(hash, () => this.repositories.apiKeys.findByHash(hash)));
  }

  private admit({ key, tenant }: Entry): Caller {
    const now = this.clock.now();
    if (key.revokedAt !== null || (key.expiresAt !== null && key.expiresAt.getTime() <= now)) throw unauthenticated();
    // A tenant's key whose tenant could not be found must not turn into the operator's.
    if (key.tenantId !== null && tenant === null) throw unauthenticated();
    this.uses.set(key.id, new Date(now));
    return { keyId: key.id, keyHash: key.hash, scopes: key.scopes, tenant };
  }

  /** Says on every gateway, here at once, that what is known of this key or tenant is stale. */
  async invalidate(subject: string): Promise<void> {
    this.forget(subject);
    try {
      await this.invalidation.announce(subject);
    } catch (error) {
      this.logger.warn({ err: error, subject }, 'could not announce a revocation: other gateways see it within seconds');
    }
  }

  async flushUses(): Promise<void> {
    if (this.uses.size === 0) return;
    const uses = this.uses;
    this.uses = new Map();
    try {
      await this.repositories.apiKeys.touch(uses);
    } catch (error) {
      this.logger.warn({ err: error, keys: uses.size }, 'could not note the last use of keys');
    }
  }

  /** `name`: a key's hash or its id. */
  private async lookUp(name: string, read: () => Promise<Omit<Entry, 'readAt'> | undefined>): Promise<Entry> {
    const cached = this.cache.get(name);
    if (cached !== undefined && this.clock.now() - cached.readAt < CACHE_TTL_MS) return cached;
    this.cache.delete(name);
    const generation = this.generation;
    const found = await read();
    if (found === undefined) throw unauthenticated();
    const entry = { ...found, readAt: this.clock.now() };
    if (generation === this.generation) this.keep(name, entry);
    return entry;
  }

  private keep(name: string, entry: Entry): void {
    if (this.cache.size >= CACHE_SIZE) {
      for (const oldest of this.cache.keys()) {
        this.cache.delete(oldest);
        break;
      }
    }
    this.cache.set(name, entry);
  }

  private forget(subject: string): void {
    this.generation += 1;
    if (subject === EVERY_SUBJECT) {
      this.cache.clear();
      return;
    }
    for (const [name, { key, tenant }] of this.cache) {
      if (key.id === subject || tenant?.id === subject) this.cache.delete(name);
    }
  }
}

function unauthenticated(): CodedError {
  return new CodedError('unauthenticated', 'a valid API key is needed: Authorization: Bearer sbk_…');
}
