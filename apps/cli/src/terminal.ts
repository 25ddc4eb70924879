import { execFileSync } from 'node:child_process';
import type { ReadStream, WriteStream } from 'node:tty';
import { CliError, EXIT } from './failure.js';

export interface TerminalSize {
  readonly columns: number;
  readonly rows: number;
}

/** The terminal of the person, handed to a program elsewhere: what is typed goes on byte by byte, ctrl-C too, and nothing is echoed here. */
export class RawTerminal {
  private constructor(
    private readonly input: ReadStream,
    private readonly output: WriteStream,
  ) {}

  /** @throws CliError when stdin is none */
  static enter(input: ReadStream = process.stdin, output: WriteStream = process.stdout): RawTerminal {
    if (!input.isTTY) throw new CliError('the input is not a terminal', 'Leave out -t, or run it in a terminal.', EXIT.usage);
    input.setRawMode(true);
    passThrough();
    return new RawTerminal(input, output);
  }

  /** Zeros, which change nothing, when the output is elsewhere. */
  get size(): TerminalSize {
    return this.output.isTTY ? { columns: this.output.columns, rows: this.output.rows } : { columns: 0, rows: 0 };
  }

  /** Now, and whenever the window changes. */
  onSize(tell: (size: TerminalSize) => void): void {
    tell(this.size);
    this.output.on('resize', () => {
      tell(this.size);
    });
  }

  /** Idempotent. A shell that finds its terminal raw is of no use. */
  leave(): void {
    this.input.setRawMode(false);
    this.input.pause();
  }
}

/**
 * Node's raw mode still turns each line feed into a carriage return and a line feed on the way out, where a full-screen program means one row down. `leave` takes this back
 * too: it restores what was before raw mode.
 */
function passThrough(): void {
  try {
    execFileSync('stty', ['-opost'], { stdio: ['inherit', 'ignore', 'ignore'] });
  } catch {
    // Without stty(1) lines still end where they should.
  }
}
