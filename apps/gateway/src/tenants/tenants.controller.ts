import { Body, Controller, Delete, Get, HttpCode, Param, Patch, Post, Query } from '@nestjs/common';
import { z } from 'zod';
import {
  apiKeyViewSchema,
  createApiKeySchema,
  createdApiKeySchema,
  createTenantSchema,
  pageSchema,
  TENANT_SCOPES,
  tenantViewSchema,
  updateTenantSchema,
  type ApiKeyView,
  type CreateApiKey,
  type CreatedApiKey,
  type CreateTenant,
  type Page,
  type TenantView,
  type UpdateTenant,
} from '#contracts';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { ApiKeysService } from './api-keys.service.js';
import { TenantsService } from './tenants.service.js';

const pageQuerySchema = z.strictObject({ limit: z.coerce.number().int().min(1).max(200).default(50), cursor: z.string().max(200).optional() });

@ApiTags('operator')
@Controller('v1/tenants')
export class TenantsController {
  constructor(
    private readonly tenants: TenantsService,
    private readonly keys: ApiKeysService,
  ) {}

  @Post()
  @RequirePermission('admin')
  @ApiOperation({ summary: 'Create a tenant' })
  @ApiResponse({ status: 201, description: 'Created; it has no key yet.', standardSchema: tenantViewSchema })
  @Keyed(409)
  create(@Body({ schema: createTenantSchema }) tenant: CreateTenant): Promise<TenantView> {
    return this.tenants.create(tenant);
  }

  @Get()
  @RequirePermission('admin')
  @ApiOperation({ summary: 'List tenants, oldest first' })
  @ApiResponse({ status: 200, description: 'A page.', standardSchema: pageSchema(tenantViewSchema) })
  @Keyed()
  list(@Query({ schema: pageQuerySchema }) page: z.infer<typeof pageQuerySchema>): Promise<Page<TenantView>> {
    return this.tenants.list(page);
  }

  @Get(':id')
  @RequirePermission('admin')
  @ApiOperation({ summary: 'A tenant' })
  @ApiResponse({ status: 200, description: 'The tenant.', standardSchema: tenantViewSchema })
  @Keyed(404)
  get(@Param('id') id: string): Promise<TenantView> {
    return this.tenants.get(id);
  }

  @Patch(':id')
  @RequirePermission('admin')
  @ApiOperation({ summary: "Change a tenant's limits" })
  @ApiResponse({ status: 200, description: 'The tenant as it is now.', standardSchema: tenantViewSchema })
  @Keyed(404)
  update(@Param('id') id: string, @Body({ schema: updateTenantSchema }) update: UpdateTenant): Promise<TenantView> {
    return this.tenants.update(id, update);
  }

  @Delete(':id')
  @HttpCode(204)
  @RequirePermission('admin')
  @ApiOperation({ summary: 'Delete a tenant with its keys, runs and logs', description: '409 while runs of it are not over: cancel them first.' })
  @ApiResponse({ status: 204, description: 'Deleted.' })
  @Keyed(404, 409)
  delete(@Param('id') id: string): Promise<void> {
    return this.tenants.delete(id);
  }

  @Post(':id/keys')
  @RequirePermission('admin')
  @ApiOperation({ summary: 'Create a key of a tenant', description: 'The answer is the only place where the key itself stands.' })
  @ApiResponse({ status: 201, description: 'Created.', standardSchema: createdApiKeySchema })
  @Keyed(404)
  async createKey(@Param('id') id: string, @Body({ schema: createApiKeySchema }) key: CreateApiKey): Promise<CreatedApiKey> {
    return this.keys.create((await this.tenants.find(id)).id, key, TENANT_SCOPES);
  }

  @Get(':id/keys')
  @RequirePermission('admin')
  @ApiOperation({ summary: 'List the keys of a tenant, the revoked ones too' })
  @ApiResponse({ status: 200, description: 'Its keys.', standardSchema: z.object({ items: z.array(apiKeyViewSchema) }) })
  @Keyed(404)
  async listKeys(@Param('id') id: string): Promise<{ items: ApiKeyView[] }> {
    return this.keys.list((await this.tenants.find(id)).id);
  }

  @Delete(':id/keys/:keyId')
  @HttpCode(204)
  @RequirePermission('admin')
  @ApiOperation({ summary: 'Revoke a key of a tenant, at once' })
  @ApiResponse({ status: 204, description: 'Revoked.' })
  @Keyed(404)
  async revokeKey(@Param('id') id: string, @Param('keyId') keyId: string): Promise<void> {
    await this.keys.revoke((await this.tenants.find(id)).id, keyId);
  }
}
