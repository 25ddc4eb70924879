import { Inject, Injectable } from '@nestjs/common';
import { createHash } from 'node:crypto';
import type { IncomingHttpHeaders } from 'node:http';
import type { Readable } from 'node:stream';
import type { BuildDeliveryView } from '#contracts';
import { asError, CodedError, newId, type Clock, type Logger } from '#kernel';
import type { BuildDelivery, BuildSource, Repositories } from '#persistence';
import type { CallingTenant } from '../auth/caller.js';
import { RateLimits } from '../auth/rate-limits.service.js';
import { CLOCK, LOGGER, REPOSITORIES } from '../platform/platform.js';
import { toBuildDeliveryView } from './build-source-view.js';
import { deliveryKeyOf, readEvent } from './push-event.js';
import { SourceBuilds } from './source-builds.service.js';
import { SourceVault } from './source-vault.js';
import { WebhookBodies } from './webhook-bodies.js';
import { newWebhookSecret, proofOf, type Proof } from './webhook-signature.js';

/** Of each source. */
const DELIVERIES_KEPT = 100;
const HOOK = /^[A-Za-z0-9_-]{22}$/;
const MAX_REASON = 500;

export interface WebhookRequest {
  readonly hook: string;
  readonly headers: IncomingHttpHeaders;
  /** Of the sender. */
  readonly address: string;
  readonly requestId: string;
}

/** Where a webhook leads. */
interface Addressee {
  readonly source: BuildSource;
  readonly tenant: CallingTenant;
}

/** Takes what the hosts of repositories send: who cannot sign gets nothing, what was sent before does nothing again, a push that the source names is built. */
@Injectable()
export class WebhookIntake {
  private readonly bodies = new WebhookBodies();
  /** Of webhooks that are not there: nobody knows it, and a signature is checked all the same. */
  private readonly nobodysSecret = newWebhookSecret();

  constructor(
    @Inject(REPOSITORIES) private readonly repositories: Repositories,
    private readonly limits: RateLimits,
    private readonly builds: SourceBuilds,
    private readonly vault: SourceVault,
    @Inject(CLOCK) private readonly clock: Clock,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  /**
   * `fresh`: it was not known before. The build is queued when this resolves.
   * @throws CodedError `unauthenticated` (no such webhook, or not signed with its secret: the same for both), `rate_limited`, `payload_too_large`, `invalid_argument`,
   * and what the build was refused by: the delivery can be sent again then
   */
  async receive(request: WebhookRequest, body: Readable | undefined): Promise<{ readonly view: BuildDeliveryView; readonly fresh: boolean }> {
    const addressee = HOOK.test(request.hook) ? await this.repositories.buildSources.findByHook(request.hook) : undefined;
    return this.bodies.read(body, addressee?.tenant.id, async (bytes) => {
      const proof = proofOf(this.secretOf(addressee), { headers: request.headers, body: bytes, nowMs: this.clock.now() });
      if (addressee === undefined || proof === undefined) {
        await this.limits.countFailedAuthentication(request.address);
        throw new CodedError('unauthenticated', 'no such webhook, or its signature is wrong');
      }
      await this.limits.countRequest(addressee.tenant, bytes.length);
      return this.take(addressee, request, { bytes, proof });
    });
  }

  private async take({ source, tenant }: Addressee, { headers, requestId }: WebhookRequest, { bytes, proof }: { readonly bytes: Buffer; readonly proof: Proof }): Promise<{ view: BuildDeliveryView; fresh: boolean }> {
    const { event, ref, commit, decision } = readEvent(headers, bytes, source.spec.on);
    const digest = createHash('sha256').update(bytes).digest();
    const key = deliveryKeyOf(headers) ?? digest.toString('hex');
    const now = this.clock.now();
    const ignored = 'ignored' in decision ? decision.ignored : null;
    const { delivery, created } = await this.repositories.buildDeliveries.record(
      tenant.id,
      source.id,
      { id: newId('delivery', now), key, digest: proof === 'body' ? digest : null, event, ref, commit, state: ignored === null ? 'received' : 'ignored', reason: ignored, buildId: null, receivedAt: new Date(now) },
      { keep: DELIVERIES_KEPT },
    );
    // One that was ignored or failed may be sent again, after the source was changed.
    if ('ignored' in decision || delivery.state === 'built') return { view: toBuildDeliveryView(delivery), fresh: created };
    // What identifies the delivery, remembered as long as its build: longer than the history.
    const identity = proof === 'body' ? digest : createHash('sha256').update(key).digest();
    const built = await this.build({ source, tenant }, delivery, { ...decision.push, requestId, idempotencyKey: `webhook ${source.id} ${identity.toString('hex')}` });
    return { view: toBuildDeliveryView(built), fresh: true };
  }

  private async build({ source, tenant }: Addressee, delivery: BuildDelivery, request: Parameters<SourceBuilds['start']>[2]): Promise<BuildDelivery> {
    const { buildDeliveries } = this.repositories;
    try {
      const { id: buildId } = await this.builds.start(tenant, source, request);
      const end = { state: 'built' as const, reason: null, buildId };
      await buildDeliveries.settle(tenant.id, delivery.id, end);
      this.logger.info({ tenantId: tenant.id, sourceId: source.id, deliveryId: delivery.id, buildId }, 'a push is built');
      return { ...delivery, ...end };
    } catch (error) {
      const reason = error instanceof CodedError ? error.message.slice(0, MAX_REASON) : 'failed unexpectedly';
      await buildDeliveries.settle(tenant.id, delivery.id, { state: 'failed', reason, buildId: null }).catch(() => undefined);
      throw error;
    }
  }

  private secretOf(addressee: Addressee | undefined): string {
    if (addressee === undefined) return this.nobodysSecret;
    try {
      return this.vault.secretOf(addressee.source);
    } catch (error) {
      this.logger.error({ sourceId: addressee.source.id, error: asError(error).message }, 'the secret of a webhook was sealed under another token: it has to be made anew');
      return this.nobodysSecret;
    }
  }
}
