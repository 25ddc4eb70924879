/** Looks for a sequence of keys in what is typed. What may still become the sequence is kept back until it is known. */
export class DetachKeys {
  private held = 0;

  constructor(private readonly keys: Buffer) {}

  /** What is to be typed now, and whether the sequence has come: nothing behind it counts. */
  push(bytes: Uint8Array): { readonly bytes: Buffer; readonly detached: boolean } {
    if (this.keys.length === 0) return { bytes: Buffer.from(bytes), detached: false };
    const out: number[] = [];
    for (const byte of bytes) {
      this.step(byte, out);
      if (this.held < this.keys.length) continue;
      this.held = 0;
      return { bytes: Buffer.from(out), detached: true };
    }
    return { bytes: Buffer.from(out), detached: false };
  }

  /** The longest end of what was typed that begins the sequence is kept back; what stands before it goes out. */
  private step(byte: number, out: number[]): void {
    const typed = [...this.keys.subarray(0, this.held), byte];
    for (let from = 0; from <= typed.length; from += 1) {
      if (!typed.slice(from).every((each, index) => each === this.keys[index])) continue;
      out.push(...typed.slice(0, from));
      this.held = typed.length - from;
      return;
    }
  }
}
