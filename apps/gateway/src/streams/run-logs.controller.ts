import { Controller, Get, Param, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { LogAnswers } from './log-answers.service.js';
import { logQuerySchema, type LogQuery } from './log-requests.schema.js';
import { RunLogReader } from './run-log-reader.service.js';

@ApiTags('runs')
@Controller('v1/runs')
export class RunLogsController {
  constructor(
    private readonly reader: RunLogReader,
    private readonly answers: LogAnswers,
  ) {}

  @Get(':id/logs')
  @RequirePermission('runs:read')
  @ApiOperation({ summary: 'The log of a run', description: 'One JSON object a line; the last one has `"type":"end"`. The same path takes WebSocket upgrades (`?after=`, `?ticket=`).' })
  @ApiResponse({ status: 200, description: 'Frames.', content: { 'application/x-ndjson': { schema: { type: 'string' } } } })
  @Keyed(404, 410)
  async logs(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Query({ schema: logQuerySchema }) { after, follow }: LogQuery, @Res() reply: FastifyReply): Promise<void> {
    await this.answers.send(reply, await this.reader.open(caller, id, { after, follow: follow === 'true' }));
  }
}
