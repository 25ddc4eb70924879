import { processFrameSchema, type ProcessExit, type ProcessOutput } from '#contracts';
import { SandbarApiError } from './errors.js';

/** @throws SandbarApiError `protocol_violation` */
export function processFrameOf(line: string): ProcessOutput | ProcessExit {
  let value: unknown;
  try {
    value = JSON.parse(line);
  } catch {
    value = undefined;
  }
  const parsed = processFrameSchema.safeParse(value);
  if (!parsed.success) throw new SandbarApiError('protocol_violation', 'the output holds something that is no frame', 200, undefined);
  return parsed.data;
}
