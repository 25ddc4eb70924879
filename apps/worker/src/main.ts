import 'reflect-metadata';
import { Module } from '@nestjs/common';
import { NestFactory } from '@nestjs/core';
import { asError, isCodedError, type Logger } from '#kernel';
import { BaseModule } from './base.module.js';
import { NodeModule } from './node/node.module.js';
import { WorkerNode } from './node/worker-node.js';
import { LOGGER } from './tokens.js';

@Module({ imports: [BaseModule, NodeModule] })
class WorkerModule {}

/** Exits 0 after SIGTERM or SIGINT with nothing left behind. SIGKILL leaves runs to the next start, which goes on with them. */
async function main(): Promise<void> {
  // eslint-disable-next-line @typescript-eslint/no-unsafe-class-instance-assignment -- Nest declares its option bag as a class and does not export it
  const app = await NestFactory.createApplicationContext(WorkerModule, { logger: false, abortOnError: false });
  const logger = app.get<Logger>(LOGGER);
  const node = app.get(WorkerNode);
  const stop = (signal: NodeJS.Signals): void => {
    logger.info({ signal }, 'stopping');
    node.stop().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ err: asError(error) }, 'the node did not stop cleanly');
        process.exit(1);
      },
    );
  };
  for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, stop);
  await node.start();
}

try {
  await main();
} catch (error) {
  const { message, stack } = asError(error);
  process.stderr.write(`worker: ${isCodedError(error) ? message : (stack ?? message)}\n`);
  process.exit(1);
}
