import { asError, isCodedError } from '#kernel';

// Heard before all else is loaded: what an earlier worker has left running goes by a start and a stop, and by nothing else.
const asked = Promise.withResolvers<NodeJS.Signals>();
for (const signal of ['SIGTERM', 'SIGINT'] as const) process.on(signal, asked.resolve);

try {
  const { runWorker } = await import('./run-worker.js');
  await runWorker(asked.promise);
} catch (error) {
  const { message, stack } = asError(error);
  process.stderr.write(`worker: ${isCodedError(error) ? message : (stack ?? message)}\n`);
  process.exit(1);
}
