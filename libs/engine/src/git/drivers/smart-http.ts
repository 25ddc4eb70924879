import { CodedError } from '#kernel';
import type { UrlFetcher, UrlReply } from '../../registry-client/index.js';
import type { GitAddress } from '../git-address.js';
import { dataPacket, DELIMITER, FLUSH, lineOf, packets, type Packet } from './pkt-lines.js';

/** What a server names; `commit`: behind an annotated tag. */
interface Ref {
  readonly name: string;
  readonly commit: string;
}

const SERVICE = 'git-upload-pack';
const MAX_LINES = 10_000;
const PACK_BAND = 1;
const ERROR_BAND = 3;
const HASH = /^[0-9a-f]{40}$/;

/** A server's side of one fetch, in the second version of Git's protocol (gitprotocol-v2(5), gitprotocol-http(5)): a request and an answer each time. */
export class SmartHttp {
  private capabilities: readonly string[] = [];
  private base: URL;
  private authorization: string | undefined;

  constructor(
    private readonly fetcher: Pick<UrlFetcher, 'exchange'>,
    private readonly address: GitAddress,
    private readonly signal: AbortSignal,
  ) {
    this.base = address.url;
    this.authorization = address.authorization;
  }

  /** To be called first. @throws CodedError `not_found`, `unauthenticated`, `unsupported`, as `UrlFetcher.exchange` */
  async discover(): Promise<void> {
    const reply = await this.checked(await this.fetcher.exchange(`${this.base.href.replace(/\/$/, '')}/info/refs?service=${SERVICE}`, { headers: this.headers(), signal: this.signal }));
    this.follow(reply.url);
    const lines: string[] = [];
    for await (const packet of limited(reply.bytes)) if (packet.kind === 'data') lines.push(lineOf(packet));
    const from = lines.indexOf('version 2');
    if (from < 0) throw new CodedError('unsupported', `${this.name}: the Git server does not speak version 2 of its protocol`);
    this.capabilities = lines.slice(from + 1);
    if (this.capabilities.some((line) => line.startsWith('object-format=') && line !== 'object-format=sha1')) throw new CodedError('unsupported', `${this.name}: repositories with other hashes than SHA-1 are not supported`);
  }

  /** @throws CodedError `not_found`: no such ref */
  async commitOf(ref: string | undefined): Promise<string> {
    if (ref !== undefined && HASH.test(ref)) return ref;
    // As git-rev-parse(1) looks names up.
    const names = ref === undefined ? ['HEAD'] : [ref, `refs/${ref}`, `refs/tags/${ref}`, `refs/heads/${ref}`];
    const found = await this.refs(names);
    const commit = names.map((name) => found.find((each) => each.name === name)).find((each) => each !== undefined)?.commit;
    if (commit === undefined) throw new CodedError('not_found', ref === undefined ? `${this.name}: the repository is empty` : `${this.name}: couldn't find remote ref ${ref}`);
    return commit;
  }

  /** A pack with all that the commit needs, and none of its ancestors. */
  async *pack(commit: string): AsyncGenerator<Buffer, void, undefined> {
    const shallow = this.capabilities.some((line) => line.startsWith('fetch=') && line.slice('fetch='.length).split(' ').includes('shallow'));
    const reply = await this.ask('fetch', ['no-progress', 'ofs-delta', ...(shallow ? ['deepen 1'] : []), `want ${commit}`, 'done']);
    let inPack = false;
    for await (const packet of packets(reply.bytes)) {
      if (packet.kind !== 'data') continue;
      if (!inPack) {
        const line = lineOf(packet);
        if (line.startsWith('ERR ')) throw refused(this.name, line.slice('ERR '.length));
        inPack = line === 'packfile';
        continue;
      }
      const band = packet.bytes[0];
      if (band === ERROR_BAND) throw refused(this.name, packet.bytes.toString('utf8', 1));
      if (band === PACK_BAND) yield packet.bytes.subarray(1);
    }
    if (!inPack) throw new CodedError('protocol_violation', `${this.name}: the Git server has sent no pack`);
  }

  private async refs(names: readonly string[]): Promise<Ref[]> {
    const reply = await this.ask('ls-refs', ['peel', ...names.map((name) => `ref-prefix ${name}`)]);
    const refs: Ref[] = [];
    for await (const packet of limited(reply.bytes)) {
      const line = lineOf(packet);
      if (line.startsWith('ERR ')) throw refused(this.name, line.slice('ERR '.length));
      const [hash = '', name = '', ...attributes] = line.split(' ');
      const peeled = attributes.find((each) => each.startsWith('peeled:'))?.slice('peeled:'.length);
      if (HASH.test(peeled ?? hash)) refs.push({ name, commit: peeled ?? hash });
    }
    return refs;
  }

  private async ask(command: string, args: readonly string[]): Promise<UrlReply> {
    const format = this.capabilities.some((line) => line.startsWith('object-format=')) ? dataPacket('object-format=sha1') : '';
    const body = Buffer.from(`${dataPacket(`command=${command}`)}${format}${DELIMITER}${args.map(dataPacket).join('')}${FLUSH}`);
    const headers = { ...this.headers(), 'content-type': `application/x-${SERVICE}-request`, accept: `application/x-${SERVICE}-result`, 'content-length': String(body.length) };
    return this.checked(await this.fetcher.exchange(`${this.base.href.replace(/\/$/, '')}/${SERVICE}`, { method: 'POST', headers, body, signal: this.signal }));
  }

  private headers(): Record<string, string> {
    return { 'git-protocol': 'version=2', ...(this.authorization === undefined ? {} : { authorization: this.authorization }) };
  }

  /** Where the first answer came from the others are asked for; what was meant for another host stays behind. */
  private follow(url: URL): void {
    const path = url.pathname.replace(/\/info\/refs$/, '');
    if (url.origin !== this.base.origin) this.authorization = undefined;
    this.base = new URL(path, url.origin);
  }

  private async checked(reply: UrlReply): Promise<UrlReply> {
    if (reply.status === 200) return reply;
    await reply.bytes.return?.();
    const { status } = reply;
    if (status === 401 || status === 403) throw new CodedError('unauthenticated', `${this.name}: the repository is not open to everybody, or is not there`, { status });
    throw new CodedError(status === 404 ? 'not_found' : 'unavailable', `${this.name}: received unexpected HTTP status: ${status}`, { status });
  }

  private get name(): string {
    return `${this.address.url.origin}${this.address.url.pathname}`.slice(0, 300);
  }
}

async function* limited(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<Packet, void, undefined> {
  let count = 0;
  for await (const packet of packets(bytes)) {
    if ((count += 1) > MAX_LINES) throw new CodedError('protocol_violation', `the Git server's answer has more than ${MAX_LINES} lines`);
    yield packet;
  }
}

function refused(name: string, message: string): CodedError {
  const text = message.trim().slice(0, 300);
  return new CodedError(/not our ref|not found|unknown/i.test(text) ? 'not_found' : 'unavailable', `${name}: ${text}`);
}
