import { Body, Controller, Delete, Get, HttpCode, Param, Post } from '@nestjs/common';
import { z } from 'zod';
import { apiKeyViewSchema, createApiKeySchema, createdApiKeySchema, type ApiKeyView, type CreateApiKey, type CreatedApiKey } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { ApiKeysService } from './api-keys.service.js';

@ApiTags('keys')
@Controller('v1/keys')
export class OwnKeysController {
  constructor(private readonly keys: ApiKeysService) {}

  @Post()
  @RequirePermission('keys:write')
  @ApiOperation({ summary: 'Create a key', description: 'With at most the scopes of the key that asks. The answer is the only place where the new key itself stands.' })
  @ApiResponse({ status: 201, description: 'Created.', standardSchema: createdApiKeySchema })
  @Keyed()
  create(@TenantCaller() caller: TenantCaller, @Body({ schema: createApiKeySchema }) key: CreateApiKey): Promise<CreatedApiKey> {
    return this.keys.create(caller.tenant.id, key, caller.scopes);
  }

  @Get()
  @RequirePermission('keys:read')
  @ApiOperation({ summary: 'List the keys, the revoked ones too' })
  @ApiResponse({ status: 200, description: 'The keys.', standardSchema: z.object({ items: z.array(apiKeyViewSchema) }) })
  @Keyed()
  list(@TenantCaller() caller: TenantCaller): Promise<{ items: ApiKeyView[] }> {
    return this.keys.list(caller.tenant.id);
  }

  @Delete(':id')
  @HttpCode(204)
  @RequirePermission('keys:write')
  @ApiOperation({ summary: 'Revoke a key, at once' })
  @ApiResponse({ status: 204, description: 'Revoked.' })
  @Keyed(404)
  revoke(@TenantCaller() caller: TenantCaller, @Param('id') id: string): Promise<void> {
    return this.keys.revoke(caller.tenant.id, id);
  }
}
