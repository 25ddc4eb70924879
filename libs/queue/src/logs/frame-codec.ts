import { endFrameSchema, outputFrameSchema, type LogFrame } from '#contracts';
import { CodedError } from '#kernel';

export type StreamEntry = readonly [id: string, fields: readonly string[]];

/**
 * The fields of a frame in Redis: `k` kind (`e`, or three letters: step, stream, encoding), `d` data, `t` time. The entry's id is
 * `<seq>-0`.
 */
export function encodeFrame(frame: LogFrame): { kind: string; data: string; time: number } {
  if (frame.type === 'end') return { kind: 'e', data: JSON.stringify([frame.state, frame.exitCode, frame.signal]), time: frame.time };
  const kind = (frame.step === 'compile' ? 'c' : 'r') + (frame.stream === 'stdout' ? 'o' : 'e') + (frame.encoding === 'utf8' ? 'u' : 'b');
  return { kind, data: frame.data, time: frame.time };
}

/** @throws CodedError `protocol_violation` when the entry was not written by `encodeFrame`. */
export function decodeFrame([id, fields]: StreamEntry): LogFrame {
  const seq = seqOf(id);
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
}

export function seqOf(id: string): number {
  return Number(id.split('-', 1)[0]);
}

export function field(fields: readonly string[], name: string): string {
  for (let i = 0; i < fields.length; i += 2) if (fields[i] === name) return fields[i + 1] ?? '';
  return '';
}

function endOf(data: string): { state?: unknown; exitCode?: unknown; signal?: unknown } {
  let parts: unknown;
  try {
    parts = JSON.parse(data);
  } catch {
    return {};
  }
  return Array.isArray(parts) ? { state: parts[0] as unknown, exitCode: parts[1] as unknown, signal: parts[2] as unknown } : {};
}
