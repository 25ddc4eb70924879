import { WebSocketGateway, type OnGatewayConnection, type OnGatewayInit } from '@nestjs/websockets';
import type { WebSocket } from 'ws';
import { BuildLogReader } from './build-log-reader.service.js';
import { LogSockets, type AdmittedLogSocket } from '../streams/log-sockets.service.js';
import type { UpgradeRoute } from '../streams/upgrade-route.js';

const PATH = '/v1/builds/:id/logs';

/** The log of a build over WebSocket. */
@WebSocketGateway({ path: PATH })
export class BuildLogsGateway implements OnGatewayInit<UpgradeRoute>, OnGatewayConnection<WebSocket> {
  constructor(
    private readonly reader: BuildLogReader,
    private readonly sockets: LogSockets,
  ) {}

  afterInit(route: UpgradeRoute): void {
    route.decideWith((request) => this.sockets.decide(request, { path: PATH, permission: 'host:read', open: (caller, id, options) => this.reader.open(caller, id, options) }));
  }

  handleConnection(socket: WebSocket, ...[admitted]: unknown[]): void {
    void this.sockets.stream(socket, admitted as AdmittedLogSocket);
  }
}
