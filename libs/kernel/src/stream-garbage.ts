/** Some dozen buffers of a socket: as many as may lie about at once without being missed. */
const BYTES_PER_COLLECTION = 2 * 1024 * 1024;

type Collect = (options: { readonly type: 'minor' }) => unknown;

/**
 * The buffers that pass through a stream are dead as soon as they are sent. V8 sees of each only the little object that holds it, so tens of megabytes
 * may wait for its next collection; the young generation, in which they lie, is collected in a millisecond. Without `--expose-gc` nothing happens.
 */
export class StreamGarbage {
  private bytes = 0;
  private readonly collect = (globalThis as { readonly gc?: Collect }).gc;

  /** Above twice what of a stream is held at a time: what has outlived two collections is old to V8, and waits for a whole one. */
  constructor(private readonly bytesPerCollection: number = BYTES_PER_COLLECTION) {}

  passed(bytes: number): void {
    this.bytes += bytes;
    if (this.bytes < this.bytesPerCollection) return;
    this.bytes = 0;
    this.collect?.({ type: 'minor' });
  }
}
