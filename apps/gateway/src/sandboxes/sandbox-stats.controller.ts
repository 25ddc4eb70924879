import { Controller, Get, Inject, Param, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Readable } from 'node:stream';
import { sandboxStatsSchema } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { Lifecycle } from '../platform/lifecycle.js';
import { SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import { hangUpSignal } from '../protocols/rest/hang-up.js';
import { jsonLines } from '../protocols/rest/json-lines.js';
import { statsQuerySchema, type StatsQuery } from './sandbox-requests.schema.js';
import { SandboxStatsService } from './sandbox-stats.service.js';
import { SANDBOX_ID } from './sandboxes.controller.js';

@ApiTags('sandboxes')
@Controller('v1/sandboxes/:id')
export class SandboxStatsController {
  constructor(
    private readonly stats: SandboxStatsService,
    private readonly lifecycle: Lifecycle,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
  ) {}

  @Get('stats')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'What a sandbox takes', description: 'Once; with `?stream=true` one JSON object a line, each second, until the sandbox stops (`running` is false in the last line).' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse({ status: 200, description: 'Its figures.', standardSchema: sandboxStatsSchema })
  @Keyed(404)
  async get(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Query({ schema: statsQuerySchema }) query: StatsQuery, @Res() reply: FastifyReply): Promise<void> {
    const over = AbortSignal.any([hangUpSignal(reply), this.lifecycle.draining]);
    if (!query.stream) {
      await reply.header('cache-control', 'no-store').send(await this.stats.once(caller, id, over));
      return;
    }
    const figures = await this.stats.follow(caller, id, over);
    const cut = (): void => {
      reply.raw.destroy();
    };
    const lines = Readable.from(jsonLines(figures, () => setTimeout(cut, this.settings.stallMs)), { objectMode: false, highWaterMark: 64 * 1024 });
    await reply.type('application/x-ndjson').header('cache-control', 'no-store').send(lines);
  }
}
