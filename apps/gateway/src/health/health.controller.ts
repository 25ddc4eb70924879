import { Controller, Get, Inject, Req, Res } from '@nestjs/common';
import { z } from 'zod';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { createHash, timingSafeEqual } from 'node:crypto';
import { CodedError } from '#kernel';
import { Public } from '../auth/permission.decorator.js';
import { ApiExcludeEndpoint, ApiOperation, ApiResponse, ApiTags } from '../docs/annotations.js';
import { SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import { GatewayMetrics } from './gateway-metrics.js';
import { ReadinessService, type Readiness } from './readiness.service.js';

/** A proxy on this machine hands on requests from anywhere; it says so with one of these. */
const FORWARDED = ['forwarded', 'x-forwarded-for', 'x-real-ip'];
const LOOPBACK = new Set(['127.0.0.1', '::1', '::ffff:127.0.0.1']);

const checkSchema = z.enum(['up', 'down', 'draining']);
const readinessSchema = z.object({ status: z.enum(['ok', 'unavailable']), checks: z.object({ gateway: checkSchema, postgres: checkSchema, redis: checkSchema, nodes: checkSchema }) });

@ApiTags('health')
@Controller()
export class HealthController {
  constructor(
    private readonly readiness: ReadinessService,
    private readonly metrics: GatewayMetrics,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
  ) {}

  @Get('health/live')
  @Public()
  @ApiOperation({ summary: 'The process answers' })
  @ApiResponse({ status: 200, description: 'It does.', standardSchema: z.object({ status: z.literal('ok') }) })
  live(): { status: 'ok' } {
    return { status: 'ok' };
  }

  @Get('health/ready')
  @Public()
  @ApiOperation({ summary: '200 when a run can be taken, else 503' })
  @ApiResponse({ status: 200, description: 'A run can be taken.', standardSchema: readinessSchema })
  @ApiResponse({ status: 503, description: 'It cannot: the checks say why.', standardSchema: readinessSchema })
  async ready(@Res({ passthrough: true }) reply: FastifyReply): Promise<{ status: 'ok' | 'unavailable'; checks: Readiness['checks'] }> {
    const { ready, checks } = await this.readiness.check();
    if (!ready) void reply.status(503);
    return { status: ready ? 'ok' : 'unavailable', checks };
  }

  /** For this machine, or for who shows the metrics token. */
  @Get('metrics')
  @Public()
  @ApiExcludeEndpoint()
  async scrape(@Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<string> {
    if (!this.mayScrape(request)) throw new CodedError('permission_denied', 'metrics are for this machine, or need the metrics token');
    void reply.type(this.metrics.registry.contentType);
    return this.metrics.registry.metrics();
  }

  private mayScrape(request: FastifyRequest): boolean {
    const { metricsToken } = this.settings;
    if (metricsToken === undefined) return LOOPBACK.has(request.socket.remoteAddress ?? '') && FORWARDED.every((name) => request.headers[name] === undefined);
    return sameSecret(request.headers.authorization ?? '', `Bearer ${metricsToken}`);
  }
}

/** In a time that does not tell how much of it is right. */
function sameSecret(given: string, right: string): boolean {
  const digest = (text: string): Buffer => createHash('sha256').update(text).digest();
  return timingSafeEqual(digest(given), digest(right));
}
