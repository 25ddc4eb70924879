import { endFrameSchema, outputFrameSchema, type LogFrame } from '#contracts';
import { CodedError } from '#kernel';
import { field, type LogCodec } from './log-codec.js';

/** A run's output: the kind is three letters (step, stream, encoding), the data the bytes as they are. */
export const RUN_FRAMES: LogCodec<LogFrame> = {
  encode: (frame) => {
    if (frame.type === 'end') return { kind: 'e', data: JSON.stringify([frame.state, frame.exitCode, frame.signal]), time: frame.time };
    const kind = (frame.step === 'compile' ? 'c' : 'r') + (frame.stream === 'stdout' ? 'o' : 'e') + (frame.encoding === 'utf8' ? 'u' : 'b');
    return { kind, data: frame.data, time: frame.time };
  },
  decode: ([id, fields], seq) => {
    const kind = field(fields, 'k');
    const data = field(fields, 'd');
    const time = Number(field(fields, 't'));
    const frame =
      kind === 'e'
        ? endFrameSchema.safeParse({ type: 'end', seq, time, ...endOf(data) })
        : outputFrameSchema.safeParse({
            type: 'output',
            seq,
            step: kind[0] === 'c' ? 'compile' : 'run',
            stream: kind[1] === 'o' ? 'stdout' : 'stderr',
            encoding: kind[2] === 'u' ? 'utf8' : 'base64',
            data,
            time,
          });
    if (!frame.success) throw new CodedError('protocol_violation', 'an entry of a run log is malformed', { id });
    return frame.data;
  },
};

function endOf(data: string): { state?: unknown; exitCode?: unknown; signal?: unknown } {
  let parts: unknown;
  try {
    parts = JSON.parse(data);
  } catch {
    return {};
  }
  return Array.isArray(parts) ? { state: parts[0] as unknown, exitCode: parts[1] as unknown, signal: parts[2] as unknown } : {};
}
