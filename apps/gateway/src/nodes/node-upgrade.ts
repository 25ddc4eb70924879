import { request as httpRequest, type IncomingMessage, type RequestOptions } from 'node:http';
import { connect, type Socket } from 'node:net';
import { TUNNEL_PROTOCOL } from '#contracts';
import { CodedError } from '#kernel';

export interface UpgradeOptions {
  readonly target: RequestOptions;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Absent: no body. */
  readonly json?: unknown;
  readonly limitMs: number;
  readonly signal: AbortSignal;
}

export interface Upgraded {
  /** Half-open: the node may end its half first. What came behind the answer is in it. */
  readonly socket: Socket;
  readonly header: (name: string) => string | undefined;
}

/**
 * Asks a node for a connection of its own. A plain answer is given to `refused`, which throws what it says.
 * @throws CodedError `unavailable` when the node cannot be asked, `cancelled` on the signal
 */
export function upgrade({ target, path, headers, json, limitMs, signal }: UpgradeOptions, refused: (answer: IncomingMessage) => Promise<never>): Promise<Upgraded> {
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(cancelled());
      return;
    }
    const text = json === undefined ? '' : JSON.stringify(json);
    const sent = httpRequest({
      ...target,
      path,
      method: 'POST',
      // Without an agent, which would make connections of its own.
      createConnection: () => connectTo(target),
      headers: { ...headers, connection: 'Upgrade', upgrade: TUNNEL_PROTOCOL, 'content-length': Buffer.byteLength(text) },
    });
    const abort = (): void => {
      sent.destroy(cancelled());
    };
    const timer = setTimeout(() => sent.destroy(new CodedError('unavailable', 'the node does not answer in time')), limitMs);
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
    };
    signal.addEventListener('abort', abort, { once: true });
    sent.on('error', (error) => {
      settle();
      reject(error instanceof CodedError ? error : new CodedError('unavailable', 'the node does not answer', {}, { cause: error }));
    });
    sent.on('response', (answer) => {
      settle();
      refused(answer).catch(reject).finally(() => sent.destroy());
    });
    sent.on('upgrade', (answer, socket: Socket, head: Buffer) => {
      settle();
      // Whoever has the socket listens too; an error in between must not end the process.
      socket.on('error', () => undefined);
      if (head.length > 0) socket.unshift(head);
      resolve({ socket, header: (name) => String(answer.headers[name] ?? '') || undefined });
    });
    sent.end(text);
  });
}

function connectTo({ socketPath, host, port }: RequestOptions): Socket {
  const to = typeof socketPath === 'string' ? { path: socketPath } : { host: host ?? '127.0.0.1', port: Number(port) };
  const socket = connect({ ...to, allowHalfOpen: true });
  // A letter typed leaves at once.
  socket.setNoDelay(true);
  return socket;
}

function cancelled(): CodedError {
  return new CodedError('cancelled', 'the caller went away');
}
