import { WebSocketGateway, type OnGatewayConnection, type OnGatewayInit } from '@nestjs/websockets';
import type { WebSocket } from 'ws';
import { invalidArgument } from '../protocols/rest/validation.pipe.js';
import { UpgradeAdmission } from '../streams/upgrade-admission.service.js';
import type { UpgradeRequest, UpgradeRoute } from '../streams/upgrade-route.js';
import { attachSocketQuerySchema } from './exec-requests.schema.js';
import { goneSignal } from './gone-signal.js';
import { MAX_INPUT_BYTES } from './process-socket.js';
import { ProcessSockets, type AdmittedProcess } from './process-sockets.service.js';
import { SandboxExecs } from './sandbox-execs.service.js';

const ROUTE = '/v1/sandboxes/:id/exec/:execId/attach';

/** An exec that is there already: what it wrote behind `after`, what it writes, and its input. Many may be attached. */
@WebSocketGateway({ path: ROUTE })
export class ExecAttachGateway implements OnGatewayInit<UpgradeRoute>, OnGatewayConnection<WebSocket> {
  constructor(
    private readonly execs: SandboxExecs,
    private readonly admission: UpgradeAdmission,
    private readonly sockets: ProcessSockets,
  ) {}

  afterInit(route: UpgradeRoute): void {
    route.maxMessageBytes = MAX_INPUT_BYTES;
    route.decideWith((request) => this.decide(request));
  }

  handleConnection(socket: WebSocket, ...[admitted]: unknown[]): void {
    void this.sockets.serve(socket, admitted as AdmittedProcess);
  }

  private async decide(request: UpgradeRequest): Promise<AdmittedProcess> {
    const caller = await this.admission.admit(request, 'host:write');
    const parsed = attachSocketQuerySchema.safeParse(Object.fromEntries(request.query));
    if (!parsed.success) throw invalidArgument(parsed.error.issues);
    const { after, stdin } = parsed.data;
    const name = { ref: request.parameters['id'] ?? '', id: request.parameters['execId'] ?? '' };
    const connection = await this.execs.attach(caller, name, { after, stdin }, goneSignal(request));
    return this.sockets.admitted(ROUTE, caller, request, connection, { after, stdin, signal: (signal) => this.execs.signal(caller, name, signal) });
  }
}
