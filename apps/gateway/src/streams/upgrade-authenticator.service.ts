import { Inject, Injectable } from '@nestjs/common';
import type { IncomingMessage } from 'node:http';
import type { TicketView } from '#contracts';
import { CodedError, isCodedError } from '#kernel';
import type { Tickets } from '#queue';
import type { Caller } from '../auth/caller.js';
import { KeyAuthenticator } from '../auth/key-authenticator.service.js';
import { RateLimits } from '../auth/rate-limits.service.js';
import { TICKETS } from '../platform/platform.js';

const TICKET_SECONDS = 30;

/** Who asks for an upgrade: by header, or by a ticket, because browsers cannot set headers on WebSockets. */
@Injectable()
export class UpgradeAuthenticator {
  constructor(
    @Inject(TICKETS) private readonly tickets: Tickets,
    private readonly keys: KeyAuthenticator,
    private readonly limits: RateLimits,
  ) {}

  /** Good once, for thirty seconds, and only as long as the caller's key is. The ticket stands for the key's hash, not for the key. */
  async issue(caller: Caller): Promise<TicketView> {
    const { ticket, expiresAt } = await this.tickets.issue(caller.keyHash, TICKET_SECONDS);
    return { ticket, expiresAt: expiresAt.toISOString() };
  }

  /** @throws CodedError `unauthenticated`, `rate_limited` */
  async authenticate(message: IncomingMessage, ticket: string | undefined): Promise<Caller> {
    try {
      if (ticket === undefined) return await this.keys.authenticateMessage(message);
      const keyHash = await this.tickets.redeem(ticket);
      if (keyHash === undefined) throw new CodedError('unauthenticated', 'the ticket is not valid (it is good once, for 30 seconds)');
      return await this.keys.authenticateHash(keyHash);
    } catch (error) {
      if (isCodedError(error, 'unauthenticated')) await this.limits.countFailedAuthentication(message.socket.remoteAddress ?? '');
      throw error;
    }
  }
}
