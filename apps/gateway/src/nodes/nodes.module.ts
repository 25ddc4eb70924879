import { Module } from '@nestjs/common';
import { NodeRpcClient } from './node-rpc.client.js';
import { RuntimeCatalogue } from './runtime-catalogue.service.js';

@Module({ providers: [NodeRpcClient, RuntimeCatalogue], exports: [NodeRpcClient, RuntimeCatalogue] })
export class NodesModule {}
