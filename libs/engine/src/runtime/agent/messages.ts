import type { ErrorCode } from '#kernel';
import type { AgentEvent, ProcessExit } from './agent.js';
import { FrameType, MAX_CHUNK_BYTES, type Frame, protocolViolation, readUInt64 } from './frames.js';

export interface Welcome {
  readonly version: number;
  /** The first event that the agent still has; `next` when it has none. */
  readonly oldest: number;
  readonly next: number;
  /** Of all processes that were to be started; 0: none yet. */
  readonly highestId: number;
}

export interface Reply {
  readonly code: ErrorCode | undefined;
  readonly message: string;
  /** A number that belongs to the answer; 0 when none does. */
  readonly value: number;
}

export type AgentMessage =
  | { readonly type: 'welcome'; readonly welcome: Welcome }
  | { readonly type: 'reply'; readonly id: number; readonly reply: Reply }
  | { readonly type: 'fileData'; readonly id: number; readonly data: Buffer }
  | { readonly type: 'bye'; readonly reason: 'taken_over' | 'protocol' | 'version'; readonly message: string }
  | { readonly type: 'event'; readonly event: AgentEvent };

const REPLY_CODES: readonly (ErrorCode | undefined)[] = [
  undefined,
  'invalid_argument',
  'permission_denied',
  'not_found',
  'failed_precondition',
  'payload_too_large',
  'resource_exhausted',
  'internal',
];
const BYE_REASONS = [undefined, 'taken_over', 'protocol', 'version'] as const;
export const MAX_PROCESS_ID = 0x7fff_ffff;
const MAX_MESSAGE_BYTES = 256;
const MAX_SIGNAL = 64;

/** What a frame from the agent says. Everything in it is untrusted. @throws CodedError `protocol_violation` */
export function decodeMessage(frame: Frame): AgentMessage {
  switch (frame.type) {
    case FrameType.welcome:
      return { type: 'welcome', welcome: decodeWelcome(frame) };
    case FrameType.reply:
      return { type: 'reply', id: frame.id, reply: decodeReply(frame) };
    case FrameType.fileData:
      if (frame.payload.length === 0 || frame.payload.length > MAX_CHUNK_BYTES) throw protocolViolation('a piece of a file of a wrong size');
      return { type: 'fileData', id: frame.id, data: frame.payload };
    case FrameType.bye:
      return decodeBye(frame);
    case FrameType.started:
    case FrameType.output:
    case FrameType.exit:
      return { type: 'event', event: decodeEvent(frame) };
    default:
      throw protocolViolation(`unknown type of frame ${frame.type}`);
  }
}

function expectLength(frame: Frame, length: number): void {
  if (frame.payload.length !== length) throw protocolViolation(`a frame of type ${frame.type} with ${frame.payload.length} bytes`);
}

function decodeWelcome(frame: Frame): Welcome {
  expectLength(frame, 24);
  return { version: frame.payload.readUInt32LE(0), oldest: readUInt64(frame.payload, 4), next: readUInt64(frame.payload, 12), highestId: frame.payload.readUInt32LE(20) };
}

/** u16 code, u16 length, text. The text ends in logs and error bodies, so nothing but printable characters passes. */
function decodeCodeAndText(frame: Frame): { code: number; message: string } {
  if (frame.payload.length < 4 || frame.payload.length > 4 + MAX_MESSAGE_BYTES) throw protocolViolation('a message of a wrong size');
  expectLength(frame, 4 + frame.payload.readUInt16LE(2));
  const message = frame.payload.toString('utf8', 4).replace(/[\p{C}\p{Zl}\p{Zp}]/gu, '?');
  return { code: frame.payload.readUInt16LE(0), message };
}

function decodeReply(frame: Frame): Reply {
  const { code, message } = decodeCodeAndText(frame);
  if (code >= REPLY_CODES.length) throw protocolViolation(`unknown code ${code}`);
  return { code: REPLY_CODES[code], message, value: frame.seq };
}

function decodeBye(frame: Frame): AgentMessage {
  const { code, message } = decodeCodeAndText(frame);
  const reason = BYE_REASONS[code];
  if (reason === undefined) throw protocolViolation(`unknown reason ${code}`);
  return { type: 'bye', reason, message };
}

function decodeEvent(frame: Frame): AgentEvent {
  const { payload, seq, id: processId } = frame;
  if (seq < 1 || processId < 1 || processId > MAX_PROCESS_ID || payload.length < 8) throw protocolViolation('a malformed event');
  const timeUs = readUInt64(payload, 0);
  if (frame.type === FrameType.output) {
    const data = payload.subarray(8);
    if (data.length === 0 || data.length > MAX_CHUNK_BYTES) throw protocolViolation('output of a wrong size');
    if (frame.flags !== 1 && frame.flags !== 2) throw protocolViolation('output of an unknown stream');
    return { seq, timeUs, type: 'output', processId, stream: frame.flags === 1 ? 'stdout' : 'stderr', data };
  }
  if (frame.type === FrameType.exit) return { seq, timeUs, type: 'exit', processId, exit: decodeExit(frame) };
  expectLength(frame, 12);
  return { seq, timeUs, type: 'started', processId, pid: payload.readUInt32LE(8) };
}

function decodeExit(frame: Frame): ProcessExit {
  expectLength(frame, 40);
  const kind = frame.payload.readUInt32LE(8);
  const value = frame.payload.readUInt32LE(12);
  const sound = kind === 0 ? value <= 255 : kind === 1 && value >= 1 && value <= MAX_SIGNAL;
  if (!sound) throw protocolViolation('an impossible end of a process');
  return {
    exitCode: kind === 0 ? value : null,
    signal: kind === 1 ? value : null,
    userTimeUs: readUInt64(frame.payload, 16),
    systemTimeUs: readUInt64(frame.payload, 24),
    maxRssBytes: readUInt64(frame.payload, 32),
  };
}
