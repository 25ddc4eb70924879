import { Module } from '@nestjs/common';
import type { WorkerConfig } from '#config';
import { MemoryHostEvents } from '#engine';
import type { Logger } from '#kernel';
import { openHost } from '../host/open-host.js';
import { ImageQuotas } from '../host/image-quotas.js';
import { openEngineStores, type EngineStores } from '../runtimes/engine-stores.js';
import { ENGINE, HOST, LOGGER, STORES, WORKER_CONFIG } from '../tokens.js';
import { openEngine, type Engine } from './open-engine.js';

/** What the engine's parts tell and are told of tenants. */
interface Ledger {
  readonly events: MemoryHostEvents;
  readonly quotas: ImageQuotas;
}

const LEDGER = Symbol('Ledger');

/** The one place where the engine is wired. */
@Module({
  providers: [
    { provide: LEDGER, useFactory: (): Ledger => ({ events: new MemoryHostEvents({}), quotas: new ImageQuotas() }) },
    {
      provide: STORES,
      inject: [WORKER_CONFIG, LOGGER, LEDGER],
      useFactory: (config: WorkerConfig, logger: Logger, { events, quotas }: Ledger) => openEngineStores({ ...config, logger, events, quotaBytesOf: (namespace) => quotas.of(namespace) }),
    },
    {
      provide: ENGINE,
      inject: [WORKER_CONFIG, LOGGER, STORES],
      useFactory: (config: WorkerConfig, logger: Logger, { snapshots }: EngineStores) => openEngine({ ...config, snapshots, logger }),
    },
    {
      provide: HOST,
      inject: [WORKER_CONFIG, LOGGER, STORES, ENGINE, LEDGER],
      useFactory: (config: WorkerConfig, logger: Logger, stores: EngineStores, engine: Engine, ledger: Ledger) => openHost({ config, stores, engine, ...ledger, logger }),
    },
  ],
  exports: [STORES, ENGINE, HOST],
})
export class EngineModule {}
