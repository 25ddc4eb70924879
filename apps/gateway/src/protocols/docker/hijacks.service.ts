import { Inject, Injectable, type OnApplicationShutdown, type OnModuleInit } from '@nestjs/common';
import { HttpAdapterHost } from '@nestjs/core';
import { STATUS_CODES, type IncomingMessage, type Server } from 'node:http';
import type { Duplex } from 'node:stream';
import { asError, type Logger } from '#kernel';
import { asTenantCaller, assertPermitted } from '../../auth/caller.js';
import { RateLimits } from '../../auth/rate-limits.service.js';
import { LOGGER } from '../../platform/platform.js';
import { linger } from '../../streams/splice.js';
import { UpgradeAuthenticator } from '../../streams/upgrade-authenticator.service.js';
import { contextOf } from '../rest/request-context.js';
import { toRestError } from '../rest/rest-error.js';
import { toDockerError } from './errors.js';
import { answerHead, type HijackCall } from './hijack-call.js';
import { HijackedStreams } from './hijacked-streams.service.js';
import { DockerQuery } from './query.js';
import { apiVersionOf, assertVersion, hijackOf, rewriteDockerUrl, type DockerHijack } from './routing.js';

/**
 * Docker's upgrades and hijacks: requests with `Upgrade:` to attach to a container and to start an exec. They come past the routes, so what holds there holds here
 * anew: who is calling, how often, whether it may, which version; every refusal is Docker's error as a plain answer.
 */
@Injectable()
export class DockerHijacks implements OnModuleInit, OnApplicationShutdown {
  private readonly onUpgrade = (message: IncomingMessage, socket: Duplex, head: Buffer): void => {
    const hijack = hijackOf(message);
    if (hijack !== undefined) void this.serve(hijack, { message, socket, head });
  };

  constructor(
    private readonly adapter: HttpAdapterHost,
    private readonly authenticator: UpgradeAuthenticator,
    private readonly limits: RateLimits,
    private readonly streams: HijackedStreams,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  onModuleInit(): void {
    this.server.on('upgrade', this.onUpgrade);
  }

  onApplicationShutdown(): void {
    this.server.off('upgrade', this.onUpgrade);
  }

  private get server(): Server {
    return this.adapter.httpAdapter.getHttpServer() as Server;
  }

  private async serve({ kind, ref }: DockerHijack, { message, socket, head }: Pick<HijackCall, 'message' | 'socket' | 'head'>): Promise<void> {
    const began = performance.now();
    // A peer that resets at any time must not end the process.
    socket.on('error', () => undefined);
    const context = contextOf(message);
    let fields: object;
    try {
      const query = new DockerQuery(rewriteDockerUrl(message));
      context.caller = await this.authenticator.authenticate(message, undefined);
      if (context.caller.tenant !== null) await this.limits.countRequest(context.caller.tenant);
      assertPermitted(context.caller, 'host:write');
      assertVersion(message);
      const call: HijackCall = { caller: asTenantCaller(context.caller), ref, query, version: apiVersionOf(message), message, socket, head };
      fields = { status: 101, ...(await this.streams.serve(kind, call)) };
    } catch (error) {
      const refusal = toDockerError(error);
      const { code, unexpected } = toRestError(error);
      if (unexpected) this.logger.error({ err: asError(error), requestId: context.id }, 'a request failed unexpectedly');
      refuse(socket, refusal.status, refusal.message);
      fields = { status: refusal.status, error: code };
    }
    this.logger.info({ requestId: context.id, tenantId: context.caller?.tenant?.id, keyId: context.caller?.keyId, method: message.method, route: `/docker/${kind}`, upgrade: true, ...fields, durationMs: Math.round(performance.now() - began) }, 'request');
  }
}

function refuse(socket: Duplex, status: number, message: string): void {
  if (!socket.writable) {
    socket.destroy();
    return;
  }
  const body = JSON.stringify({ message });
  const headers = { 'content-type': 'application/json', 'content-length': String(Buffer.byteLength(body)), ...(status === 401 ? { 'www-authenticate': 'Bearer realm="sandbar"' } : {}), connection: 'close' };
  socket.end(answerHead(`${status} ${STATUS_CODES[status] ?? 'Error'}`, headers) + body, () => {
    linger(socket);
  });
}
