import { Controller, Get, Inject, Query, Res } from '@nestjs/common';
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
import { eventsQuerySchema, type EventsQuery } from './event-requests.schema.js';
import { HostEventReader } from './host-event-reader.service.js';

@ApiTags('events')
@Controller('v1/events')
export class HostEventsController {
  constructor(
    private readonly reader: HostEventReader,
    private readonly lifecycle: Lifecycle,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
  ) {}

  /** Never over by itself: whoever is cut off comes back with `?after=<last id>`. */
  @Get()
  @RequirePermission('host:read')
  @ApiOperation({
    summary: "What happens on the tenant's virtual host",
    description: 'One JSON object a line: `{"frame":"event",…}`, at the beginning and each 15 s `{"frame":"heartbeat",…}`. Resumable by `?after=<id>`; 410 when not all of that time is kept any more. The same path takes WebSocket upgrades (`?ticket=`).',
  })
  @ApiResponse({ status: 200, description: 'Frames.', content: { 'application/x-ndjson': { schema: { type: 'string' } } } })
  @Keyed(410)
  async events(@TenantCaller() caller: TenantCaller, @Query({ schema: eventsQuerySchema }) query: EventsQuery, @Res() reply: FastifyReply): Promise<void> {
    const over = AbortSignal.any([hangUpSignal(reply), this.lifecycle.draining]);
    const frames = await this.reader.open(caller, query, over);
    const cut = (): void => {
      reply.raw.destroy();
    };
    const lines = Readable.from(jsonLines(frames, () => setTimeout(cut, this.settings.stallMs)), { objectMode: false, highWaterMark: 64 * 1024 });
    await reply.type('application/x-ndjson').header('cache-control', 'no-store').send(lines);
  }
}
