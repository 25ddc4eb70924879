import { Controller, Get } from '@nestjs/common';
import { z } from 'zod';
import { scopeSchema, tenantViewSchema } from '#contracts';
import { Caller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';

const meViewSchema = z.object({ keyId: z.string(), scopes: z.array(scopeSchema), tenant: tenantViewSchema.nullable().describe("null: the operator's key.") });
type MeView = z.infer<typeof meViewSchema>;

@ApiTags('keys')
@Controller('v1/me')
export class MeController {
  @Get()
  @RequirePermission('any')
  @ApiOperation({ summary: 'Who the key says that I am' })
  @ApiResponse({ status: 200, description: 'The key, its scopes, its tenant and limits.', standardSchema: meViewSchema })
  @Keyed()
  me(@Caller() { keyId, scopes, tenant }: Caller): MeView {
    return {
      keyId,
      scopes: [...scopes],
      tenant: tenant === null ? null : { id: tenant.id, name: tenant.name, limits: tenant.limits, createdAt: tenant.createdAt.toISOString() },
    };
  }
}
