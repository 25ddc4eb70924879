import { randomInt } from 'node:crypto';
import { createSocket } from 'node:dgram';
import { readFile, stat } from 'node:fs/promises';
import { connect, isIP } from 'node:net';
import { CodedError, errnoOf } from '#kernel';
import { answers, withId, type Question } from './message.js';

const RESOLV_CONF = '/etc/resolv.conf';
const LOOK_AGAIN_MS = 2_000;
const MOST_SERVERS = 3;
const DNS_PORT = 53;
/** Each server twice, so that an asker, who waits 5 s, hears in time. */
const TRY_MS = 1_200;
const ROUNDS = 2;
const MOST_QUESTIONS = 512;
const MAX_TCP_BYTES = 65_535;

export interface UpstreamOptions {
  /** `address` or `address:port` (IPv6 in brackets); undefined: what /etc/resolv.conf says at that time. */
  readonly servers?: readonly string[] | undefined;
  readonly resolvConf?: string;
}

interface Server {
  readonly address: string;
  readonly port: number;
}

/** The resolvers that the node itself asks. Questions leave from the node, each from a port and with a number of its own. */
export class Upstream {
  readonly #resolvConf: string;
  readonly #fixed: readonly Server[] | undefined;
  #found: { readonly servers: readonly Server[]; readonly mtimeMs: number; readonly lookedAt: number } | undefined;
  #open = 0;

  /** @throws CodedError `invalid_argument` */
  constructor({ servers, resolvConf = RESOLV_CONF }: UpstreamOptions = {}) {
    this.#resolvConf = resolvConf;
    this.#fixed = servers === undefined || servers.length === 0 ? undefined : servers.map(parseServer);
  }

  /** @returns the answer's bytes, with the question's number. @throws CodedError `unavailable`, `resource_exhausted` */
  async ask(message: Buffer, question: Question, transport: 'udp' | 'tcp'): Promise<Buffer> {
    if (this.#open >= MOST_QUESTIONS) throw new CodedError('resource_exhausted', 'too many questions for names at once', {});
    this.#open += 1;
    try {
      const servers = await this.#servers();
      for (let round = 0; round < ROUNDS; round += 1) {
        for (const server of servers) {
          const id = randomInt(0x1_0000);
          const answer = await (transport === 'udp' ? askUdp : askTcp)(server, withId(message, id), id, question);
          if (answer !== undefined) return withId(answer, question.id);
        }
      }
      throw new CodedError('unavailable', 'no resolver of the node answers', { servers: servers.length });
    } finally {
      this.#open -= 1;
    }
  }

  async #servers(): Promise<readonly Server[]> {
    if (this.#fixed !== undefined) return this.#fixed;
    const now = performance.now();
    if (this.#found !== undefined && now - this.#found.lookedAt < LOOK_AGAIN_MS) return this.#found.servers;
    const mtimeMs = (await stat(this.#resolvConf).catch(ignoreAbsent))?.mtimeMs ?? 0;
    const servers = this.#found?.mtimeMs === mtimeMs ? this.#found.servers : serversOf((await readFile(this.#resolvConf, 'utf8').catch(ignoreAbsent)) ?? '');
    this.#found = { servers, mtimeMs, lookedAt: now };
    return servers;
  }
}

function ignoreAbsent(error: unknown): undefined {
  if (errnoOf(error) !== 'ENOENT') throw error;
}

/** resolv.conf(5): without any, the local machine is asked. */
function serversOf(text: string): Server[] {
  const found = text.split('\n').flatMap((line) => /^\s*nameserver\s+(\S+)/.exec(line)?.[1] ?? []).filter((address) => isIP(address.split('%')[0] ?? '') !== 0);
  return (found.length === 0 ? ['127.0.0.1'] : found.slice(0, MOST_SERVERS)).map((address) => ({ address, port: DNS_PORT }));
}

function parseServer(text: string): Server {
  const match = /^(?:\[([^\]]+)\]|([\d.]+)|([0-9a-fA-F:]+:[0-9a-fA-F:]*))(?::(\d{1,5}))?$/.exec(text);
  const address = match?.[1] ?? match?.[2] ?? match?.[3] ?? '';
  const port = Number(match?.[4] ?? DNS_PORT);
  if (isIP(address) === 0 || port > 65_535) throw new CodedError('invalid_argument', `${text} is no address of a resolver`, { text });
  return { address, port };
}

/** undefined: no answer in time. Other datagrams are not heard. */
function askUdp({ address, port }: Server, message: Buffer, id: number, question: Question): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = createSocket(isIP(address.split('%')[0] ?? '') === 6 ? 'udp6' : 'udp4');
    const done = (answer: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.removeAllListeners();
      socket.on('error', () => undefined);
      socket.close();
      resolve(answer);
    };
    const timer = setTimeout(done, TRY_MS, undefined);
    socket.once('error', () => {
      done(undefined);
    });
    socket.on('message', (answer) => {
      if (answers(answer, id, question)) done(answer);
    });
    // Connected: the kernel lets in datagrams of that server alone, and tells when nobody listens there.
    socket.connect(port, address, () => {
      socket.send(message);
    });
  });
}

function askTcp({ address, port }: Server, message: Buffer, id: number, question: Question): Promise<Buffer | undefined> {
  return new Promise((resolve) => {
    const socket = connect({ host: address, port });
    let received = Buffer.alloc(0);
    const done = (answer: Buffer | undefined): void => {
      clearTimeout(timer);
      socket.destroy();
      resolve(answer);
    };
    const timer = setTimeout(done, TRY_MS, undefined);
    socket.on('error', () => {
      done(undefined);
    });
    socket.on('close', () => {
      done(undefined);
    });
    socket.on('data', (chunk) => {
      received = Buffer.concat([received, chunk]);
      const size = received.length < 2 ? MAX_TCP_BYTES : received.readUInt16BE(0);
      if (received.length < 2 + size) return;
      const answer = received.subarray(2, 2 + size);
      done(answers(answer, id, question) ? answer : undefined);
    });
    const length = Buffer.alloc(2);
    length.writeUInt16BE(message.length);
    socket.write(Buffer.concat([length, message]));
  });
}
