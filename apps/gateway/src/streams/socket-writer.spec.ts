import { EventEmitter } from 'node:events';
import type { WebSocket } from 'ws';
import { SlowReaderError, SocketWriter } from './socket-writer.js';

/** A peer that reads when it is told to. */
class Peer extends EventEmitter {
  readonly unread: ((error?: Error) => void)[] = [];
  send(_text: string, done: (error?: Error) => void): void {
    this.unread.push(done);
  }
  read(): void {
    this.unread.shift()?.();
  }
}

const half = 'x'.repeat(600 * 1024);
const settledWithin = async (promise: Promise<unknown>, ms: number): Promise<boolean> =>
  Promise.race([promise.then(() => true), new Promise<boolean>((resolve) => setTimeout(() => { resolve(false); }, ms))]);

describe('SocketWriter', () => {
  it('lets a mebibyte wait and no more', async () => {
    const peer = new Peer();
    const writer = new SocketWriter(peer as unknown as WebSocket, 1_000);
    await writer.send(half);
    const second = writer.send(half);
    expect(await settledWithin(second, 20)).toBe(false);
    peer.read();
    expect(await settledWithin(second, 20)).toBe(true);
  });

  it('gives up on a reader that takes nothing, not on one that is slow', async () => {
    const peer = new Peer();
    const writer = new SocketWriter(peer as unknown as WebSocket, 60);
    for (let count = 0; count < 4; count += 1) void writer.send(half).catch(() => undefined);
    for (let count = 0; count < 2; count += 1) {
      await new Promise((resolve) => setTimeout(resolve, 40));
      peer.read();
    }
    await expect(writer.drained()).rejects.toBeInstanceOf(SlowReaderError);
  });

  it('fails when the socket closes', async () => {
    const peer = new Peer();
    const writer = new SocketWriter(peer as unknown as WebSocket);
    void writer.send('x');
    peer.emit('close');
    await expect(writer.send('y')).rejects.toThrow('closed');
  });
});
