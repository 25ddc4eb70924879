import { Inject, Injectable } from '@nestjs/common';
import type { WebSocket } from 'ws';
import type { Logger } from '#kernel';
import type { TenantCaller } from '../auth/caller.js';
import { LOGGER } from '../platform/platform.js';
import { contextOf } from '../protocols/rest/request-context.js';
import type { ProcessConnection } from '../nodes/host-processes.js';
import type { UpgradeRequest } from '../streams/upgrade-route.js';
import { ProcessSocket, type ProcessSocketOptions } from './process-socket.js';

/** An upgrade that was granted. */
export interface AdmittedProcess {
  readonly connection: ProcessConnection;
  readonly options: ProcessSocketOptions;
  readonly fields: { readonly requestId: string; readonly tenantId: string; readonly route: string };
}

/** What the WebSockets of processes have in common: their end, and a line of the log. */
@Injectable()
export class ProcessSockets {
  constructor(@Inject(LOGGER) private readonly logger: Logger) {}

  admitted(route: string, caller: TenantCaller, { message }: UpgradeRequest, connection: ProcessConnection, options: ProcessSocketOptions): AdmittedProcess {
    return { connection, options, fields: { requestId: contextOf(message).id, tenantId: caller.tenant.id, route } };
  }

  async serve(socket: WebSocket, { connection, options, fields }: AdmittedProcess): Promise<void> {
    const began = performance.now();
    const closeCode = await new ProcessSocket(socket, connection, options).run();
    this.logger.info({ ...fields, method: 'GET', upgrade: true, closeCode, durationMs: Math.round(performance.now() - began) }, 'request');
  }
}
