import fc from 'fast-check';
import { addressAnswer, emptyAnswer, nameAnswer, parseAnswer, parseQuestion, RCODE, TYPE, withId, type Question } from './message.js';

const NAME = fc.array(fc.stringMatching(/^[A-Za-z0-9_-]{1,20}$/), { minLength: 1, maxLength: 6 }).map((labels) => labels.join('.'));

function nameBytes(name: string): Buffer {
  return Buffer.concat([...name.split('.').map((label) => Buffer.concat([Buffer.of(label.length), Buffer.from(label)])), Buffer.of(0)]);
}

function query(name: string, type: number, { id = 7, flags = 0x0100, counts = [1, 0, 0, 0], more = Buffer.alloc(0) }: { id?: number; flags?: number; counts?: number[]; more?: Buffer } = {}): Buffer {
  const head = Buffer.alloc(12);
  [id, flags, ...counts].forEach((value, index) => head.writeUInt16BE(value, 2 * index));
  const tail = Buffer.alloc(4);
  tail.writeUInt16BE(type, 0);
  tail.writeUInt16BE(1, 2);
  return Buffer.concat([head, nameBytes(name), tail, more]);
}

function asked(message: Buffer): Question {
  const parsed = parseQuestion(message);
  if (parsed === undefined || !('question' in parsed)) throw new Error('no question');
  return parsed.question;
}

describe('messages of the DNS', () => {
  it('are read as they were written', () => {
    fc.assert(
      fc.property(NAME, fc.integer({ min: 0, max: 0xffff }), fc.integer({ min: 0, max: 0xffff }), (name, type, id) => {
        expect(asked(query(name, type, { id }))).toMatchObject({ id, type, class: 1, name: name.toLowerCase(), udpBytes: 512 });
      }),
    );
  });

  it('survive whatever a stranger sends, and never read beyond it', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 600 }), fc.uint8Array({ maxLength: 40 }), (body, head) => {
        const bytes = Buffer.concat([Buffer.from(head), Buffer.from(body)]);
        expect(() => parseQuestion(bytes)).not.toThrow();
        expect(() => parseAnswer(bytes, bytes.length > 1 ? bytes.readUInt16BE(0) : 0, asked(query('a.b', 1)))).not.toThrow();
      }),
      { numRuns: 2_000 },
    );
  });

  it('survive damage to a real answer at any place', () => {
    const question = asked(query('www.example.org', TYPE.a));
    const whole = addressAnswer(question, [{ address: 1, ttlSeconds: 2 }, { address: 3, ttlSeconds: 4 }], 512);
    fc.assert(
      fc.property(fc.integer({ min: 0, max: whole.length - 1 }), fc.integer({ min: 0, max: 255 }), fc.integer({ min: 0, max: whole.length }), (at, byte, size) => {
        const damaged = Buffer.from(whole);
        damaged[at] = byte;
        expect(() => parseAnswer(damaged.subarray(0, size), question.id, question)).not.toThrow();
      }),
      { numRuns: 2_000 },
    );
  });

  it('end, though a name points to itself or forward', () => {
    for (const pointer of [12, 14, 13, 0x3fff]) {
      const message = Buffer.concat([query('x', 1).subarray(0, 12), Buffer.of(0xc0 | (pointer >> 8), pointer & 255, 0, 1, 0, 1)]);
      expect(parseQuestion(message)).toMatchObject({ fault: RCODE.format });
    }
  });

  it('that are answers are not answered', () => {
    expect(parseQuestion(query('a', 1, { flags: 0x8180 }))).toBeUndefined();
    expect(parseQuestion(Buffer.alloc(11))).toBeUndefined();
  });

  it('of other kinds, or with no or several questions, are refused in their own words', () => {
    expect(parseQuestion(query('a', 1, { flags: 0x2800 }))).toMatchObject({ fault: RCODE.notImplemented, id: 7 });
    for (const count of [0, 2]) expect(parseQuestion(query('a', 1, { counts: [count, 0, 0, 0] }))).toMatchObject({ fault: RCODE.format, id: 7 });
  });

  it('take the size that EDNS tells, within bounds', () => {
    const edns = (bytes: number): Buffer => Buffer.of(0, 0, TYPE.opt, bytes >> 8, bytes & 255, 0, 0, 0, 0, 0, 0);
    expect([100, 1000, 65_535].map((bytes) => asked(query('a', 1, { counts: [1, 0, 0, 1], more: edns(bytes) })).udpBytes)).toEqual([512, 1000, 1232]);
  });

  it('give back addresses and their times, and say when not all fit', () => {
    fc.assert(
      fc.property(NAME, fc.array(fc.record({ address: fc.integer({ min: 0, max: 0xffff_ffff }), ttlSeconds: fc.integer({ min: 0, max: 0x7fff_ffff }) }), { maxLength: 40 }), (name, addresses) => {
        const question = asked(query(name, TYPE.a));
        const answer = addressAnswer(question, addresses, 512);
        expect(answer.length).toBeLessThanOrEqual(512);
        const read = parseAnswer(answer, question.id, question);
        expect(read).toEqual(read?.truncated === true ? { rcode: 0, truncated: true, addresses: [] } : { rcode: 0, truncated: false, addresses });
        expect(parseAnswer(addressAnswer(question, addresses, 65_535), question.id, question)?.addresses).toEqual(addresses);
      }),
    );
  });

  it('are answers to their own question and number only, in any case of letters', () => {
    const question = asked(query('www.example.org', TYPE.a));
    const answer = emptyAnswer(question, RCODE.name);
    expect(parseAnswer(answer, 7, question)).toEqual({ rcode: RCODE.name, truncated: false, addresses: [] });
    expect(parseAnswer(answer, 8, question)).toBeUndefined();
    expect(parseAnswer(answer, 7, asked(query('www.example.net', TYPE.a)))).toBeUndefined();
    expect(parseAnswer(answer, 7, asked(query('WWW.Example.ORG', TYPE.a)))).toBeDefined();
    expect(parseAnswer(withId(answer, 9), 9, question)).toBeDefined();
  });

  it('name the owner of an address', () => {
    const question = asked(query('3.0.17.172.in-addr.arpa', TYPE.ptr));
    expect(nameAnswer(question, 'web.front', 10, 512).subarray(-nameBytes('web.front').length)).toEqual(nameBytes('web.front'));
    expect(nameAnswer(question, `${'x'.repeat(64)}.front`, 10, 512)).toEqual(emptyAnswer(question, RCODE.name));
  });

  it('with bytes that no host’s name has are names of nobody', () => {
    const message = Buffer.concat([query('x', 1).subarray(0, 12), Buffer.of(3, 0x61, 0x2e, 0x62, 0, 0, 1, 0, 1)]);
    expect(asked(message).name).toBeUndefined();
  });
});
