import { z } from 'zod';
import { encodingSchema, runStateSchema } from './runs.js';

/** Bytes a step wrote. `seq` rises by one from frame to frame of a run, starting at 1. */
export const outputFrameSchema = z.object({
  seq: z.int().positive(),
  type: z.literal('output'),
  step: z.enum(['compile', 'run']),
  stream: z.enum(['stdout', 'stderr']),
  data: z.string(),
  encoding: encodingSchema,
  /** Milliseconds since the epoch, as the node read the bytes. */
  time: z.int(),
});

/** The last frame. A stream that ends without one is not complete: reconnect with `?after=<last seq>`. */
export const endFrameSchema = z.object({
  seq: z.int().positive(),
  type: z.literal('end'),
  state: runStateSchema,
  exitCode: z.int().nullable(),
  signal: z.string().nullable(),
  time: z.int(),
});

export const logFrameSchema = z.discriminatedUnion('type', [outputFrameSchema, endFrameSchema]);
export type OutputFrame = z.infer<typeof outputFrameSchema>;
export type EndFrame = z.infer<typeof endFrameSchema>;
export type LogFrame = z.infer<typeof logFrameSchema>;

/** WebSocket close codes of log streams. 1000 follows the end frame. */
export const LOG_CLOSE_CODES = { complete: 1000, unauthenticated: 4401, forbidden: 4403, notFound: 4404, gone: 4410, invalid: 4400, slow: 4408, unavailable: 1013 } as const;
