import { Global, Module, type DynamicModule } from '@nestjs/common';
import { systemClock, type Clock, type Logger } from '#kernel';
import * as tokens from './platform.js';
import { Lifecycle } from './lifecycle.js';
import type { TenantHosts } from '../nodes/tenant-host.js';
import type { Platform } from './platform.js';
import type { GatewaySettings } from './settings.js';

export interface Surroundings {
  readonly platform: Platform;
  readonly settings: GatewaySettings;
  readonly logger: Logger;
  readonly clock?: Clock;
  /** In the place of the nodes': tests give their own. */
  readonly hosts?: TenantHosts;
}

/** Hands the opened platform to every module. It does not own it: who opened it closes it, after the application. */
@Global()
@Module({})
export class PlatformModule {
  static with({ platform, settings, logger, clock = systemClock, hosts }: Surroundings): DynamicModule {
    const values: readonly [symbol, unknown][] = [
      [tokens.REPOSITORIES, platform.repositories],
      [tokens.RUN_QUEUE, platform.queue],
      [tokens.ADMISSION, platform.admission],
      [tokens.RUN_CLAIMS, platform.claims],
      [tokens.RUN_LOG_STREAM, platform.logs],
      [tokens.NODE_EVENTS, platform.events],
      [tokens.RUN_BELL, platform.bell],
      [tokens.NODE_REGISTRY, platform.nodes],
      [tokens.TICKETS, platform.tickets],
      [tokens.AUTH_INVALIDATION, platform.invalidation],
      [tokens.OPERATION_QUEUE, platform.operations],
      [tokens.OPERATION_PROGRESS, platform.progress],
      [tokens.BUILD_QUEUE, platform.builds],
      [tokens.BUILD_LOG_STREAM, platform.buildLogs],
      [tokens.GIVEN_HOSTS, hosts],
      [tokens.REDIS, platform.redis],
      [tokens.SETTINGS, settings],
      [tokens.LOGGER, logger],
      [tokens.CLOCK, clock],
    ];
    return {
      module: PlatformModule,
      providers: [Lifecycle, ...values.map(([provide, useValue]) => ({ provide, useValue }))],
      exports: [Lifecycle, ...values.map(([token]) => token)],
    };
  }
}
