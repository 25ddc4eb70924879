import { Socket } from 'node:net';
import type { Duplex } from 'node:stream';
import { inputFrame, inputFrameHead } from '#contracts';
import { StreamGarbage } from '#kernel';

/** Of a client: who takes nothing for so long is cut off. */
const STALL_MS = 60_000;
/** The half of a client that nobody listens to any more may take so long to end. */
const LINGER_MS = 2_000;
const PROBE_MS = 30_000;
const NOTHING = Buffer.alloc(0);

export interface SpliceOptions {
  readonly stallMs?: number;
  /** Cuts both. */
  readonly signal: AbortSignal;
}

export type SpliceEnd = 'complete' | 'client_gone' | 'node_gone' | 'stalled' | 'aborted';

export interface SpliceResult {
  readonly end: SpliceEnd;
  /** From the client to the node, and back. */
  readonly bytesUp: number;
  readonly bytesDown: number;
}

/**
 * A client's connection and a process's tunnel as one: what comes from one goes to the other at the pace at which that one reads. The end of the client's half is
 * end-of-file for the program; the end of the tunnel's is the end of the client's answer. It is complete when the client has all of it; whatever else ends it
 * destroys both. A program may take as long as it likes to read what the client sends. Owns both from the call on; never rejects.
 */
export function splice(client: Duplex, node: Duplex, options: SpliceOptions): Promise<SpliceResult> {
  return new Promise((resolve) => {
    new Splice(client, node, options, resolve).begin();
  });
}

class Splice {
  private settled = false;
  private bytesUp = 0;
  private bytesDown = 0;
  private stalled: NodeJS.Timeout | undefined;
  private probe: NodeJS.Timeout | undefined;
  private ended = false;
  private readonly stallMs: number;

  constructor(
    private readonly client: Duplex,
    private readonly node: Duplex,
    private readonly options: SpliceOptions,
    private readonly resolve: (result: SpliceResult) => void,
  ) {
    this.stallMs = options.stallMs ?? STALL_MS;
  }

  begin(): void {
    const { client, node } = this;
    client.on('error', () => { this.settle('client_gone'); }).once('close', () => { this.settle('client_gone'); });
    // A node closes when all is said; what it has said is still on its way to the client.
    node.on('error', () => { this.settle('node_gone'); }).once('close', () => { if (!node.readableEnded) this.settle('node_gone'); });
    client.once('finish', () => { this.settle(this.ended ? 'complete' : 'client_gone'); });
    if (this.options.signal.aborted || client.destroyed || node.destroyed) {
      this.settle(client.destroyed ? 'client_gone' : node.destroyed ? 'node_gone' : 'aborted');
      return;
    }
    this.options.signal.addEventListener('abort', this.abort, { once: true });
    this.up();
    this.down();
  }

  /** In frames: half of a connection that ends could not tell the client's end-of-file from ours. */
  private up(): void {
    const { client, node } = this;
    const garbage = new StreamGarbage();
    client.on('data', (chunk: Buffer) => {
      this.bytesUp += chunk.length;
      garbage.passed(chunk.length);
      node.cork();
      node.write(inputFrameHead('stdin', chunk.length));
      const room = node.write(chunk);
      node.uncork();
      if (!room && !this.settled) client.pause();
    });
    node.on('drain', () => client.resume());
    client.once('end', () => {
      if (this.settled) return;
      node.write(inputFrame('end'));
      // Whether a silent client whose half is ended is still there shows only when something is sent.
      this.probe = setInterval(() => client.write(NOTHING), PROBE_MS);
    });
  }

  private down(): void {
    const { client, node } = this;
    const garbage = new StreamGarbage();
    node.pipe(client, { end: false });
    node.on('data', (chunk: Buffer) => {
      this.bytesDown += chunk.length;
      garbage.passed(chunk.length);
      if (client.writableNeedDrain) this.stalled ??= setTimeout(this.stall, this.stallMs);
    });
    client.on('drain', () => { this.moves(); });
    node.once('end', () => {
      if (this.settled) return;
      // A node that ends its answer waits for us to close; one that is gone takes nothing any more, and what it sent is not all.
      node.write(NOTHING, (error) => {
        if (error == null) this.finish();
        else this.settle('node_gone');
      });
    });
  }

  /** What is left has to leave too. */
  private finish(): void {
    if (this.settled) return;
    this.ended = true;
    this.moves();
    this.stalled = setTimeout(this.stall, this.stallMs);
    this.client.end();
  }

  private readonly abort = (): void => {
    this.settle('aborted');
  };
  private readonly stall = (): void => {
    this.settle('stalled');
  };

  private moves(): void {
    clearTimeout(this.stalled);
    this.stalled = undefined;
  }

  private settle(end: SpliceEnd): void {
    if (this.settled) return;
    this.settled = true;
    this.moves();
    clearInterval(this.probe);
    this.options.signal.removeEventListener('abort', this.abort);
    this.node.destroy();
    if (end === 'complete') linger(this.client);
    else cut(this.client);
    this.resolve({ end, bytesUp: this.bytesUp, bytesDown: this.bytesDown });
  }
}

/** Bytes alone cannot say that they are not all: the client is to see a connection that broke. */
function cut(client: Duplex): void {
  if (client instanceof Socket && client.remoteAddress !== undefined && !('encrypted' in client)) client.resetAndDestroy();
  else client.destroy();
}

/** Closed with bytes unread, a connection would be reset, and the client could lose what it has not read yet. */
export function linger(client: Duplex): void {
  if (client.destroyed || client.readableEnded) {
    client.destroy();
    return;
  }
  const cut = setTimeout(() => client.destroy(), LINGER_MS);
  client.once('end', () => client.destroy()).once('close', () => {
    clearTimeout(cut);
  });
  client.resume();
}
