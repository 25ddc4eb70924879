import { Inject, Injectable } from '@nestjs/common';
import type { ApiKeyView, CreateApiKey, CreatedApiKey, Scope } from '#contracts';
import { CodedError, newId, parseId, type Clock, type TenantId } from '#kernel';
import type { ApiKey, Repositories } from '#persistence';
import { newKeySecret } from '../auth/api-key-secret.js';
import { KeyAuthenticator } from '../auth/key-authenticator.service.js';
import { CLOCK, REPOSITORIES } from '../platform/platform.js';
import { toApiKeyView } from './tenant-views.js';

@Injectable()
export class ApiKeysService {
  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    private readonly authenticator: KeyAuthenticator,
    @Inject(CLOCK) private readonly clock: Clock,
  ) {}

  /**
   * `grantable`: what the maker may pass on. The key stands in this answer and nowhere else.
   * @throws CodedError `permission_denied` (a scope that the maker has not), `invalid_argument` (it would have expired already)
   */
  async create(tenantId: TenantId, { name, scopes, expiresAt }: CreateApiKey, grantable: readonly Scope[]): Promise<CreatedApiKey> {
    const beyond = scopes.filter((scope) => !grantable.includes(scope));
    if (beyond.length > 0) throw new CodedError('permission_denied', `a key cannot give scopes that it has not: ${beyond.join(', ')}`, { scopes: beyond });
    const now = this.clock.now();
    const expires = expiresAt === undefined ? null : new Date(expiresAt);
    if (expires !== null && expires.getTime() <= now) {
      throw new CodedError('invalid_argument', 'expiresAt: is in the past', { issues: [{ path: 'expiresAt', message: 'is in the past' }] });
    }
    const { secret, hash, prefix } = newKeySecret();
    const key: ApiKey = {
      id: newId('apiKey', now),
      tenantId,
      name,
      prefix,
      hash,
      scopes: [...new Set(scopes)],
      createdAt: new Date(now),
      expiresAt: expires,
      lastUsedAt: null,
      revokedAt: null,
    };
    await this.repositories.apiKeys.create(tenantId, key);
    return { ...toApiKeyView(key), key: secret };
  }

  async list(tenantId: TenantId): Promise<{ items: ApiKeyView[] }> {
    return { items: (await this.repositories.apiKeys.list(tenantId)).map(toApiKeyView) };
  }

  /** Idempotent; in force on every gateway when this returns. @throws CodedError `not_found` */
  async revoke(tenantId: TenantId, id: string): Promise<void> {
    const keyId = parseId('apiKey', id);
    await this.repositories.apiKeys.revoke(tenantId, keyId, new Date(this.clock.now()));
    await this.authenticator.invalidate(keyId);
  }
}
