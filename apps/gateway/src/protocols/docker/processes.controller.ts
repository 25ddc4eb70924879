import { Controller, Get, HttpCode, Inject, Param, Post, Res } from '@nestjs/common';
import type { FastifyReply } from 'fastify';
import { Duplex, PassThrough } from 'node:stream';
import { isCodedError } from '#kernel';
import { RequirePermission } from '../../auth/permission.decorator.js';
import { ApiExcludeController } from '../../docs/annotations.js';
import type { HostProcesses, ProcessConnection } from '../../nodes/host-processes.js';
import { Lifecycle } from '../../platform/lifecycle.js';
import { splice } from '../../streams/splice.js';
import { attachRequest, startRequest } from './attach-requests.js';
import { DOCKER_BACKENDS, type DockerBackends } from './docker-backends.js';
import { Docker, DockerCall } from './docker-call.js';
import { badParameter } from './errors.js';
import { toExecInspect, translateExec, translateExecStart } from './exec-config.js';
import { stdcopyFrame } from './stdcopy.js';

const MAX_SIZE = 65_535;

/** Processes in containers; with `Upgrade:` their streams come past here (`hijacks.service.ts`). */
@ApiExcludeController()
@Controller('docker')
export class DockerProcessesController {
  constructor(
    @Inject(DOCKER_BACKENDS) private readonly backends: DockerBackends,
    private readonly lifecycle: Lifecycle,
  ) {}

  @Post('containers/:id/resize')
  @HttpCode(200)
  @RequirePermission('host:write')
  async resize(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    await this.processes(call).resize(id, sizeOf(call));
  }

  @Post('containers/:id/exec')
  @RequirePermission('host:write')
  async create(@Docker() call: DockerCall, @Param('id') id: string): Promise<object> {
    return { Id: (await this.processes(call).createExec(id, translateExec(await call.json()))).id };
  }

  @Post('exec/:id/resize')
  @HttpCode(200)
  @RequirePermission('host:write')
  async resizeExec(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    await this.processes(call).resizeExec({ id }, sizeOf(call));
  }

  @Get('exec/:id/json')
  @RequirePermission('host:read')
  async inspect(@Docker() call: DockerCall, @Param('id') id: string): Promise<object> {
    return toExecInspect(await this.processes(call).exec({ id }));
  }

  /** Of clients that do not ask for an upgrade: the same bytes as the body, which ends with the connection. What the request's body holds is the input. */
  @Post('containers/:id/attach')
  @RequirePermission('host:write')
  async attach(@Docker() call: DockerCall, @Param('id') id: string): Promise<void> {
    const connection = await this.processes(call).attach(id, { ...attachRequest(call.query), format: 'auto' }, this.over(call));
    await this.join(call, connection, call.hasBody);
  }

  @Post('exec/:id/start')
  @RequirePermission('host:write')
  async start(@Docker() call: DockerCall, @Param('id') id: string, @Res() reply: FastifyReply): Promise<void> {
    const start = translateExecStart(await call.json());
    if (start.detach) {
      await this.processes(call).startExec({ id });
      await reply.status(200).send();
      return;
    }
    try {
      await this.join(call, await this.processes(call).attachExec({ id }, startRequest(start), this.over(call)), false);
    } catch (error) {
      if (!isCodedError(error, 'invalid_argument') || error.details['exitCode'] === undefined) throw error;
      // As in the hijacked form: the failure of a start is read in the stream.
      const words = Buffer.from(`${error.message}\r\n`);
      const answer = call.answer('application/vnd.docker.raw-stream');
      await answer.write(start.tty ? words : stdcopyFrame('stdout', words));
      answer.end();
    }
  }

  private async join(call: DockerCall, { socket }: ProcessConnection, withInput: boolean): Promise<void> {
    const writable = call.hijack('application/vnd.docker.raw-stream');
    // Without a body there is no input, and no end of it either.
    const client = Duplex.from({ readable: withInput ? call.stream() : new PassThrough(), writable });
    await splice(client, socket, { signal: this.over(call) });
  }

  private over({ signal }: DockerCall): AbortSignal {
    return AbortSignal.any([signal, this.lifecycle.draining]);
  }

  private processes(call: DockerCall): HostProcesses {
    return this.backends.hosts.of(call.caller.tenant).processes;
  }
}

/** `h` and `w`. */
function sizeOf({ query }: DockerCall): { columns: number; rows: number } {
  const [rows, columns] = [query.integer('h'), query.integer('w')];
  for (const value of [rows, columns]) if (value === undefined || value < 0 || value > MAX_SIZE) throw badParameter(`strconv.ParseUint: parsing ${JSON.stringify(query.text(value === rows ? 'h' : 'w'))}: ${value === undefined ? 'invalid syntax' : 'value out of range'}`);
  return { columns: columns ?? 0, rows: rows ?? 0 };
}
