import { logFrameSchema, type LogFrame } from '#contracts';
import { JsonSocket } from './json-socket.js';
import { resumed, type ResumeOptions } from './resumed.js';
import type { Transport } from './transport.js';

export interface FollowOptions extends ResumeOptions {
  /** Frames up to this `seq` are known; default 0: from the start. */
  readonly after?: number;
}

/**
 * The frames of a run in order, each once, up to and including its end frame. A connection that breaks before is made anew after the
 * last frame that came, so neither a restart of the gateway nor a slow reader loses or repeats one.
 * @throws SandbarApiError when the log cannot be had, or the connection stays broken
 */
export async function* followLogs(transport: Transport, runId: string, options: FollowOptions = {}): AsyncGenerator<LogFrame> {
  let after = options.after ?? 0;
  const frames = resumed<LogFrame>('the log stream', options, {
    connect: () => new JsonSocket(transport, { path: `/v1/runs/${encodeURIComponent(runId)}/logs`, query: { after: String(after) }, schema: logFrameSchema, signal: options.signal }),
    isNew: ({ seq }) => {
      if (seq <= after) return false;
      after = seq;
      return true;
    },
  });
  for await (const frame of frames) {
    yield frame;
    if (frame.type === 'end') return;
  }
}
