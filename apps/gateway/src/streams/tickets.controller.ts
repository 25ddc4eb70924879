import { Body, Controller, Post } from '@nestjs/common';
import { z } from 'zod';
import { ticketViewSchema, type TicketView } from '#contracts';
import { TenantCaller } from '../auth/caller.decorator.js';
import { RequirePermission } from '../auth/permission.decorator.js';
import { ApiOperation, ApiResponse, ApiTags } from '../docs/annotations.js';
import { Keyed } from '../docs/api-errors.decorator.js';
import { invalidArgument } from '../protocols/rest/validation.pipe.js';
import { UpgradeAuthenticator } from './upgrade-authenticator.service.js';

const createTicketSchema = z.strictObject({}).optional();

/** There is nothing to ask for yet: what is asked for all the same is refused, so that it can mean something later. */
function emptyBody(body: unknown): void {
  const parsed = createTicketSchema.safeParse(body ?? undefined);
  if (!parsed.success) throw invalidArgument(parsed.error.issues);
}

@ApiTags('runs')
@Controller('v1/tickets')
export class TicketsController {
  constructor(private readonly authenticator: UpgradeAuthenticator) {}

  @Post()
  @RequirePermission('runs:read')
  @ApiOperation({ summary: 'A ticket for one WebSocket', description: 'For browsers: `?ticket=` in place of the header. Good once, for 30 seconds.' })
  @ApiResponse({ status: 201, description: 'The ticket.', standardSchema: ticketViewSchema })
  @Keyed()
  create(@TenantCaller() caller: TenantCaller, @Body() body: unknown): Promise<TicketView> {
    emptyBody(body);
    return this.authenticator.issue(caller);
  }
}
