import { EXIT, describeFailure } from './failure.js';

/** One Ctrl-C may arrive twice: from the terminal and from a parent that hands it on. */
const SAME_KEY_MS = 300;

/** The first Ctrl-C cancels what goes on elsewhere and waits for its end, the second leaves at once. */
export function cancelWithTerminal(id: string, cancel: () => Promise<unknown>): void {
  let askedAt: number | undefined;
  const ask = () => {
    if (askedAt !== undefined && performance.now() - askedAt < SAME_KEY_MS) return;
    if (askedAt !== undefined) process.exit(EXIT.interrupted);
    askedAt = performance.now();
    cancel().catch((error: unknown) => {
      process.stderr.write(`sandbar: ${id} could not be cancelled: ${describeFailure(error)}\n`);
      process.exit(EXIT.sandbarFailed);
    });
  };
  for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const) process.on(signal, ask);
}
