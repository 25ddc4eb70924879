import { buildFrameSchema, logFrameSchema, type BuildFrame, type LogFrame } from '#contracts';
import type { z } from 'zod';
import { SandbarApiError } from './errors.js';
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
export function followLogs(transport: Transport, runId: string, options: FollowOptions = {}): AsyncGenerator<LogFrame> {
  return followFrames(transport, `/v1/runs/${encodeURIComponent(runId)}/logs`, logFrameSchema, options);
}

/** Likewise, of a build. */
export function followBuildLogs(transport: Transport, buildId: string, options: FollowOptions = {}): AsyncGenerator<BuildFrame> {
  return followFrames(transport, `/v1/builds/${encodeURIComponent(buildId)}/logs`, buildFrameSchema, options);
}

async function* followFrames<F extends { readonly seq: number; readonly type: string }>(transport: Transport, path: string, schema: z.ZodType<F>, options: FollowOptions): AsyncGenerator<F> {
  let after = options.after ?? 0;
  const frames = resumed<F>('the log stream', options, {
    connect: () => new JsonSocket(transport, { path, query: { after: String(after) }, schema, signal: options.signal }),
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

/** One line of a log over plain HTTP. @throws SandbarApiError `protocol_violation` */
export function frameOf<F>(schema: z.ZodType<F>, line: string): F {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = undefined;
  }
  const parsed = schema.safeParse(value);
  if (!parsed.success) throw new SandbarApiError('protocol_violation', 'the log holds something that is no frame', 200, undefined);
  return parsed.data;
}
