import { Inject, Injectable } from '@nestjs/common';
import type { WebSocket } from 'ws';
import { LOG_CLOSE_CODES, type Scope } from '#contracts';
import { isCodedError, type Logger } from '#kernel';
import { asTenantCaller, assertPermitted, type TenantCaller } from '../auth/caller.js';
import { RateLimits } from '../auth/rate-limits.service.js';
import { GatewayMetrics } from '../health/gateway-metrics.js';
import { LOGGER } from '../platform/platform.js';
import { contextOf } from '../protocols/rest/request-context.js';
import { invalidArgument } from '../protocols/rest/validation.pipe.js';
import type { FrameSource, ReadOptions } from './log-reader.js';
import { logSocketQuerySchema } from './log-requests.schema.js';
import { SlowReaderError, SocketWriter } from './socket-writer.js';
import { UpgradeAuthenticator } from './upgrade-authenticator.service.js';
import type { UpgradeRequest } from './upgrade-route.js';

/** Whose logs a WebSocket route has. */
export interface LogSocketRoute {
  readonly path: string;
  readonly permission: Scope;
  readonly open: (caller: TenantCaller, id: string, options: ReadOptions) => Promise<FrameSource>;
}

export interface AdmittedLogSocket {
  readonly source: FrameSource;
  readonly ids: { readonly requestId: string; readonly tenantId: string; readonly id: string; readonly route: string };
}

/** A log as JSON text messages: every frame once, in order, exactly one end frame, then close 1000. */
@Injectable()
export class LogSockets {
  constructor(
    private readonly authenticator: UpgradeAuthenticator,
    private readonly limits: RateLimits,
    private readonly metrics: GatewayMetrics,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  async decide({ message, parameters, query }: UpgradeRequest, { path, permission, open }: LogSocketRoute): Promise<AdmittedLogSocket> {
    const context = contextOf(message);
    const parsed = logSocketQuerySchema.safeParse(Object.fromEntries(query));
    // Who is calling comes first: a stranger learns nothing, not even that its query is wrong.
    const caller = await this.authenticator.authenticate(message, query.get('ticket') ?? undefined);
    context.caller = caller;
    if (caller.tenant !== null) await this.limits.countRequest(caller.tenant);
    assertPermitted(caller, permission);
    if (!parsed.success) throw invalidArgument(parsed.error.issues);
    const tenantCaller = asTenantCaller(caller);
    const id = parameters['id'] ?? '';
    const source = await open(tenantCaller, id, { after: parsed.data.after, follow: true });
    return { source, ids: { requestId: context.id, tenantId: tenantCaller.tenant.id, id, route: path } };
  }

  async stream(socket: WebSocket, { source, ids }: AdmittedLogSocket): Promise<void> {
    const began = performance.now();
    const closed = new AbortController();
    socket.once('close', () => {
      closed.abort();
    });
    this.metrics.logSockets.inc();
    let frames = 0;
    let code: number = LOG_CLOSE_CODES.unavailable;
    try {
      const writer = new SocketWriter(socket);
      let complete = false;
      for await (const frame of source(closed.signal)) {
        await writer.send(JSON.stringify(frame));
        frames += 1;
        complete = frame.type === 'end';
      }
      await writer.drained();
      if (complete) code = LOG_CLOSE_CODES.complete;
    } catch (error) {
      code = this.closeCodeFor(error, closed.signal, ids);
    } finally {
      this.metrics.logSockets.dec();
      socket.close(code);
      this.logger.info({ ...ids, method: 'GET', upgrade: true, frames, closeCode: code, durationMs: Math.round(performance.now() - began) }, 'request');
    }
  }

  private closeCodeFor(error: unknown, closed: AbortSignal, ids: object): number {
    if (error instanceof SlowReaderError) return LOG_CLOSE_CODES.slow;
    if (isCodedError(error, 'gone')) return LOG_CLOSE_CODES.gone;
    if (!closed.aborted) this.logger.warn({ err: error, ...ids }, 'a log stream broke off');
    return LOG_CLOSE_CODES.unavailable;
  }
}
