import { Inject } from '@nestjs/common';
import { WebSocketGateway, type OnGatewayConnection, type OnGatewayInit } from '@nestjs/websockets';
import type { WebSocket } from 'ws';
import { LOG_CLOSE_CODES, type ProcessExit } from '#contracts';
import { isCodedError, type Logger } from '#kernel';
import { LOGGER } from '../platform/platform.js';
import { contextOf } from '../protocols/rest/request-context.js';
import { invalidArgument } from '../protocols/rest/validation.pipe.js';
import { SlowReaderError, SocketWriter } from '../streams/socket-writer.js';
import { UpgradeAdmission } from '../streams/upgrade-admission.service.js';
import type { UpgradeRequest, UpgradeRoute } from '../streams/upgrade-route.js';
import { logsSocketQuerySchema } from './exec-requests.schema.js';
import { toOutputFrame, type OutputChunk } from './process-output.js';
import { SandboxLogs } from './sandbox-logs.service.js';

const ROUTE = '/v1/sandboxes/:id/logs';

interface Admitted {
  readonly frames: AsyncIterable<OutputChunk | ProcessExit>;
  readonly over: AbortController;
  readonly fields: { readonly requestId: string; readonly tenantId: string };
}

/** The log of a sandbox as JSON text messages, the same frames as of GET. Close 1000 is its end; any other: come back with `?after=<last seq>`. */
@WebSocketGateway({ path: ROUTE })
export class SandboxLogsGateway implements OnGatewayInit<UpgradeRoute>, OnGatewayConnection<WebSocket> {
  constructor(
    private readonly logs: SandboxLogs,
    private readonly admission: UpgradeAdmission,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  afterInit(route: UpgradeRoute): void {
    route.decideWith((request) => this.decide(request));
  }

  handleConnection(socket: WebSocket, ...[admitted]: unknown[]): void {
    void this.stream(socket, admitted as Admitted);
  }

  private async decide(request: UpgradeRequest): Promise<Admitted> {
    const caller = await this.admission.admit(request, 'host:read');
    const parsed = logsSocketQuerySchema.safeParse(Object.fromEntries(request.query));
    if (!parsed.success) throw invalidArgument(parsed.error.issues);
    const over = new AbortController();
    request.message.socket.once('close', () => {
      over.abort();
    });
    const frames = await this.logs.open(caller, request.parameters['id'] ?? '', parsed.data, over.signal);
    return { frames, over, fields: { requestId: contextOf(request.message).id, tenantId: caller.tenant.id } };
  }

  private async stream(socket: WebSocket, { frames, over, fields }: Admitted): Promise<void> {
    const began = performance.now();
    let code: number = LOG_CLOSE_CODES.complete;
    try {
      const writer = new SocketWriter(socket);
      for await (const frame of frames) await writer.send(JSON.stringify(frame.type === 'exit' ? frame : toOutputFrame(frame)));
      await writer.drained();
    } catch (error) {
      code = error instanceof SlowReaderError ? LOG_CLOSE_CODES.slow : isCodedError(error, 'gone') ? LOG_CLOSE_CODES.gone : LOG_CLOSE_CODES.unavailable;
      if (code === LOG_CLOSE_CODES.unavailable && !over.signal.aborted) this.logger.warn({ err: error, ...fields }, 'a log stream broke off');
    } finally {
      over.abort();
      socket.close(code);
      this.logger.info({ ...fields, method: 'GET', route: ROUTE, upgrade: true, closeCode: code, durationMs: Math.round(performance.now() - began) }, 'request');
    }
  }
}
