import { Controller, Delete, Get, Post, Put } from '@nestjs/common';
import { CodedError } from '#kernel';
import { RequirePermission } from '../../auth/permission.decorator.js';
import { Docker, DockerCall } from './docker-call.js';
import { DockerStatusError } from './errors.js';
import { ApiExcludeController } from '../../docs/annotations.js';

const NO_SWARM = 'This node is not a swarm manager. Use "docker swarm init" or "docker swarm join" to connect this node to swarm and try again.';
const SWARM = /^(swarm|nodes|services|tasks|secrets|configs)(\/|$)/;
/** What a person reads when a command meets something that is not there. */
const REASONS: readonly (readonly [RegExp, string])[] = [
  [/^plugins(\/|$)/, 'plugins are not supported by this server'],
  [/^(build\/cancel|session|grpc)$/, 'BuildKit is not supported by this server: build with the environment variable DOCKER_BUILDKIT=0'],
];

/** Parts of Docker's API that are known and not served are said so; everything else is no path of it. */
@ApiExcludeController()
@Controller('docker')
export class DockerUnavailableController {
  @Get('*')
  @RequirePermission('host:read')
  get(@Docker() call: DockerCall): never {
    return refuse(call);
  }

  @Post('*')
  @RequirePermission('host:write')
  post(@Docker() call: DockerCall): never {
    return refuse(call);
  }

  @Put('*')
  @RequirePermission('host:write')
  put(@Docker() call: DockerCall): never {
    return refuse(call);
  }

  @Delete('*')
  @RequirePermission('host:write')
  delete(@Docker() call: DockerCall): never {
    return refuse(call);
  }
}

function refuse({ path }: DockerCall): never {
  if (SWARM.test(path)) throw new DockerStatusError(503, NO_SWARM);
  const reason = REASONS.find(([form]) => form.test(path))?.[1];
  if (reason === undefined) throw new CodedError('not_found', 'page not found');
  throw new DockerStatusError(501, reason);
}
