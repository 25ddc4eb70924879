import { MAX_RESULT_BYTES, type SandboxExecResult } from '#contracts';
import { textOf, type OutputChunk } from './process-output.js';

type Collected = Pick<SandboxExecResult, 'stdout' | 'stderr' | 'stdoutTruncated' | 'stderrTruncated' | 'encoding'>;

/** The beginning of what a program writes, at most `MAX_RESULT_BYTES` of each stream. */
export class CollectedOutput {
  private readonly parts = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  private readonly bytes = { stdout: 0, stderr: 0 };

  add({ stream, bytes }: OutputChunk): void {
    const room = MAX_RESULT_BYTES - this.bytes[stream];
    if (room > 0) this.parts[stream].push(bytes.subarray(0, room));
    this.bytes[stream] += bytes.length;
  }

  result(): Collected {
    const stdout = Buffer.concat(this.parts.stdout);
    const stderr = Buffer.concat(this.parts.stderr);
    const truncated = { stdoutTruncated: this.bytes.stdout > stdout.length, stderrTruncated: this.bytes.stderr > stderr.length };
    const texts = [textOf(whole(stdout, truncated.stdoutTruncated)), textOf(whole(stderr, truncated.stderrTruncated))] as const;
    if (texts[0] !== undefined && texts[1] !== undefined) return { stdout: texts[0], stderr: texts[1], ...truncated, encoding: 'utf8' };
    return { stdout: stdout.toString('base64'), stderr: stderr.toString('base64'), ...truncated, encoding: 'base64' };
  }
}

/** Without the beginning of a character whose rest was cut: text stays text. */
function whole(bytes: Buffer, cut: boolean): Buffer {
  if (!cut) return bytes;
  for (let at = bytes.length - 1; at >= Math.max(0, bytes.length - 4); at -= 1) {
    const byte = bytes[at] ?? 0;
    if (byte < 0x80) return bytes;
    if (byte >= 0xc0) return textOf(bytes.subarray(at)) === undefined ? bytes.subarray(0, at) : bytes;
  }
  return bytes;
}
