import { randomBytes } from 'node:crypto';
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer, type Server, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import fc from 'fast-check';
import type { AgentEvent, ProcessSpec } from './agent.js';
import type { AgentConnection } from './agent-connection.js';
import { connectAgent } from './connect-agent.js';
import { encodeFrame, type Frame, FrameDecoder, FrameType, writeUInt64 } from './frames.js';

const SPEC: ProcessSpec = { id: 1, argv: ['true'], env: [], cwd: '/', uid: 0, gid: 0, stdio: { kind: 'pipes', stdin: true } };

function welcome({ version = 3, oldest = 1, next = 1, highestId = 0 } = {}): Buffer {
  const payload = Buffer.alloc(24);
  payload.writeUInt32LE(version, 0);
  writeUInt64(payload, oldest, 4);
  writeUInt64(payload, next, 12);
  payload.writeUInt32LE(highestId, 20);
  return encodeFrame(FrameType.welcome, {}, payload);
}

function answer(id: number, code = 0, text = ''): Buffer {
  const payload = Buffer.alloc(4 + text.length);
  payload.writeUInt16LE(code, 0);
  payload.writeUInt16LE(text.length, 2);
  payload.write(text, 4);
  return encodeFrame(FrameType.reply, { id }, payload);
}

function output(seq: number, bytes = 1): Buffer {
  return encodeFrame(FrameType.output, { id: 1, seq, flags: 1 }, Buffer.alloc(8 + bytes));
}

