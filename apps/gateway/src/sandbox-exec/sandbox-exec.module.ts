import { Module } from '@nestjs/common';
import { NodesModule } from '../nodes/nodes.module.js';
import { UpgradesModule } from '../streams/upgrades.module.js';
import { ExecAttachGateway } from './exec-attach.gateway.js';
import { PortGateway } from './port.gateway.js';
import { ProcessOutputController } from './process-output.controller.js';
import { ProcessSockets } from './process-sockets.service.js';
import { SandboxExecsController } from './sandbox-execs.controller.js';
import { SandboxExecs } from './sandbox-execs.service.js';
import { SandboxLogsGateway } from './sandbox-logs.gateway.js';
import { SandboxLogs } from './sandbox-logs.service.js';
import { TerminalGateway } from './terminal.gateway.js';

/** Programs in sandboxes: run, followed, talked to; and what their main ones wrote. */
@Module({
  imports: [NodesModule, UpgradesModule],
  controllers: [SandboxExecsController, ProcessOutputController],
  providers: [SandboxExecs, SandboxLogs, ProcessSockets, ExecAttachGateway, TerminalGateway, SandboxLogsGateway, PortGateway],
})
export class SandboxExecModule {}
