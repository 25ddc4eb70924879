import { Module } from '@nestjs/common';
import { TenantDirectory } from './tenant-directory.service.js';

@Module({ providers: [TenantDirectory], exports: [TenantDirectory] })
export class TenantDirectoryModule {}
