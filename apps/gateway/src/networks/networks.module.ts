import { Module } from '@nestjs/common';
import { NodesModule } from '../nodes/nodes.module.js';
import { NetworksController } from './networks.controller.js';
import { NetworksService } from './networks.service.js';

@Module({
  imports: [NodesModule],
  controllers: [NetworksController],
  providers: [NetworksService],
})
export class NetworksModule {}
