import { Inject } from '@nestjs/common';
import { WebSocketGateway, type OnGatewayConnection, type OnGatewayInit } from '@nestjs/websockets';
import type { WebSocket } from 'ws';
import { z } from 'zod';
import type { Logger } from '#kernel';
import type { ProcessConnection } from '../nodes/host-processes.js';
import type { TenantHosts } from '../nodes/tenant-host.js';
import { Lifecycle } from '../platform/lifecycle.js';
import { LOGGER, TENANT_HOSTS } from '../platform/platform.js';
import { contextOf } from '../protocols/rest/request-context.js';
import { invalidArgument } from '../protocols/rest/validation.pipe.js';
import { inSandboxWords } from '../sandboxes/sandbox-words.js';
import { splice } from '../streams/splice.js';
import { UpgradeAdmission } from '../streams/upgrade-admission.service.js';
import type { UpgradeRequest, UpgradeRoute } from '../streams/upgrade-route.js';
import { WebSocketHalves } from '../streams/web-socket-halves.js';
import { goneSignal } from './gone-signal.js';
import { MAX_INPUT_BYTES } from './process-socket.js';

const ROUTE = '/v1/sandboxes/:id/ports/:port';
const portSchema = z.strictObject({ port: z.coerce.number().int().min(1).max(65_535), ticket: z.string().max(200).optional() });

interface Admitted {
  readonly connection: ProcessConnection;
  readonly fields: { readonly requestId: string; readonly tenantId: string };
}

/** A TCP connection to what listens on a sandbox's loopback, as binary messages both ways. The text `{"type":"eof"}` ends the client's half; closed when that one has ended its own, 1000. */
@WebSocketGateway({ path: ROUTE })
export class PortGateway implements OnGatewayInit<UpgradeRoute>, OnGatewayConnection<WebSocket> {
  constructor(
    @Inject(TENANT_HOSTS) private readonly hosts: TenantHosts,
    private readonly admission: UpgradeAdmission,
    private readonly lifecycle: Lifecycle,
    @Inject(LOGGER) private readonly logger: Logger,
  ) {}

  afterInit(route: UpgradeRoute): void {
    route.maxMessageBytes = MAX_INPUT_BYTES;
    route.decideWith((request) => this.decide(request));
  }

  handleConnection(socket: WebSocket, ...[admitted]: unknown[]): void {
    void this.serve(socket, admitted as Admitted);
  }

  private async decide(request: UpgradeRequest): Promise<Admitted> {
    const caller = await this.admission.admit(request, 'host:write');
    const parsed = portSchema.safeParse({ ...Object.fromEntries(request.query), port: request.parameters['port'] });
    if (!parsed.success) throw invalidArgument(parsed.error.issues);
    const connection = await inSandboxWords(this.hosts.of(caller.tenant).processes.connect(request.parameters['id'] ?? '', parsed.data.port, goneSignal(request)));
    return { connection, fields: { requestId: contextOf(request.message).id, tenantId: caller.tenant.id } };
  }

  private async serve(socket: WebSocket, { connection, fields }: Admitted): Promise<void> {
    const began = performance.now();
    const result = await splice(new WebSocketHalves(socket), connection.socket, { signal: this.lifecycle.draining });
    this.logger.info({ ...fields, ...result, method: 'GET', route: ROUTE, upgrade: true, durationMs: Math.round(performance.now() - began) }, 'request');
  }
}
