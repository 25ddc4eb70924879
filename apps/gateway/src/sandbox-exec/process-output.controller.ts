import { Controller, Get, Inject, Param, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Readable } from 'node:stream';
import type { ProcessExit, ProcessOutput } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { Lifecycle } from '../platform/lifecycle.js';
import { SETTINGS } from '../platform/platform.js';
import type { GatewaySettings } from '../platform/settings.js';
import { hangUpSignal } from '../protocols/rest/hang-up.js';
import { jsonLines } from '../protocols/rest/json-lines.js';
import { SANDBOX_ID } from '../sandboxes/sandboxes.controller.js';
import { logsQuerySchema, outputQuerySchema, type LogsQuery, type OutputQuery } from './exec-requests.schema.js';
import { toOutputFrame, type OutputChunk } from './process-output.js';
import { EXEC_ID } from './sandbox-execs.controller.js';
import { SandboxExecs } from './sandbox-execs.service.js';
import { SandboxLogs } from './sandbox-logs.service.js';

const LINES = { 'application/x-ndjson': { schema: { type: 'string' as const } } };

/** Output as lines of JSON. An answer that breaks off, or ends without an `exit` line although it was followed, is not complete. */
@ApiTags('exec')
@Controller('v1/sandboxes/:id')
export class ProcessOutputController {
  constructor(
    private readonly execs: SandboxExecs,
    private readonly mainLogs: SandboxLogs,
    private readonly lifecycle: Lifecycle,
    @Inject(SETTINGS) private readonly settings: GatewaySettings,
  ) {}

  @Get('exec/:execId/output')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'The output of an exec', description: 'One JSON object a line; the last one has `"type":"exit"`. Resumable by `?after=<last seq>`; 410 when what comes behind it is not kept any more.' })
  @ApiParam(SANDBOX_ID)
  @ApiParam(EXEC_ID)
  @ApiResponse({ status: 200, description: 'Frames.', content: LINES })
  @Keyed(404, 410)
  async output(@TenantCaller() caller: TenantCaller, @Param('id') ref: string, @Param('execId') id: string, @Query({ schema: outputQuerySchema }) query: OutputQuery, @Res() reply: FastifyReply): Promise<void> {
    await this.send(reply, await this.execs.output(caller, { ref, id }, query, this.over(reply)));
  }

  @Get('logs')
  @RequirePermission('host:read')
  @ApiOperation({ summary: "The log of a sandbox's main program", description: 'One JSON object a line, of all its runs. Resumable by `?after=<last seq>`. The same path takes WebSocket upgrades (`?ticket=`).' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse({ status: 200, description: 'Frames.', content: LINES })
  @Keyed(404, 410)
  async logs(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Query({ schema: logsQuerySchema }) query: LogsQuery, @Res() reply: FastifyReply): Promise<void> {
    await this.send(reply, await this.mainLogs.open(caller, id, query, this.over(reply)));
  }

  private async send(reply: FastifyReply, frames: AsyncIterable<OutputChunk | ProcessExit>): Promise<void> {
    const cut = (): void => {
      reply.raw.destroy();
    };
    const lines = Readable.from(jsonLines(asFrames(frames), () => setTimeout(cut, this.settings.stallMs)), { objectMode: false, highWaterMark: 256 * 1024 });
    await reply.type('application/x-ndjson').header('cache-control', 'no-store').send(lines);
  }

  private over(reply: FastifyReply): AbortSignal {
    return AbortSignal.any([hangUpSignal(reply), this.lifecycle.draining]);
  }
}

async function* asFrames(frames: AsyncIterable<OutputChunk | ProcessExit>): AsyncGenerator<ProcessOutput | ProcessExit> {
  for await (const frame of frames) yield frame.type === 'exit' ? frame : toOutputFrame(frame);
}
