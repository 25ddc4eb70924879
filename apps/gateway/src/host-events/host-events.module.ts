import { Module } from '@nestjs/common';
import { NodesModule } from '../nodes/nodes.module.js';
import { StreamsModule } from '../streams/streams.module.js';
import { HostEventReader } from './host-event-reader.service.js';
import { HostEventsController } from './host-events.controller.js';
import { HostEventsGateway } from './host-events.gateway.js';

@Module({
  imports: [NodesModule, StreamsModule],
  controllers: [HostEventsController],
  providers: [HostEventReader, HostEventsGateway],
})
export class HostEventsModule {}
