import { Controller, Get, Inject, Param, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Readable } from 'node:stream';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { Lifecycle } from '../platform/lifecycle.js';
import { SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import { hangUpSignal } from '../protocols/rest/hang-up.js';
import { jsonLines } from '../protocols/rest/json-lines.js';
import { logQuerySchema, type LogQuery } from './log-requests.schema.js';
import { RunLogReader } from './run-log-reader.service.js';

@ApiTags('runs')
@Controller('v1/runs')
export class RunLogsController {
  constructor(
    private readonly reader: RunLogReader,
    private readonly lifecycle: Lifecycle,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
  ) {}

  /** The same frames as over WebSocket, one JSON object a line. An answer that ends without an end frame is not complete. */
  @Get(':id/logs')
  @RequirePermission('runs:read')
  @ApiOperation({ summary: 'The log of a run', description: 'One JSON object a line; the last one has `"type":"end"`. The same path takes WebSocket upgrades (`?after=`, `?ticket=`).' })
  @ApiResponse({ status: 200, description: 'Frames.', content: { 'application/x-ndjson': { schema: { type: 'string' } } } })
  @Keyed(404, 410)
  async logs(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Query({ schema: logQuerySchema }) query: LogQuery, @Res() reply: FastifyReply): Promise<void> {
    const source = await this.reader.open(caller, id, { after: query.after, follow: query.follow === 'true' });
    const over = AbortSignal.any([hangUpSignal(reply), this.lifecycle.draining]);
    const cut = (): void => {
      reply.raw.destroy();
    };
    // Readable asks for the next line when the connection has room for it.
    const lines = Readable.from(jsonLines(source(over), () => setTimeout(cut, this.settings.stallMs)), { objectMode: false, highWaterMark: 256 * 1024 });
    await reply.type('application/x-ndjson').header('cache-control', 'no-store').send(lines);
  }
}
