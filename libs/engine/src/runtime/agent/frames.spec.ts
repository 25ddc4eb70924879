import fc from 'fast-check';
import { isCodedError } from '#kernel';
import { encodeFrame, FrameDecoder, type Frame, HEADER_BYTES, MAX_PAYLOAD_BYTES } from './frames.js';
import { decodeMessage } from './messages.js';

const anyFrame = fc.record({
  type: fc.integer({ min: 0, max: 255 }),
  flags: fc.integer({ min: 0, max: 255 }),
  id: fc.integer({ min: 0, max: 0xffff_ffff }),
  seq: fc.maxSafeNat(),
  payload: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
});

function encode(frame: Frame): Buffer {
  return encodeFrame(frame.type, frame, frame.payload);
}

function pushInPieces(decoder: FrameDecoder, bytes: Buffer, cuts: readonly number[]): Frame[] {
  const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
  let from = 0;
  return ends.flatMap((end) => {
    const piece = bytes.subarray(from, end);
    from = end;
    return decoder.push(piece);
  });
}

/** Runs `work`; anything thrown must be a coded protocol violation. */
function onlyViolations(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!isCodedError(error, 'protocol_violation')) throw error;
  }
}

describe('FrameDecoder', () => {
  it('gives back what was encoded, however the bytes are cut', () => {
    fc.assert(
      fc.property(fc.array(anyFrame, { maxLength: 12 }), fc.array(fc.nat(5000), { maxLength: 40 }), (frames, cuts) => {
        const decoder = new FrameDecoder();
        expect(pushInPieces(decoder, Buffer.concat(frames.map(encode)), cuts)).toEqual(frames);
        expect(decoder.pendingBytes).toBe(0);
      }),
      { numRuns: 2000 },
    );
  });

  it('waits for the rest of a truncated frame', () => {
    fc.assert(
      fc.property(anyFrame, fc.nat(), (frame, cut) => {
        const bytes = encode(frame);
        const length = cut % bytes.length;
        const decoder = new FrameDecoder();
        expect(decoder.push(bytes.subarray(0, length))).toEqual([]);
        expect(decoder.push(bytes.subarray(length))).toEqual([frame]);
      }),
    );
  });

  it('meets random bytes with a protocol violation or with patience, and keeps no more than a frame', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 400 }), { maxLength: 10 }), (pieces) => {
        const decoder = new FrameDecoder();
        onlyViolations(() => {
          for (const piece of pieces) for (const frame of decoder.push(Buffer.from(piece))) decodeMessage(frame);
        });
        expect(decoder.pendingBytes).toBeLessThanOrEqual(HEADER_BYTES + MAX_PAYLOAD_BYTES);
      }),
      { numRuns: 5000 },
    );
  });

  it('takes the largest frame and refuses a larger one before its bytes come', () => {
    const decoder = new FrameDecoder();
    expect(decoder.push(encodeFrame(0x91, {}, Buffer.alloc(MAX_PAYLOAD_BYTES)))).toHaveLength(1);
    const header = encodeFrame(0x91, {});
    header.writeUInt32LE(MAX_PAYLOAD_BYTES + 1, 0);
    expect(() => decoder.push(header)).toThrow(expect.objectContaining({ code: 'protocol_violation' }));
    expect(() => encodeFrame(0x11, {}, Buffer.alloc(MAX_PAYLOAD_BYTES + 1))).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it.each([
    ['reserved bits', 6, 1],
    ['a number beyond 2^53', 19, 0xff],
  ])('refuses %s', (_name, offset, value) => {
    const bytes = encodeFrame(0x91, {});
    bytes.writeUInt8(value, offset);
    expect(() => new FrameDecoder().push(bytes)).toThrow(expect.objectContaining({ code: 'protocol_violation' }));
  });
});

describe('decodeMessage', () => {
  const relevant = fc.constantFrom(0x81, 0x82, 0x83, 0x84, 0x90, 0x91, 0x92);
  const shaped = fc.record({
    type: relevant,
    flags: fc.integer({ min: 0, max: 3 }),
    id: fc.integer({ min: 0, max: 0xffff_ffff }),
    seq: fc.nat(5),
    payload: fc.oneof(fc.constantFrom(4, 8, 20, 40), fc.nat(80)).chain((length) =>
      fc.array(fc.constantFrom(0, 0, 0, 1, 2, 64, 65, 255), { minLength: length, maxLength: length }).map((bytes) => Buffer.from(bytes))),
  });

  it('accepts only what the protocol knows, and never fails otherwise than by a protocol violation', () => {
    let accepted = 0;
    fc.assert(
      fc.property(shaped, (frame) => {
        onlyViolations(() => {
          const message = decodeMessage(frame);
          accepted += 1;
          if (message.type !== 'event') return;
          const { event } = message;
          expect(event.seq).toBeGreaterThan(0);
          if (event.type === 'exit') expect((event.exit.exitCode === null) !== (event.exit.signal === null)).toBe(true);
        });
      }),
      { numRuns: 20_000 },
    );
    expect(accepted).toBeGreaterThan(100);
  });

  it('lets no control character of the agent into messages', () => {
    const text = Buffer.from('a\u001b[31m\n\u202e\u2028b');
    const payload = Buffer.concat([Buffer.from([3, 0, text.length, 0]), text]);
    expect(decodeMessage({ type: 0x82, flags: 0, id: 1, seq: 0, payload })).toEqual({ type: 'reply', id: 1, reply: { code: 'not_found', message: 'a?[31m???b', value: 0 } });
  });
});
