/** Streams of the multiplexed form: 0 stdin, 1 stdout, 2 stderr, 3 the engine's own errors. */
const NUMBERS = { stdout: 1, stderr: 2 } as const;

/** One frame: the stream's number, three zeros, the length (big-endian), the bytes. */
export function stdcopyFrame(stream: keyof typeof NUMBERS, bytes: Buffer): Buffer {
  const frame = Buffer.allocUnsafe(8 + bytes.length);
  frame.fill(0, 0, 4);
  frame.writeUInt8(NUMBERS[stream], 0);
  frame.writeUInt32BE(bytes.length, 4);
  bytes.copy(frame, 8);
  return frame;
}
