import { once } from 'node:events';
import type { LogFrame, RunState } from '#contracts';

/** Writes what a program wrote to this process' own stdout and stderr, byte for byte, no faster than they are read. */
export async function writeFrames(frames: AsyncIterable<LogFrame>): Promise<{ seq: number; state: RunState } | undefined> {
  for await (const frame of frames) {
    if (frame.type === 'end') return { seq: frame.seq, state: frame.state };
    const out = frame.stream === 'stdout' ? process.stdout : process.stderr;
    if (!out.write(Buffer.from(frame.data, frame.encoding))) await once(out, 'drain');
  }
  return undefined;
}
