import { once } from 'node:events';
import type { Duplex } from 'node:stream';
import type { ProcessChunk, ProcessStream } from '#engine';

/** A connection, in the form in which a process's bytes go through a tunnel. */
export class DialledStream implements ProcessStream {
  readonly tty = true;
  readonly ended = Promise.resolve(undefined);

  constructor(private readonly connection: Duplex) {
    connection.on('error', () => undefined);
  }

  async *output(): AsyncGenerator<ProcessChunk> {
    let seq = 0;
    for await (const bytes of this.connection.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) yield { seq: (seq += 1), stream: 'stdout', timeMs: Date.now(), bytes };
  }

  async write(bytes: Uint8Array): Promise<void> {
    const { connection } = this;
    if (connection.destroyed || connection.writableEnded || connection.write(bytes)) return;
    const settled = new AbortController();
    const { signal } = settled;
    await Promise.race([once(connection, 'drain', { signal }), once(connection, 'close', { signal })]).catch(() => undefined);
    // The one that did not come would be listened for as long as the connection lasts.
    settled.abort();
  }

  end(): Promise<void> {
    if (!this.connection.writableEnded) this.connection.end();
    return Promise.resolve();
  }

  /** What was written leaves still. */
  close(): void {
    const { connection } = this;
    if (connection.destroyed) return;
    if (connection.writableFinished) connection.destroy();
    else connection.once('finish', () => connection.destroy()).end();
  }
}
