import { buildFrameSchema, type BuildFrame } from '#contracts';
import { CodedError } from '#kernel';
import { field, type LogCodec } from '../logs/log-codec.js';

/** A build's frames are JSON in Redis, the end marked by its kind. */
export const BUILD_FRAMES: LogCodec<BuildFrame> = {
  // Number and time stand in the entry.
  encode: (frame) => ({ kind: frame.type === 'end' ? 'e' : 'f', data: JSON.stringify({ ...frame, seq: undefined, time: undefined }), time: frame.time }),
  decode: ([id, fields], seq) => {
    const parsed = buildFrameSchema.safeParse({ ...(objectOf(field(fields, 'd')) ?? {}), seq, time: Number(field(fields, 't')) });
    if (!parsed.success) throw new CodedError('protocol_violation', 'an entry of a build log is malformed', { id });
    return parsed.data;
  },
};

function objectOf(text: string): object | undefined {
  try {
    const value: unknown = JSON.parse(text);
    return typeof value === 'object' && value !== null ? value : undefined;
  } catch {
    return undefined;
  }
}
