import type { AttachOptions, ExecSpec, ProcessStream } from '../index.js';

export const LOOK: AttachOptions = { stdin: false, stdout: true, stderr: true, logs: false, follow: true };

export function execOf(argv: readonly string[], more: Partial<ExecSpec> = {}): ExecSpec {
  return { argv, env: [], workingDir: '', user: '', tty: false, openStdin: false, privileged: false, clientConfig: {}, ...more };
}

/** Everything to the end. */
export async function outputOf(stream: ProcessStream): Promise<{ stdout: string; stderr: string; exitCode: number | undefined }> {
  const watch = new ProcessWatch(stream);
  await watch.done;
  return { stdout: watch.text('stdout'), stderr: watch.text('stderr'), exitCode: (await stream.ended)?.exitCode };
}

/** Takes what comes as it comes. */
export class ProcessWatch {
  readonly done: Promise<void>;
  readonly seqs: number[] = [];
  private readonly pieces: Record<'stdout' | 'stderr', Buffer[]> = { stdout: [], stderr: [] };
  private readonly watchers = new Set<() => void>();

  constructor(stream: ProcessStream) {
    this.done = this.take(stream);
    this.done.catch(() => undefined);
  }

  text(stream: 'stdout' | 'stderr' = 'stdout'): string {
    return Buffer.concat(this.pieces[stream]).toString('latin1');
  }

  async until(text: string, timeoutMs = 5000): Promise<void> {
    const late = Date.now() + timeoutMs;
    while (!this.text().includes(text)) {
      if (Date.now() > late) throw new Error(`it never said ${text}, but ${this.text().slice(-500)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, 200);
        this.watchers.add(() => {
          clearTimeout(timer);
          resolve();
        });
      });
      this.watchers.clear();
    }
  }

  private async take(stream: ProcessStream): Promise<void> {
    for await (const { seq, stream: name, bytes } of stream.output()) {
      this.seqs.push(seq);
      this.pieces[name].push(bytes);
      for (const watcher of this.watchers) watcher();
    }
  }
}
