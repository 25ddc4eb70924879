import { Injectable } from '@nestjs/common';
import type { Scope } from '#contracts';
import { asTenantCaller, assertPermitted, type TenantCaller } from '../auth/caller.js';
import { RateLimits } from '../auth/rate-limits.service.js';
import { contextOf } from '../protocols/rest/request-context.js';
import { UpgradeAuthenticator } from './upgrade-authenticator.service.js';
import type { UpgradeRequest } from './upgrade-route.js';

/** Who may have a WebSocket. Asked before anything else: a stranger learns nothing, not even that its query is wrong. */
@Injectable()
export class UpgradeAdmission {
  constructor(
    private readonly authenticator: UpgradeAuthenticator,
    private readonly limits: RateLimits,
  ) {}

  /** By header, or by `?ticket=`. @throws CodedError `unauthenticated`, `rate_limited`, `permission_denied` */
  async admit({ message, query }: Pick<UpgradeRequest, 'message' | 'query'>, scope: Scope): Promise<TenantCaller> {
    const context = contextOf(message);
    const caller = await this.authenticator.authenticate(message, query.get('ticket') ?? undefined);
    context.caller = caller;
    if (caller.tenant !== null) await this.limits.countRequest(caller.tenant);
    assertPermitted(caller, scope);
    return asTenantCaller(caller);
  }
}
