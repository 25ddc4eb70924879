import { Body, Controller, Get, HttpCode, Param, Patch, Post, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { sandboxViewSchema, updateSandboxSchema, type SandboxView, type UpdateSandbox } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { hangUpSignal } from '../protocols/rest/hang-up.js';
import { SandboxLife } from './sandbox-life.service.js';
import { killSandboxSchema, stopSandboxSchema, waitSandboxQuerySchema, type KillSandbox, type StopSandbox, type WaitSandboxQuery } from './sandbox-requests.schema.js';
import { SANDBOX_ID } from './sandboxes.controller.js';

const VIEW = { status: 200, description: 'The sandbox as it is now.', standardSchema: sandboxViewSchema };

@ApiTags('sandboxes')
@Controller('v1/sandboxes/:id')
export class SandboxLifeController {
  constructor(private readonly life: SandboxLife) {}

  @Patch()
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Change limits, restart policy or name', description: 'In force at once, while it runs too. What is not given stays.' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse(VIEW)
  @Keyed(404, 409, 413, 415)
  update(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Body({ schema: updateSandboxSchema }) change: UpdateSandbox): Promise<SandboxView> {
    return this.life.update(caller, id, change);
  }

  @Post('start')
  @HttpCode(200)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Start a sandbox', description: 'Idempotent.' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse(VIEW)
  @Keyed(404, 409)
  start(@TenantCaller() caller: TenantCaller, @Param('id') id: string): Promise<SandboxView> {
    return this.life.start(caller, id);
  }

  @Post('stop')
  @HttpCode(200)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Stop a sandbox', description: 'Its stop signal, after the time SIGKILL. Answers when it has stopped. Its files stay. Idempotent.' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse(VIEW)
  @Keyed(404, 413, 415)
  stop(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Body({ schema: stopSandboxSchema }) options: StopSandbox): Promise<SandboxView> {
    return this.life.stop(caller, id, options);
  }

  @Post('restart')
  @HttpCode(200)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Stop a sandbox and start it again' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse(VIEW)
  @Keyed(404, 409, 413, 415)
  restart(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Body({ schema: stopSandboxSchema }) options: StopSandbox): Promise<SandboxView> {
    return this.life.restart(caller, id, options);
  }

  @Post('kill')
  @HttpCode(200)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Send a signal to the main program of a sandbox' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse(VIEW)
  @Keyed(404, 409, 413, 415)
  kill(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Body({ schema: killSandboxSchema }) options: KillSandbox): Promise<SandboxView> {
    return this.life.kill(caller, id, options);
  }

  @Post('pause')
  @HttpCode(200)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Freeze all programs of a sandbox' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse(VIEW)
  @Keyed(404, 409)
  pause(@TenantCaller() caller: TenantCaller, @Param('id') id: string): Promise<SandboxView> {
    return this.life.pause(caller, id);
  }

  @Post('resume')
  @HttpCode(200)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Let a paused sandbox go on' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse(VIEW)
  @Keyed(404, 409)
  resume(@TenantCaller() caller: TenantCaller, @Param('id') id: string): Promise<SandboxView> {
    return this.life.resume(caller, id);
  }

  @Get('wait')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'Wait until a sandbox is in a state', description: 'A state that was reached and left again while the call waited counts; the answer shows how it is now.' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse({ ...VIEW, description: 'Reached.' })
  @ApiResponse({ ...VIEW, status: 202, description: 'Not in the time: the sandbox as it is now.' })
  @Keyed(404, 410)
  async wait(@TenantCaller() caller: TenantCaller, @Param('id') id: string, @Query({ schema: waitSandboxQuerySchema }) query: WaitSandboxQuery, @Res({ passthrough: true }) reply: FastifyReply): Promise<SandboxView> {
    const { view, reached } = await this.life.wait(caller, id, query, hangUpSignal(reply));
    void reply.status(reached ? 200 : 202);
    return view;
  }
}
