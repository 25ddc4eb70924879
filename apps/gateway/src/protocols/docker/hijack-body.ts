import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { CodedError } from '#kernel';
import { badParameter } from './errors.js';

const LIMIT_BYTES = 64 * 1024;
const TIME_MS = 30_000;

/**
 * The body of a request that asks for an upgrade: Node hands such a request over with its headers, whatever follows is on the connection. What is behind the
 * body stays there, it is the first input. @throws CodedError `invalid_argument`, `payload_too_large`, `deadline_exceeded`, `cancelled`
 */
export async function readHijackBody(message: IncomingMessage, socket: Duplex, head: Buffer): Promise<Buffer> {
  if (message.headers['transfer-encoding'] !== undefined) throw badParameter('a request for an upgrade needs a Content-Length');
  const length = Number(message.headers['content-length'] ?? 0);
  if (length > LIMIT_BYTES) throw new CodedError('payload_too_large', 'http: request body too large', { bytes: LIMIT_BYTES });
  if (head.length > 0) socket.unshift(head);
  if (length === 0) return Buffer.alloc(0);
  const { promise, resolve, reject } = Promise.withResolvers<undefined>();
  const look = (): void => {
    if (socket.readableLength >= length) resolve(undefined);
    // Asks for more than is there, without taking it.
    else socket.read(0);
  };
  const cut = (): void => {
    reject(new CodedError('cancelled', 'the body is cut'));
  };
  const timer = setTimeout(() => {
    reject(new CodedError('deadline_exceeded', 'the body takes too long'));
  }, TIME_MS);
  socket.on('readable', look).once('end', cut).once('close', cut);
  try {
    look();
    await promise;
    return socket.read(length) as Buffer;
  } finally {
    clearTimeout(timer);
    socket.off('readable', look).off('end', cut).off('close', cut);
  }
}
