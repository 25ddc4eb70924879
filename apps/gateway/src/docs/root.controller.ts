import { Controller, Get } from '@nestjs/common';
import { Public } from '../auth/permission.decorator.js';
import { ApiExcludeController } from './annotations.js';

@ApiExcludeController()
@Controller()
export class RootController {
  @Get()
  @Public()
  root(): { name: string; docs: string; openapi: string; health: string } {
    return { name: 'Sandbar', docs: '/docs', openapi: '/docs/json', health: '/health/ready' };
  }
}
