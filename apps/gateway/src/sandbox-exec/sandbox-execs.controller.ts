import { Body, Controller, Get, Headers, HttpCode, Param, Post, Query, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import {
  createSandboxExecSchema,
  resizeSandboxExecSchema,
  sandboxExecListSchema,
  sandboxExecResultSchema,
  sandboxExecStdinSchema,
  sandboxExecViewSchema,
  signalSandboxExecSchema,
  type CreateSandboxExec,
  type SandboxExecResult,
  type SandboxExecStdin,
  type SandboxExecView,
  type TerminalSizeBody,
} from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiHeader, ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { hangUpSignal } from '../protocols/rest/hang-up.js';
import { parseIdempotencyKey } from '../protocols/rest/idempotency-key.js';
import { SANDBOX_ID } from '../sandboxes/sandboxes.controller.js';
import { createExecQuerySchema, type CreateExecQuery } from './exec-requests.schema.js';
import { SandboxExecs } from './sandbox-execs.service.js';

export const EXEC_ID = { name: 'execId', description: 'The ID, or the one that you chose.', example: 'build' };

@ApiTags('exec')
@Controller('v1/sandboxes/:id/exec')
export class SandboxExecsController {
  constructor(private readonly execs: SandboxExecs) {}

  @Post()
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Run a program in a sandbox', description: [
      'Answered at once, or with `?wait=true` with its result. Its output can be followed and read again by GET …/output and over WebSocket as long as the sandbox runs.',
      'WebSockets (`?ticket=`): `…/exec/:execId/attach?after=&stdin=` and, made and started in one call, `…/terminal?command=&columns=&rows=&tty=&env=&user=&workingDir=&timeoutMs=`.',
      'Binary messages to you: u8 stream (1 stdout, 2 stderr), u64 big-endian `seq`, bytes; from you: input. Text messages are JSON: from you `{"type":"resize","columns","rows"}`, `{"type":"signal","signal"}`, `{"type":"eof"}`; to you `{"type":"started","id"}` (terminal), `{"type":"error","error"}` and, last, `{"type":"exit","exitCode","signal"}`.',
      '`…/ports/:port` is a TCP connection to what listens on the loopback of the sandbox, as binary messages.',
    ].join(' ') })
  @ApiParam(SANDBOX_ID)
  @ApiHeader({ name: 'Idempotency-Key', required: false, description: 'At most 200 visible ASCII characters. Repeating a call with the same key gives back the first exec.' })
  @ApiResponse({ status: 200, description: 'With `?wait=true`: it has ended.', standardSchema: sandboxExecResultSchema })
  @ApiResponse({ status: 202, description: 'It runs; `Location` names it.', standardSchema: sandboxExecViewSchema })
  @Keyed(404, 409, 413, 415)
  async create(
    @TenantCaller() caller: TenantCaller,
    @Param('id') id: string,
    @Body({ schema: createSandboxExecSchema }) exec: CreateSandboxExec,
    @Query({ schema: createExecQuerySchema }) query: CreateExecQuery,
    @Headers('idempotency-key') idempotencyKey: string | undefined,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<SandboxExecView | SandboxExecResult> {
    const key = parseIdempotencyKey(idempotencyKey);
    const view = await this.execs.create(caller, id, exec, { key, waitMs: query.wait ? query.waitTimeoutMs : undefined, hungUp: hangUpSignal(reply) });
    void reply.status('stdout' in view ? 200 : 202).header('location', `/v1/sandboxes/${view.sandboxId}/exec/${view.id}`);
    return view;
  }

  @Get()
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'List the execs of a sandbox, oldest first', description: 'Those that have ended are kept for a while.' })
  @ApiParam(SANDBOX_ID)
  @ApiResponse({ status: 200, description: 'All of them.', standardSchema: sandboxExecListSchema })
  @Keyed(404)
  list(@TenantCaller() caller: TenantCaller, @Param('id') id: string): Promise<{ items: SandboxExecView[] }> {
    return this.execs.list(caller, id);
  }

  @Get(':execId')
  @RequirePermission('host:read')
  @ApiOperation({ summary: 'An exec' })
  @ApiParam(SANDBOX_ID)
  @ApiParam(EXEC_ID)
  @ApiResponse({ status: 200, description: 'The exec.', standardSchema: sandboxExecViewSchema })
  @Keyed(404)
  get(@TenantCaller() caller: TenantCaller, @Param('id') ref: string, @Param('execId') id: string): Promise<SandboxExecView> {
    return this.execs.get(caller, { ref, id });
  }

  /** Idempotent when it has ended. */
  @Post(':execId/signal')
  @HttpCode(204)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Send a signal to an exec', description: 'To its process group.' })
  @ApiParam(SANDBOX_ID)
  @ApiParam(EXEC_ID)
  @ApiResponse({ status: 204, description: 'Sent.' })
  @Keyed(404, 415)
  async signal(@TenantCaller() caller: TenantCaller, @Param('id') ref: string, @Param('execId') id: string, @Body({ schema: signalSandboxExecSchema }) body: { signal: string }): Promise<void> {
    await this.execs.signal(caller, { ref, id }, body.signal);
  }

  @Post(':execId/resize')
  @HttpCode(204)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Give the terminal of an exec another size' })
  @ApiParam(SANDBOX_ID)
  @ApiParam(EXEC_ID)
  @ApiResponse({ status: 204, description: 'Done.' })
  @Keyed(404, 409, 415)
  async resize(@TenantCaller() caller: TenantCaller, @Param('id') ref: string, @Param('execId') id: string, @Body({ schema: resizeSandboxExecSchema }) size: TerminalSizeBody): Promise<void> {
    await this.execs.resize(caller, { ref, id }, size);
  }

  @Post(':execId/stdin')
  @HttpCode(204)
  @RequirePermission('host:write')
  @ApiOperation({ summary: 'Write to the standard input of an exec', description: 'Answered when the program, or the pipe before it, has taken it.' })
  @ApiParam(SANDBOX_ID)
  @ApiParam(EXEC_ID)
  @ApiResponse({ status: 204, description: 'Written.' })
  @Keyed(404, 409, 413, 415)
  async stdin(
    @TenantCaller() caller: TenantCaller,
    @Param('id') ref: string,
    @Param('execId') id: string,
    @Body({ schema: sandboxExecStdinSchema }) stdin: SandboxExecStdin,
    @Res({ passthrough: true }) reply: FastifyReply,
  ): Promise<void> {
    await this.execs.writeStdin(caller, { ref, id }, stdin, hangUpSignal(reply));
  }
}
