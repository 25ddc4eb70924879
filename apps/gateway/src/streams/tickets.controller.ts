import { Body, Controller, Post } from '@nestjs/common';
import { ApiOperation, ApiResponse, ApiTags } from '@nestjs/swagger';
import { z } from 'zod';
import { ticketViewSchema, type TicketView } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { UpgradeAuthenticator } from './upgrade-authenticator.service.js';

const createTicketSchema = z.strictObject({}).optional();

@ApiTags('runs')
@Controller('v1/tickets')
export class TicketsController {
  constructor(private readonly authenticator: UpgradeAuthenticator) {}

  @Post()
  @RequirePermission('runs:read')
  @ApiOperation({ summary: 'A ticket for one WebSocket', description: 'For browsers: `?ticket=` in place of the header. Good once, for 30 seconds.' })
  @ApiResponse({ status: 201, description: 'The ticket.', standardSchema: ticketViewSchema })
  @Keyed()
  create(@TenantCaller() caller: TenantCaller, @Body({ schema: createTicketSchema }) _empty: z.infer<typeof createTicketSchema>): Promise<TicketView> {
    return this.authenticator.issue(caller);
  }
}
