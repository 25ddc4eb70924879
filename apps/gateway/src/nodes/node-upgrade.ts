import { validateHeaderValue } from 'node:http';
import type { Socket } from 'node:net';
import { TUNNEL_PROTOCOL } from '#contracts';
import { CodedError } from '#kernel';

/** Of what a node says before it is a tunnel, and in the place of one. */
const MAX_ANSWER_BYTES = 1024 * 1024;
const HEAD_END = '\r\n\r\n';
/** What Node's own client takes no path with: a blank or the end of a line would begin something else. */
const UNESCAPED = /[^\x21-\x7e]/;

export interface UpgradeOptions {
  /** A connection of its own: half-open, perhaps not connected yet. */
  readonly connect: () => Socket;
  /** Escaped; so are the headers' values. */
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

interface Answer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  /** What has come of it. */
  readonly body: Buffer;
}

/**
 * Asks a node for a connection of its own, with the connection's own hands: an HTTP client is made for much more, and takes as long as all else that the gateway
 * does for a tunnel. A plain answer becomes the error that `refused` makes of it.
 * @throws CodedError `unavailable` when the node cannot be asked, `cancelled` on the signal
 */
export function upgrade(options: UpgradeOptions, refused: (status: number, body: Buffer) => CodedError): Promise<Upgraded> {
  const { connect, limitMs, signal } = options;
  return new Promise((resolve, reject) => {
    if (signal.aborted) {
      reject(cancelled());
      return;
    }
    const request = requestOf(options);
    const socket = connect();
    let received: Buffer = Buffer.alloc(0);
    const fail = (error: CodedError): void => {
      settle();
      socket.destroy();
      reject(error);
    };
    const settle = (): void => {
      clearTimeout(timer);
      signal.removeEventListener('abort', abort);
      socket.off('readable', look).off('end', end).off('close', end);
    };
    const abort = (): void => { fail(cancelled()); };
    const look = (): void => {
      for (let chunk = socket.read() as Buffer | null; chunk !== null; chunk = socket.read() as Buffer | null) received = Buffer.concat([received, chunk]);
      const answer = answerIn(received);
      if (answer?.status === 101) {
        settle();
        if (answer.body.length > 0) socket.unshift(answer.body);
        resolve({ socket, header: (name) => answer.headers.get(name) });
      } else if (answer !== undefined && answer.body.length >= Number(answer.headers.get('content-length'))) fail(refused(answer.status, answer.body));
      else if (received.length > MAX_ANSWER_BYTES) fail(unavailable('the node gave no proper answer'));
    };
    const end = (): void => {
      const answer = answerIn(received);
      fail(answer === undefined ? unavailable('the node does not answer') : refused(answer.status, answer.body));
    };
    const timer = setTimeout(() => { fail(unavailable('the node does not answer in time')); }, limitMs);
    signal.addEventListener('abort', abort, { once: true });
    // Whoever has the socket later listens too; an error in between must not end the process.
    socket.on('error', (cause) => { fail(unavailable('the node does not answer', cause)); });
    socket.on('readable', look).once('end', end).once('close', end);
    socket.write(request);
  });
}

/** @throws Error for a path or a value that is not escaped */
function requestOf({ path, headers, json }: UpgradeOptions): string {
  if (UNESCAPED.test(path)) throw new CodedError('internal', 'the path of a tunnel is not escaped');
  for (const [name, value] of Object.entries(headers)) validateHeaderValue(name, value);
  const body = json === undefined ? '' : JSON.stringify(json);
  const all = { host: 'node', ...headers, connection: 'Upgrade', upgrade: TUNNEL_PROTOCOL, 'content-length': String(Buffer.byteLength(body)) };
  return `POST ${path} HTTP/1.1\r\n${Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n${body}`;
}

/** undefined: its head is not whole yet, or none. */
function answerIn(received: Buffer): Answer | undefined {
  const end = received.indexOf(HEAD_END);
  if (end < 0) return undefined;
  const [first = '', ...lines] = received.toString('latin1', 0, end).split('\r\n');
  const status = /^HTTP\/1\.1 (\d{3})(?: |$)/.exec(first)?.[1];
  if (status === undefined) return undefined;
  const headers = new Map(lines.map((line) => [line.slice(0, Math.max(0, line.indexOf(':'))).toLowerCase(), line.slice(line.indexOf(':') + 1).trim()]));
  return { status: Number(status), headers, body: received.subarray(end + HEAD_END.length) };
}

function unavailable(message: string, cause?: Error): CodedError {
  return new CodedError('unavailable', message, {}, { cause });
}

function cancelled(): CodedError {
  return new CodedError('cancelled', 'the caller went away');
}
