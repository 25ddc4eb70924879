import { createSocket, type Socket } from 'node:dgram';
import { createServer, type Server } from 'node:net';
import { parseIpv4 } from '../ipv4.js';
import { addressAnswer, emptyAnswer, parseQuestion, RCODE, TYPE } from '../names/message.js';

/** A resolver on the node's loopback that knows a few names. */
export class NameServer {
  readonly asked: string[] = [];

  private constructor(
    readonly port: number,
    private readonly datagrams: Socket,
    private readonly streams: Server,
  ) {}

  static async open(names: Readonly<Record<string, readonly string[]>>): Promise<NameServer> {
    const datagrams = createSocket('udp4');
    await new Promise<void>((bound) => {
      datagrams.bind(0, '127.0.0.1', bound);
    });
    const { port } = datagrams.address();
    const streams = createServer((socket) => {
      socket.on('error', () => undefined);
      socket.on('data', (chunk) => {
        const answer = server.#answer(chunk.subarray(2), 65_535);
        const length = Buffer.alloc(2);
        length.writeUInt16BE(answer.length);
        socket.write(Buffer.concat([length, answer]));
      });
    }).listen(port, '127.0.0.1');
    await new Promise((listening) => streams.once('listening', listening));
    const server = new NameServer(port, datagrams, streams);
    server.#names = names;
    datagrams.on('message', (message, from) => {
      datagrams.send(server.#answer(message, 512), from.port, from.address);
    });
    return server;
  }

  #names: Readonly<Record<string, readonly string[]>> = {};

  async close(): Promise<void> {
    this.streams.close();
    await new Promise<void>((closed) => {
      this.datagrams.close(closed);
    });
  }

  #answer(message: Buffer, room: number): Buffer {
    const parsed = parseQuestion(message);
    if (parsed === undefined || !('question' in parsed)) return Buffer.alloc(12);
    const { question } = parsed;
    this.asked.push(question.name ?? '?');
    const addresses = this.#names[question.name ?? ''];
    if (addresses === undefined) return emptyAnswer(question, RCODE.name);
    if (question.type !== TYPE.a) return emptyAnswer(question, RCODE.none);
    return addressAnswer(question, addresses.map((text) => ({ address: parseIpv4(text) ?? 0, ttlSeconds: 1 })), room);
  }
}
