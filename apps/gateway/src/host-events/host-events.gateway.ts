import { Inject } from '@nestjs/common';
import { WebSocketGateway, type OnGatewayConnection, type OnGatewayInit } from '@nestjs/websockets';
import type { WebSocket } from 'ws';
import { LOG_CLOSE_CODES, type EventFrame } from '#contracts';
import type { Logger } from '#kernel';
import { LOGGER } from '../platform/platform.js';
import { contextOf } from '../protocols/rest/request-context.js';
import { invalidArgument } from '../protocols/rest/validation.pipe.js';
import { SlowReaderError, SocketWriter } from '../streams/socket-writer.js';
import { UpgradeAdmission } from '../streams/upgrade-admission.service.js';
import type { UpgradeRequest, UpgradeRoute } from '../streams/upgrade-route.js';
import { eventSocketQuerySchema } from './event-requests.schema.js';
import { HostEventReader } from './host-event-reader.service.js';

interface Admitted {
  readonly frames: AsyncIterable<EventFrame>;
  readonly over: AbortController;
  readonly ids: { readonly requestId: string; readonly tenantId: string };
}

/** The frames of `GET /v1/events` as JSON text messages. It is never complete: each close asks to come back with `?after=<last id>`. */
@WebSocketGateway({ path: '/v1/events' })
export class HostEventsGateway implements OnGatewayInit<UpgradeRoute>, OnGatewayConnection<WebSocket> {
  constructor(
    private readonly reader: HostEventReader,
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
    const { message, query } = request;
    const parsed = eventSocketQuerySchema.safeParse(grouped(query));
    if (!parsed.success) throw invalidArgument(parsed.error.issues);
    const over = new AbortController();
    message.socket.once('close', () => {
      over.abort();
    });
    const { after, type, action, subject } = parsed.data;
    return { frames: await this.reader.open(caller, { after, type, action, subject }, over.signal), over, ids: { requestId: contextOf(message).id, tenantId: caller.tenant.id } };
  }

  private async stream(socket: WebSocket, { frames, over, ids }: Admitted): Promise<void> {
    const began = performance.now();
    socket.once('close', () => {
      over.abort();
    });
    let code: number = LOG_CLOSE_CODES.unavailable;
    let sent = 0;
    try {
      const writer = new SocketWriter(socket);
      for await (const frame of frames) {
        await writer.send(JSON.stringify(frame));
        sent += 1;
      }
    } catch (error) {
      if (error instanceof SlowReaderError) code = LOG_CLOSE_CODES.slow;
      else if (!over.signal.aborted) this.logger.warn({ err: error, ...ids }, 'an event stream broke off');
    } finally {
      over.abort();
      socket.close(code);
      this.logger.info({ ...ids, method: 'GET', route: '/v1/events', upgrade: true, frames: sent, closeCode: code, durationMs: Math.round(performance.now() - began) }, 'request');
    }
  }
}

/** A name that comes several times is a list, as in a plain request's query. */
function grouped(query: URLSearchParams): Record<string, string | string[]> {
  return Object.fromEntries(
    [...new Set(query.keys())].map((name) => {
      const values = query.getAll(name);
      return [name, values.length === 1 ? (values[0] ?? '') : values];
    }),
  );
}
