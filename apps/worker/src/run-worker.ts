import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { asError, type Logger } from '#kernel';
import { BaseModule } from './base.module.js';
import { NodeModule } from './node/node.module.js';
import { WorkerNode } from './node/worker-node.js';
import { LOGGER } from './tokens.js';

@Module({ imports: [BaseModule, NodeModule] })
class WorkerModule {}

/** Until `asked` says stop: then exits 0 with nothing left behind. SIGKILL leaves runs and containers to the next start, which goes on with them. */
export async function runWorker(asked: Promise<NodeJS.Signals>): Promise<void> {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- Nest declares its option bag as a class and does not export it
  const app = await NestFactory.createApplicationContext(WorkerModule, { logger: false, abortOnError: false });
  const logger = app.get<Logger>(LOGGER);
  const node = app.get(WorkerNode);
  const started = node.start();
  void asked.then((signal) => {
    logger.info({ signal }, 'stopping');
    node.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: asError(error) }, 'the node did not stop cleanly');
        process.exit(1);
      },
    );
  });
  await started;
}
