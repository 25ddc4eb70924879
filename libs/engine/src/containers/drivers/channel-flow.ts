import type { ChannelReader } from './channel-reader.js';

/** A reader that lags further behind holds the process back, until it has come nearer than the second. */
const HOLD_BYTES = 2 * 1024 * 1024;
const GO_BYTES = 512 * 1024;
/** How long one may hold the process back without taking anything. */
export const PATIENCE_MS = 60_000;

/** Holds a process back for readers that lag, and cuts off those that take nothing. */
export class ChannelFlow {
  private holding = false;
  private since = 0;
  private watch: NodeJS.Timeout | undefined;

  constructor(
    private readonly readers: ReadonlySet<ChannelReader>,
    private readonly patienceMs: number,
    private readonly hold: (held: boolean) => void,
  ) {}

  get held(): boolean {
    return this.holding;
  }

  /** Output has come, or a reader has gone on. */
  regulate(): void {
    let lag = 0;
    for (const reader of this.readers) lag = Math.max(lag, reader.lagBytes);
    const held = this.holding ? lag > GO_BYTES : lag > HOLD_BYTES;
    if (held === this.holding) return;
    this.holding = held;
    this.since = performance.now();
    this.hold(held);
    this.close();
    if (held) this.watchReaders();
  }

  close(): void {
    clearTimeout(this.watch);
  }

  private watchReaders(): void {
    this.watch = setTimeout(() => {
      const now = performance.now();
      for (const reader of [...this.readers]) if (reader.lagBytes > GO_BYTES && now - Math.max(reader.tookAt, this.since) >= this.patienceMs) reader.cutOff();
      if (this.holding) this.watchReaders();
    }, this.patienceMs / 4).unref();
  }
}
