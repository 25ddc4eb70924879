import { Controller, Get, Param, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { LogAnswers } from '../streams/log-answers.service.js';
import { logQuerySchema, type LogQuery } from '../streams/log-requests.schema.js';
import { BuildLogReader } from './build-log-reader.service.js';

@ApiTags('builds')
@Controller('v1/builds')
export class BuildLogsController {
  constructor(
    private readonly reader: BuildLogReader,
    private readonly answers: LogAnswers,
  ) {}

  @Get(':id/logs')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'The log of a build', description: 'One JSON object a line: `step.started`, `output`, `pull`, `step.finished`, `warning`, and exactly one `end`. The same path takes WebSocket upgrades (`?after=`, `?ticket=`).' })
  @ApiResponse({ status: 200, description: 'Frames.', content: { 'application/x-ndjson': { schema: { type: 'string' } } } })
  @Keyed(404, 410)
  async logs(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Query({ schema: logQuerySchema }) { after, follow }: LogQuery, @Res() reply: FastifyReply): Promise<void> {
    await this.answers.send(reply, await this.reader.open(caller, id, { after, follow: follow === 'true' }));
  }
}
