import type { NodeHeartbeat } from '#contracts';
import { asError, type Logger, type NodeId } from '#kernel';
import type { NodeRegistry } from '#queue';
import type { NodeRuntimes } from './node-runtimes.js';
import type { RuntimeInstalls } from './runtime-installs.js';

const INTERVAL_MS = 30_000;

export interface RuntimeConvergenceOptions {
  readonly nodeId: NodeId;
  readonly nodes: Pick<NodeRegistry, 'list'>;
  readonly runtimes: Pick<NodeRuntimes, 'available'>;
  readonly installs: Pick<RuntimeInstalls, 'begin' | 'idle'>;
  readonly logger: Logger;
}

/**
 * What one node has, all come to have: a run goes to whichever node is free. Nobody has to remember what was asked for; a node that was away, or that joins,
 * looks at the others. Languages are never taken away, so this comes to rest.
 */
export class RuntimeConvergence {
  private timer: NodeJS.Timeout | undefined;

  constructor(private readonly options: RuntimeConvergenceOptions) {}

  /** Before this node takes runs. Resolves when what the others have is here, or cannot be had now; then looks again from time to time. */
  async start(): Promise<void> {
    await this.look();
    await this.options.installs.idle();
    this.timer = setInterval(() => void this.look(), INTERVAL_MS);
    this.timer.unref();
  }

  stop(): void {
    clearInterval(this.timer);
  }

  private async look(): Promise<void> {
    const { nodeId, nodes, runtimes, installs, logger } = this.options;
    try {
      const others = (await nodes.list()).filter((node) => node.nodeId !== nodeId);
      for (const name of missing(others, runtimes.available())) installs.begin(name);
    } catch (error) {
      logger.warn({ err: asError(error) }, 'runtimes: could not see what other nodes have');
    }
  }
}

/** Names that this node knows and others have installed. */
export function missing(others: readonly Pick<NodeHeartbeat, 'runtimes'>[], available: readonly { readonly name: string }[]): string[] {
  const had = new Set(others.flatMap(({ runtimes }) => runtimes.map(({ name }) => name)));
  return available.map(({ name }) => name).filter((name) => had.has(name));
}