/** An agent made by the test, to say what no honest one would. */
describe('AgentConnection against a hostile agent', () => {
  let folder: string;
  let server: Server;
  let peer: Socket;
  let frames: Frame[];
  let onFrame: (frame: Frame) => void;
  let greet: Buffer;
  const open: AgentConnection[] = [];

  beforeEach(async () => {
    folder = await mkdtemp(join(tmpdir(), 'agent-'));
    frames = [];
    greet = welcome();
    onFrame = () => undefined;
    server = createServer((socket) => {
      peer = socket;
      const decoder = new FrameDecoder();
      socket.on('error', () => undefined);
      socket.on('data', (bytes: Buffer) => {
        for (const frame of decoder.push(bytes)) {
          frames.push(frame);
          if (frame.type === FrameType.hello) socket.write(greet);
          else onFrame(frame);
        }
      });
    });
    await new Promise<void>((resolve) => server.listen(join(folder, 's'), resolve));
  });
  afterEach(async () => {
    for (const connection of open.splice(0)) connection.close();
    peer.destroy();
    await new Promise((resolve) => server.close(resolve));
    await rm(folder, { recursive: true, force: true });
  });

  async function connected(after: number | 'kept' = 0, timeoutMs = 2000): Promise<AgentConnection> {
    const connection = await connectAgent({ socketPath: join(folder, 's'), after, timeoutMs });
    open.push(connection);
    return connection;
  }

  it.each<[string, () => Buffer]>([
    ['an event out of order', () => output(2)],
    ['an event twice', () => Buffer.concat([output(1), output(1)])],
    ['an event without a number', () => output(0)],
    ['an answer to nothing', () => answer(77)],
    ['file data for nothing', () => encodeFrame(FrameType.fileData, { id: 5 }, Buffer.alloc(3))],
    ['an unknown type', () => encodeFrame(0x7f, {})],
    ['a request', () => encodeFrame(FrameType.start, { id: 1 })],
    ['a second greeting', () => welcome()],
    ['output of an unknown stream', () => encodeFrame(FrameType.output, { id: 1, seq: 1, flags: 3 }, Buffer.alloc(9))],
    ['output too large for an event', () => output(1, 65_537)],
    ['an impossible exit', () => encodeFrame(FrameType.exit, { id: 1, seq: 1 }, Buffer.alloc(40, 1))],
    ['an unknown reason to part', () => encodeFrame(FrameType.bye, {}, Buffer.from([9, 0, 0, 0]))],
    ['a frame that is too large', () => Buffer.alloc(20, 0xff)],
  ])('ends with a protocol violation on %s', async (_name, bytes) => {
    const agent = await connected();
    const request = expect(agent.ping()).rejects.toMatchObject({ code: 'protocol_violation' });
    peer.write(bytes());
    await expect(agent.closed).resolves.toMatchObject({ code: 'protocol_violation' });
    await request;
    await expect(agent.start(SPEC)).rejects.toMatchObject({ code: 'unavailable' });
  });

  it.each<[string, Buffer, string]>([
    ['another version', welcome({ version: 1 }), 'unsupported'],
    ['lost events', welcome({ next: 3 }), 'protocol_violation'],
    ['forgotten events', welcome({ oldest: 7, next: 9 }), 'failed_precondition'],
    ['impossible numbers', welcome({ oldest: 9, next: 8 }), 'protocol_violation'],
    ['no greeting first', output(6), 'protocol_violation'],
    ['a refusal', encodeFrame(FrameType.bye, {}, Buffer.from([3, 0, 0, 0])), 'unsupported'],
  ])('refuses a greeting with %s', async (_name, bytes, code) => {
    greet = bytes;
    await expect(connected(5)).rejects.toMatchObject({ code });
  });

  it('takes what an agent still has when it asks for that, each event behind the one before', async () => {
    greet = welcome({ oldest: 7, next: 9 });
    const agent = await connected('kept');
    peer.write(Buffer.concat([output(7), output(8)]));
    const events = agent.events()[Symbol.asyncIterator]();
    expect((await events.next()).value).toMatchObject({ seq: 7 });
    agent.acknowledge(7);
    peer.write(output(10));
    await expect(agent.closed).resolves.toMatchObject({ code: 'protocol_violation' });
    greet = welcome({ oldest: 0, next: 9 });
    await expect(connected('kept')).rejects.toMatchObject({ code: 'protocol_violation' });
    greet = welcome({ highestId: 0x8000_0000 });
    await expect(connected('kept')).rejects.toMatchObject({ code: 'protocol_violation' });
  });

  it('gives up on an agent that does not greet, and on one that does not answer', async () => {
    greet = Buffer.alloc(0);
    await expect(connected(0, 50)).rejects.toMatchObject({ code: 'deadline_exceeded' });
    greet = welcome();
    const agent = await connected(0, 50);
    await expect(agent.ping()).rejects.toMatchObject({ code: 'deadline_exceeded' });
    // Its late answer is no violation; a second one is.
    peer.write(answer(frames.at(-1)!.id));
    onFrame = (frame) => peer.write(answer(frame.id));
    await agent.ping();
    peer.write(answer(frames.at(-1)!.id));
    await expect(agent.closed).resolves.toMatchObject({ code: 'protocol_violation' });
  });

  it('takes no more of a file than was asked for', async () => {
    onFrame = (frame) => peer.write(encodeFrame(FrameType.fileData, { id: frame.id }, Buffer.alloc(101)));
    const agent = await connected();
    await expect(agent.readFile('/x', 100)).rejects.toMatchObject({ code: 'protocol_violation' });
  });

  it('stops reading when nobody consumes, and keeps little', async () => {
    const agent = await connected();
    const flood = (async () => {
      for (let seq = 1; seq <= 1000; seq += 1) if (!peer.write(output(seq, 60_000))) await new Promise((resolve) => peer.once('drain', resolve));
    })();
    await sleep(150);
    const sent = peer.bytesWritten - peer.writableLength;
    expect(sent).toBeLessThan(4_000_000);
    let seen = 0;
    for await (const event of agent.events()) {
      seen = event.seq;
      if (seen === 1000) break;
    }
    await flood;
    expect(seen).toBe(1000);
  });

  it('reads on for an answer, but not without bound', async () => {
    const agent = await connected(0, 20_000);
    const waiting = expect(agent.ping()).rejects.toMatchObject({ code: 'protocol_violation' });
    for (let seq = 1; seq <= 1000; seq += 1) peer.write(output(seq, 60_000));
    await waiting;
  });

  it('delivers what came before the end, then ends', async () => {
    const agent = await connected();
    peer.end(Buffer.concat([output(1), output(2)]));
    await expect(agent.closed).resolves.toMatchObject({ code: 'unavailable' });
    const seen: AgentEvent[] = [];
    for await (const event of agent.events()) seen.push(event);
    expect(seen.map((event) => event.seq)).toEqual([1, 2]);
    expect(() => agent.events()).toThrow(expect.objectContaining({ code: 'failed_precondition' }));
  });

  it('gathers acknowledgements and refuses those of events that have not come', async () => {
    const agent = await connected();
    peer.write(Buffer.concat([output(1), output(2), output(3)]));
    const events = agent.events()[Symbol.asyncIterator]();
    for (let seq = 1; seq <= 3; seq += 1) agent.acknowledge(((await events.next()).value as AgentEvent).seq);
    await sleep(20);
    expect(frames.filter((frame) => frame.type === FrameType.acknowledge).at(-1)?.seq).toBe(3);
    expect(() => { agent.acknowledge(4); }).toThrow(expect.objectContaining({ code: 'invalid_argument' }));
  });

  it('carries errors with their code', async () => {
    onFrame = (frame) => peer.write(answer(frame.id, 6, 'no pids left'));
    await expect((await connected()).start(SPEC)).rejects.toMatchObject({ code: 'resource_exhausted', message: 'no pids left' });
  });

  it.each<[string, Partial<ProcessSpec>]>([
    ['no program', { argv: [] }],
    ['NUL in an argument', { argv: ['a\0b'] }],
    ['NUL in the environment', { env: ['A=\0'] }],
    ['a relative folder', { cwd: 'x' }],
    ['an id out of range', { id: 0 }],
    ['an unchanged uid', { uid: 0xffff_ffff }],
    ['more than a frame', { argv: ['x'.repeat(2_000_000)] }],
    ['a negative limit', { rlimits: { nofile: -2 } }],
    ['a soft limit above the hard one', { rlimits: { nofile: { soft: 2, hard: 1 } } }],
    ['an unknown limit', { rlimits: { everything: 1 } }],
  ])('sends no start with %s', async (_name, change) => {
    const agent = await connected();
    await expect(agent.start({ ...SPEC, ...change })).rejects.toMatchObject({ code: 'invalid_argument' });
    expect(frames).toHaveLength(1);
  });

  it('survives any bytes', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(fc.oneof(fc.uint8Array({ maxLength: 60 }), fc.tuple(fc.integer({ min: 0x80, max: 0x93 }), fc.nat(3), fc.nat(3), fc.nat(60)).map(
        ([type, id, seq, length]) => new Uint8Array(encodeFrame(type, { id, seq }, randomBytes(length))))), { minLength: 1, maxLength: 20 }), async (pieces) => {
        const agent = await connected();
        for (const piece of pieces) peer.write(piece);
        peer.end();
        const reason = await agent.closed;
        expect(reason === undefined || ['protocol_violation', 'unavailable', 'unsupported'].includes((reason as { code?: string }).code ?? '')).toBe(true);
      }),
      { numRuns: 300 },
    );
  });
});
