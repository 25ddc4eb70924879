import { WebSocketGateway, type OnGatewayConnection, type OnGatewayInit } from '@nestjs/websockets';
import type { WebSocket } from 'ws';
import { RunLogReader } from './run-log-reader.service.js';
import { LogSockets, type AdmittedLogSocket } from './log-sockets.service.js';
import type { UpgradeRoute } from './upgrade-route.js';

const PATH = '/v1/runs/:id/logs';

/** The log of a run over WebSocket. */
@WebSocketGateway({ path: PATH })
export class RunLogsGateway implements OnGatewayInit<UpgradeRoute>, OnGatewayConnection<WebSocket> {
  constructor(
    private readonly reader: RunLogReader,
    private readonly sockets: LogSockets,
  ) {}

  afterInit(route: UpgradeRoute): void {
    route.decideWith((request) => this.sockets.decide(request, { path: PATH, permission: 'runs:read', open: (caller, id, options) => this.reader.open(caller, id, options) }));
  }

  handleConnection(socket: WebSocket, ...[admitted]: unknown[]): void {
    void this.sockets.stream(socket, admitted as AdmittedLogSocket);
  }
}
