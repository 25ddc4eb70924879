import { Module } from '@nestjs/common';
import { AuthModule } from '../auth/auth.module.js';
import { NodesModule } from '../nodes/nodes.module.js';
import { ApiKeysService } from './api-keys.service.js';
import { MeController } from './me.controller.js';
import { OwnKeysController } from './own-keys.controller.js';
import { TenantDirectoryModule } from './tenant-directory.module.js';
import { TenantsController } from './tenants.controller.js';
import { TenantsService } from './tenants.service.js';

@Module({
  imports: [AuthModule, NodesModule, TenantDirectoryModule],
  controllers: [TenantsController, OwnKeysController, MeController],
  providers: [ApiKeysService, TenantsService],
})
export class TenantsModule {}
