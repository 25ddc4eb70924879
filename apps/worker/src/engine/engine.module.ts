import { Module } from '@nestjs/common';
import type { WorkerConfig } from '#config';
import type { Logger } from '#kernel';
import { ENGINE, LOGGER, STORES, WORKER_CONFIG } from '../tokens.js';
import { openEngineStores, type EngineStores } from '../runtimes/engine-stores.js';
import { openEngine } from './open-engine.js';

/** The one place where the engine is wired. */
@Module({
  providers: [
    { provide: STORES, inject: [WORKER_CONFIG, LOGGER], useFactory: (config: WorkerConfig, logger: Logger) => openEngineStores({ ...config, logger }) },
    {
      provide: ENGINE,
      inject: [WORKER_CONFIG, LOGGER, STORES],
      useFactory: (config: WorkerConfig, logger: Logger, { snapshots }: EngineStores) => openEngine({ ...config, snapshots, logger }),
    },
  ],
  exports: [STORES, ENGINE],
})
export class EngineModule {}
