import { Inject } from '@nestjs/common';
import { WebSocketGateway, type OnGatewayConnection, type OnGatewayInit } from '@nestjs/websockets';
import type { WebSocket } from 'ws';
import { LOG_CLOSE_CODES, type FileEventView } from '#contracts';
import { CodedError, type Logger } from '#kernel';
import { LOGGER } from '../platform/platform.js';
import { contextOf } from '../protocols/rest/request-context.js';
import { invalidArgument } from '../protocols/rest/validation.pipe.js';
import { SlowReaderError, SocketWriter } from '../streams/socket-writer.js';
import { UpgradeAdmission } from '../streams/upgrade-admission.service.js';
import type { UpgradeRequest, UpgradeRoute } from '../streams/upgrade-route.js';
import { watchQuerySchema } from './file-requests.schema.js';
import { SandboxFilesService } from './sandbox-files.service.js';

interface Admitted {
  readonly first: FileEventView;
  readonly rest: AsyncIterator<FileEventView>;
  readonly leave: AbortController;
  readonly ids: object;
}

/** Changes below a directory of a running sandbox as JSON text messages, `ready` first; close 1000 when the directory or the sandbox has gone. */
@WebSocketGateway({ path: '/v1/sandboxes/:id/files/watch' })
export class FileWatchGateway implements OnGatewayInit<UpgradeRoute>, OnGatewayConnection<WebSocket> {
  constructor(
    private readonly files: SandboxFilesService,
    private readonly admission: UpgradeAdmission,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  afterInit(route: UpgradeRoute): void {
    route.decideWith((request) => this.decide(request));
  }

  handleConnection(socket: WebSocket, ...[admitted]: unknown[]): void {
    void this.stream(socket, admitted as Admitted);
  }

  /** What cannot be watched is refused before there is a socket. */
  private async decide(request: UpgradeRequest): Promise<Admitted> {
    const { message, parameters, query } = request;
    const caller = await this.admission.admit(request, 'host:read');
    const parsed = watchQuerySchema.safeParse(Object.fromEntries(query));
    if (!parsed.success) throw invalidArgument(parsed.error.issues);
    const leave = new AbortController();
    message.socket.once('close', () => {
      leave.abort();
    });
    const { path, recursive } = parsed.data;
    const id = parameters['id'] ?? '';
    const rest = this.files.watch(caller, id, path, recursive, leave.signal)[Symbol.asyncIterator]();
    const first = await rest.next();
    if (first.done === true) throw new CodedError('unavailable', 'the sandbox has gone');
    return { first: first.value, rest, leave, ids: { requestId: contextOf(message).id, tenantId: caller.tenant.id, sandbox: id } };
  }

  private async stream(socket: WebSocket, { first, rest, leave, ids }: Admitted): Promise<void> {
    const began = performance.now();
    let events = 0;
    let code: number = LOG_CLOSE_CODES.unavailable;
    try {
      const writer = new SocketWriter(socket);
      for (let step: IteratorResult<FileEventView, unknown> = { done: false, value: first }; step.done !== true; step = await rest.next()) {
        await writer.send(JSON.stringify(step.value));
        events += 1;
      }
      await writer.drained();
      code = LOG_CLOSE_CODES.complete;
    } catch (error) {
      if (error instanceof SlowReaderError) code = LOG_CLOSE_CODES.slow;
      else if (!leave.signal.aborted) this.logger.warn({ err: error, ...ids }, 'a watch of files broke off');
    } finally {
      leave.abort();
      socket.close(code);
      this.logger.info({ ...ids, method: 'GET', route: '/v1/sandboxes/:id/files/watch', upgrade: true, events, closeCode: code, durationMs: Math.round(performance.now() - began) }, 'request');
    }
  }
}
