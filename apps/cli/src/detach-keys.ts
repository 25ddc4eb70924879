import { CliError, EXIT } from './failure.js';

/** `ctrl-p,ctrl-q`, or plain characters: what leaves a program and lets it go on. @throws CliError */
export function parseDetachKeys(text: string): Buffer {
  return Buffer.concat(text.split(',').map(keyOf));
}

function keyOf(key: string): Buffer {
  const [, control] = /^ctrl-([a-z@[\\\]^_])$/.exec(key) ?? [];
  if (control !== undefined) return Buffer.from([control.toUpperCase().charCodeAt(0) & 0x1f]);
  if (key.length === 1) return Buffer.from(key);
  throw new CliError(`${key}: give keys such as ctrl-p,ctrl-q`, '', EXIT.usage);
}

/** Finds the keys in what is typed, however it comes in pieces. The beginning of them is held back until it is clear that they are something else. */
export class DetachKeys {
  private held = 0;

  constructor(private readonly keys: Buffer) {}

  /** What is for the program, and whether the person wants to leave. */
  take(typed: Buffer): { readonly bytes: Buffer; readonly detached: boolean } {
    if (this.keys.length === 0) return { bytes: typed, detached: false };
    const bytes: number[] = [];
    for (const byte of typed) {
      if (byte === this.keys[this.held]) {
        this.held += 1;
        if (this.held === this.keys.length) return { bytes: Buffer.from(bytes), detached: true };
        continue;
      }
      bytes.push(...this.keys.subarray(0, this.held));
      this.held = byte === this.keys[0] ? 1 : 0;
      if (this.held === 0) bytes.push(byte);
    }
    return { bytes: Buffer.from(bytes), detached: false };
  }
}
