import type { FileHandle } from 'node:fs/promises';
import { FRAME_HEADER_BYTES, logFrames, MAX_FRAME_PAYLOAD, type LogFrame } from './log-frames.js';

/** Holds at least one frame of the largest size. */
const READ_BYTES = 4 * (FRAME_HEADER_BYTES + MAX_FRAME_PAYLOAD);

/** The whole frames of a segment between two offsets. @returns where the last one ends */
export async function* segmentFrames(handle: FileHandle, from: number, to: number, signal: AbortSignal): AsyncGenerator<LogFrame, number> {
  let offset = from;
  while (offset < to && !signal.aborted) {
    // A buffer each time: chunks that are handed on point into it.
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, to - offset));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset);
    const frames = logFrames(buffer.subarray(0, bytesRead));
    let next = frames.next();
    for (; next.done !== true; next = frames.next()) yield next.value;
    if (next.value === 0) return offset;
    offset += next.value;
  }
  return offset;
}
