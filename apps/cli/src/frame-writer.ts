import type { LogFrame, RunState } from '#contracts';
import { errnoOf } from '#kernel';

/** The reader of our output has gone, as `head` does when it has seen enough. */
export class OutputClosed extends Error {
  override readonly name = 'OutputClosed';
}

/**
 * Writes what a program wrote to this process' own stdout and stderr, byte for byte, no faster than they are read.
 * @throws OutputClosed
 */
export async function writeFrames(frames: AsyncIterable<LogFrame>): Promise<{ seq: number; state: RunState } | undefined> {
  for await (const frame of frames) {
    if (frame.type === 'end') return { seq: frame.seq, state: frame.state };
    const out = frame.stream === 'stdout' ? process.stdout : process.stderr;
    await writeBytes(out, Buffer.from(frame.data, frame.encoding));
  }
  return undefined;
}

/** Resolves when the bytes have left. @throws OutputClosed */
export function writeBytes(out: NodeJS.WriteStream, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve, reject) => {
    out.write(bytes, (error) => {
      if (error === null || error === undefined) resolve();
      else reject(errnoOf(error) === 'EPIPE' ? new OutputClosed('nobody reads the output any more', { cause: error }) : error);
    });
  });
}
