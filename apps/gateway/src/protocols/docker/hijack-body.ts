import type { IncomingMessage } from 'node:http';
import type { Duplex } from 'node:stream';
import { CodedError, readExactly } from '#kernel';
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
  return readExactly(socket, length, TIME_MS);
}
