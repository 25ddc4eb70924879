import { Controller, Param, Post, Req, Res } from '@nestjs/common';
import type { FastifyReply, FastifyRequest } from 'fastify';
import { buildDeliveryViewSchema, errorBodySchema, type BuildDeliveryView } from '#contracts';
import { Public } from '../auth/permission.decorator.js';
import { ApiConsumes, ApiOperation, ApiParam, ApiResponse, ApiTags } from '../docs/annotations.js';
import { requestContext } from '../protocols/rest/request-context.js';
import { signedBody, TakesSigned } from '../protocols/rest/signed-body.js';
import { WEBHOOKS } from './build-source-view.js';
import { WebhookIntake } from './webhook-intake.service.js';

@ApiTags('build sources')
@Controller(WEBHOOKS)
export class WebhooksController {
  constructor(private readonly intake: WebhookIntake) {}

  @Post(':hook')
  @Public()
  @TakesSigned()
  @ApiOperation({
    summary: 'What the host of a repository calls with each push',
    description: 'No API key: the source’s secret signs the body (`X-Hub-Signature-256` of GitHub, Gitea and Forgejo; `webhook-signature` of GitLab’s signing token; `X-Gitea-Signature`, `X-Forgejo-Signature`) or is shown (`X-Gitlab-Token`). What was delivered before does nothing again.',
  })
  @ApiParam({ name: 'hook', description: 'As `webhookPath` of the source has it.' })
  @ApiConsumes('application/json', 'application/x-www-form-urlencoded')
  @ApiResponse({ status: 200, description: 'Nothing to do: ignored (`reason` says why), or built before.', standardSchema: buildDeliveryViewSchema })
  @ApiResponse({ status: 202, description: 'A build is queued.', standardSchema: buildDeliveryViewSchema })
  @ApiResponse({ status: 400, description: 'A push that cannot be read.', standardSchema: errorBodySchema })
  @ApiResponse({ status: 401, description: 'No such webhook, or its signature is wrong.', standardSchema: errorBodySchema })
  @ApiResponse({ status: 413, description: 'The body is too large.', standardSchema: errorBodySchema })
  @ApiResponse({ status: 429, description: 'Too many requests, or builds: deliver it again later.', standardSchema: errorBodySchema })
  @ApiResponse({ status: 503, description: 'Deliver it again later.', standardSchema: errorBodySchema })
  async receive(@Param('hook') hook: string, @Req() request: FastifyRequest, @Res({ passthrough: true }) reply: FastifyReply): Promise<BuildDeliveryView> {
    const { view, fresh } = await this.intake.receive({ hook, headers: request.headers, address: request.ip, requestId: requestContext(request).id }, signedBody(request));
    void reply.status(fresh && view.state === 'built' ? 202 : 200);
    return view;
  }
}
