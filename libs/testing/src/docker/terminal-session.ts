import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';

/** A program on a terminal of its own (script(1) makes it): keys go in, the screen's bytes come out. */
export class TerminalSession {
  private heard = '';
  private seen = 0;
  private tty = '';

  private constructor(private readonly child: ChildProcess) {
    for (const stream of [child.stdout, child.stderr]) stream?.on('data', (chunk: Buffer) => (this.heard += chunk.toString()));
    child.stdin?.on('error', () => undefined);
  }

  static async open(command: readonly string[], { env, columns, rows }: { readonly env: Readonly<Record<string, string | undefined>>; readonly columns: number; readonly rows: number }): Promise<TerminalSession> {
    const line = `echo "terminal $(tty)"; stty cols ${columns} rows ${rows}; exec ${command.map((word) => `'${word.replaceAll("'", `'\\''`)}'`).join(' ')}`;
    const child = spawn('script', ['--quiet', '--return', '--flush', '--command', line, '/dev/null'], { stdio: ['pipe', 'pipe', 'pipe'], env: { ...env, SHELL: '/bin/sh', TERM: 'xterm' } });
    const session = new TerminalSession(child);
    const [, tty = ''] = await session.see(/terminal (\/dev\/pts\/\d+)/);
    session.tty = tty;
    return session;
  }

  type(keys: string): void {
    this.child.stdin?.write(keys);
  }

  /** What comes on the screen behind what was seen already. @throws Error with the screen when it does not come */
  async see(pattern: RegExp, timeoutMs = 15_000): Promise<RegExpExecArray> {
    for (const end = performance.now() + timeoutMs; performance.now() < end; ) {
      const found = pattern.exec(this.heard.slice(this.seen));
      if (found !== null) {
        this.seen += found.index + found[0].length;
        return found;
      }
      await sleep(20);
    }
    throw new Error(`${String(pattern)} is not on the screen:\n${JSON.stringify(this.heard.slice(this.seen))}`);
  }

  /** As a window does that is drawn larger. */
  resize(columns: number, rows: number): void {
    execFileSync('stty', ['-F', this.tty, 'cols', String(columns), 'rows', String(rows)]);
  }

  /** Its exit code. */
  async ended(): Promise<number | null> {
    if (this.child.exitCode === null && this.child.signalCode === null) await once(this.child, 'exit');
    return this.child.exitCode;
  }

  kill(): void {
    this.child.kill('SIGKILL');
  }
}
