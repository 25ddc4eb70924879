import { Global, Module } from '@nestjs/common';
import { loadWorkerConfig, type WorkerConfig } from '#config';
import { createLogger } from '#observability';
import { LOGGER, WORKER_CONFIG } from './tokens.js';

/** What everything may ask for. */
@Global()
@Module({
  providers: [
    // eslint-disable-next-line no-restricted-syntax -- the one place where the worker's environment is handed to libs/config
    { provide: WORKER_CONFIG, useFactory: () => loadWorkerConfig(process.env) },
    { provide: LOGGER, inject: [WORKER_CONFIG], useFactory: (config: WorkerConfig) => createLogger({ name: 'worker', level: config.logLevel }) },
  ],
  exports: [WORKER_CONFIG, LOGGER],
})
export class BaseModule {}
