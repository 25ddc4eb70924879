import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { StepOutput } from './step-output.js';
import { encodeBytes, incompleteTail, Utf8Splitter } from './utf8-splitter.js';

describe('Utf8Splitter', () => {
  it('gives valid text in valid pieces, wherever it is cut, and all of it', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 40 }), fc.infiniteStream(fc.integer({ min: 1, max: 5 })), (text, sizes) => {
        const bytes = Buffer.from(text.toWellFormed());
        const splitter = new Utf8Splitter();
        const pieces: Buffer[] = [];
        for (let at = 0; at < bytes.length; ) {
          const size = sizes.next().value as number;
          pieces.push(splitter.push(bytes.subarray(at, at + size)));
          at += size;
        }
        for (const piece of pieces) expect(encodeBytes(piece).encoding).toBe('utf8');
        expect(splitter.held).toHaveLength(0);
        expect(Buffer.concat(pieces)).toEqual(bytes);
      }),
    );
  });

  it('loses no byte of what is no text, and holds three at most', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 9 })), (chunks) => {
        const splitter = new Utf8Splitter();
        const out = chunks.map((chunk) => {
          const piece = splitter.push(Buffer.from(chunk));
          expect(splitter.held.length).toBeLessThanOrEqual(3);
          return piece;
        });
        expect(Buffer.concat([...out, splitter.flush()])).toEqual(Buffer.concat(chunks));
      }),
    );
  });

  it.each([
    ['', 0], ['61', 0], ['c3', 1], ['c3a9', 0], ['e282', 2], ['f09f98', 3], ['f09f9880', 0], ['80', 0], ['808080', 0], ['c1', 0], ['f5', 0], ['ff', 0], ['61c3', 1],
  ])('%s ends with %i bytes of an unfinished character', (hex, tail) => {
    expect(incompleteTail(Buffer.from(hex, 'hex'))).toBe(tail);
  });
});

describe('StepOutput', () => {
  it('cuts exactly at the limit, over both streams, and says which stream lost bytes', () => {
    const output = new StepOutput(5);
    expect(output.accept('stdout', Buffer.from('abc')).toString()).toBe('abc');
    expect(output.accept('stderr', Buffer.from('de')).toString()).toBe('de');
    expect(output.exceeded).toBe(false);
    expect(output.accept('stderr', Buffer.from('f'))).toHaveLength(0);
    expect(output.exceeded).toBe(true);
    expect(output.result()).toEqual({ stdout: 'abc', stderr: 'de', stdoutTruncated: false, stderrTruncated: true, encoding: 'utf8' });
  });

  it('drops the half of a character that the cut leaves', () => {
    const output = new StepOutput(3);
    expect(output.accept('stdout', Buffer.from('aéé')).toString()).toBe('aé');
    const split = new StepOutput(2);
    expect(split.accept('stdout', Buffer.from('aé')).toString()).toBe('a');
    expect(split.flush('stdout')).toHaveLength(0);
    expect(split.result()).toMatchObject({ stdout: 'a', stdoutTruncated: true, encoding: 'utf8' });
  });

  it('keeps half a character at the end when the program wrote no more', () => {
    const output = new StepOutput(10);
    output.accept('stdout', Buffer.from([0x61, 0xc3]));
    expect(output.flush('stdout')).toEqual(Buffer.from([0xc3]));
    expect(output.result()).toMatchObject({ stdout: Buffer.from([0x61, 0xc3]).toString('base64'), stderr: '', encoding: 'base64' });
  });

  it('goes on after a restart as if there had been none', () => {
    const bytes = fc.array(fc.tuple(fc.constantFrom('stdout' as const, 'stderr' as const), fc.uint8Array({ maxLength: 6 })), { maxLength: 12 });
    fc.assert(
      fc.property(bytes, fc.nat(12), fc.nat(40), (chunks, at, limit) => {
        const straight = new StepOutput(limit);
        let interrupted = new StepOutput(limit);
        const framed: [stream: 'stdout' | 'stderr', data: Buffer][] = [];
        chunks.forEach(([stream, data], index) => {
          if (index === at) {
            interrupted = new StepOutput(limit, JSON.parse(JSON.stringify(interrupted.state)) as StepOutput['state']);
            for (const [name, frame] of framed) interrupted.restore(name, frame);
          }
          straight.accept(stream, Buffer.from(data));
          framed.push([stream, interrupted.accept(stream, Buffer.from(data))]);
        });
        for (const output of [straight, interrupted]) for (const stream of ['stdout', 'stderr'] as const) output.flush(stream);
        expect(interrupted.result()).toEqual(straight.result());
      }),
    );
  });

  it('holds single bytes in about as much memory as they are', () => {
    const output = new StepOutput(1 << 20);
    setFlagsFromString('--expose-gc');
    const collect = runInNewContext('gc') as () => void;
    collect();
    const before = process.memoryUsage();
    // As the agent's frames come: each byte at the end of a frame's buffer.
    for (let at = 0; at < 1 << 20; at += 1) output.accept('stdout', Buffer.allocUnsafeSlow(64).fill('x').subarray(63));
    collect();
    const after = process.memoryUsage();
    expect(output.result().stdout).toHaveLength(1 << 20);
    expect(after.arrayBuffers + after.heapUsed - before.arrayBuffers - before.heapUsed).toBeLessThan(16 << 20);
  });
});
