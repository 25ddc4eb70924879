import { connect, type Socket } from 'node:net';
import type { Logger } from '#kernel';
import { formatIpv4, type Ipv4 } from '../ipv4.js';

const OP = { answer: 1, listen: 2 } as const;
const HEAD_BYTES = 4;
const QUESTION_BYTES = 15;
const MAX_FRAME = 8 * 1024;
const FIRST_RETRY_MS = 100;
const LAST_RETRY_MS = 5_000;

export interface RelayedQuestion {
  /** Who asks. The bridge has made sure that it is him. */
  readonly source: Ipv4;
  readonly gateway: Ipv4;
  readonly transport: 'udp' | 'tcp';
  readonly message: Buffer;
}

export interface NameRelayOptions {
  /** The holder's socket. */
  readonly path: string;
  /** undefined: nothing is to be said. */
  readonly answer: (question: RelayedQuestion) => Promise<Buffer | undefined>;
  readonly logger: Logger;
}

/** The connection to a host name space's holder, which listens for questions on the gateways (docs/engine/networks.md, "Names"). */
export class NameRelay {
  readonly #options: NameRelayOptions;
  #socket: Socket | undefined;
  #retry: NodeJS.Timeout | undefined;
  #retryMs = FIRST_RETRY_MS;
  #gateways: readonly Ipv4[] = [];
  #waiting: (() => void)[] = [];
  /** Lists of gateways that were sent over this connection, and that were acknowledged. */
  #sent = 0;
  #acknowledged = 0;
  #closed = false;

  constructor(options: NameRelayOptions) {
    this.#options = options;
    this.#connect();
  }

  /** Exactly these are listened on. Returns when they are; a holder that does not answer is tried again. */
  async listen(gateways: readonly Ipv4[]): Promise<void> {
    this.#gateways = gateways;
    await new Promise<void>((listening) => {
      this.#waiting.push(listening);
      this.#sendGateways();
    });
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#retry);
    this.#socket?.destroy();
    this.#settle();
  }

  #connect(): void {
    const socket = connect(this.#options.path);
    let received: Buffer = Buffer.alloc(0);
    this.#socket = socket;
    // The worker's other handles decide how long it lives.
    socket.unref();
    socket.on('connect', () => {
      this.#retryMs = FIRST_RETRY_MS;
      this.#sent = this.#acknowledged = 0;
      this.#sendGateways();
    });
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      received = this.#take(received, socket);
    });
    socket.on('error', (error) => {
      this.#options.logger.debug({ err: error }, 'names: the connection to a holder broke');
    });
    socket.on('close', () => {
      if (this.#socket === socket) this.#socket = undefined;
      // Whoever waits for a holder that is away goes on without it.
      this.#settle();
      if (this.#closed) return;
      this.#retry = setTimeout(() => {
        this.#connect();
      }, this.#retryMs).unref();
      this.#retryMs = Math.min(LAST_RETRY_MS, 2 * this.#retryMs);
    });
  }

  /** @returns what is not whole yet */
  #take(bytes: Buffer, socket: Socket): Buffer {
    let rest = bytes;
    while (rest.length >= HEAD_BYTES) {
      const end = HEAD_BYTES + rest.readUInt32LE(0);
      if (end > MAX_FRAME) {
        socket.destroy();
        return Buffer.alloc(0);
      }
      if (rest.length < end) break;
      this.#taken(rest.subarray(HEAD_BYTES, end), socket);
      rest = rest.subarray(end);
    }
    return rest;
  }

  #taken(frame: Buffer, socket: Socket): void {
    const id = frame.readUInt32LE(0);
    if (frame.length < QUESTION_BYTES) {
      this.#listening(0xffff_ffff - id);
      return;
    }
    const question: RelayedQuestion = { source: frame.readUInt32BE(4), gateway: frame.readUInt32BE(10), transport: frame.readUInt8(14) === 1 ? 'tcp' : 'udp', message: Buffer.from(frame.subarray(QUESTION_BYTES)) };
    this.#options.answer(question).then(
      (answer) => {
        if (answer === undefined || socket.destroyed) return;
        const head = Buffer.alloc(HEAD_BYTES + 5);
        head.writeUInt32LE(5 + answer.length, 0);
        head.writeUInt8(OP.answer, 4);
        head.writeUInt32LE(id, 5);
        socket.write(Buffer.concat([head, answer]));
      },
      (error: unknown) => {
        this.#options.logger.error({ err: error }, 'names: a question failed');
      },
    );
  }

  #listening(failed: number): void {
    if (failed > 0) this.#options.logger.warn({ failed, gateways: this.#gateways.map(formatIpv4) }, 'names: a gateway cannot be listened on');
    this.#acknowledged += 1;
    if (this.#acknowledged === this.#sent) this.#settle();
  }

  #settle(): void {
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const listening of waiting) listening();
  }

  #sendGateways(): void {
    if (this.#socket?.readyState !== 'open') return;
    const frame = Buffer.alloc(HEAD_BYTES + 1 + 4 * this.#gateways.length);
    frame.writeUInt32LE(frame.length - HEAD_BYTES, 0);
    frame.writeUInt8(OP.listen, HEAD_BYTES);
    for (const [index, gateway] of this.#gateways.entries()) frame.writeUInt32BE(gateway, HEAD_BYTES + 1 + 4 * index);
    this.#sent += 1;
    this.#socket.write(frame);
  }
}
