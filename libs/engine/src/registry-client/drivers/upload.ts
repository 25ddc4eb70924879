import { createHash } from 'node:crypto';
import { CodedError, finishDigest, isCodedError, type Digest } from '#kernel';
import { dismiss, type WireReply } from './dialer.js';
import { isPassing } from './failures.js';
import { measure, type GzipLayer } from './gzip-layers.js';
import { faultError, faultOf } from './registry-errors.js';
import type { RegistrySession, SessionRequest } from './registry-session.js';
import { pauseBefore } from './retries.js';

const MAX_TRIES = 6;
/** A registry may read a whole layer again before it answers. */
const FINISH_STALL_MS = 5 * 60_000;

export interface BlobUpload {
  readonly repository: string;
  readonly scopes: readonly string[];
  readonly signal: AbortSignal;
  /** The same bytes each time. */
  readonly open: () => AsyncIterable<Buffer>;
  /** Absent: nobody knows before the bytes have passed. */
  readonly known?: GzipLayer;
  /** Where a refused mount says that the upload may begin. */
  readonly location?: URL;
}

/** Sends a blob to a registry: one streamed PATCH that goes on where it broke, then the PUT that names it (distribution-spec, "Pushing a blob in chunks"). */
export class Upload {
  private location: URL | undefined;
  private offset = 0;
  private sent: GzipLayer | undefined;

  constructor(
    private readonly session: RegistrySession,
    private readonly blob: BlobUpload,
  ) {
    this.location = blob.location;
  }

  async run(): Promise<GzipLayer> {
    for (let tries = 1; ; tries += 1) {
      try {
        this.location ??= await this.begin();
        return (await this.stream(this.location)) ? await this.finish() : await this.sendWhole(this.location);
      } catch (error) {
        if (tries >= MAX_TRIES || !(isPassing(error) || isLost(error))) throw error;
        await pauseBefore(error, tries, this.session.timing, this.blob.signal);
        await this.findPosition();
      }
    }
  }

  private async begin(): Promise<URL> {
    this.offset = 0;
    const reply = await this.send({ method: 'POST', target: `/v2/${this.blob.repository}/blobs/uploads/`, headers: { 'content-length': '0' } }, [202]);
    return nextLocation(reply, this.session);
  }

  /** False: the registry takes no parts. */
  private async stream(location: URL): Promise<boolean> {
    const { known, open } = this.blob;
    const from = this.offset;
    const range = known ? { 'content-length': String(known.size - from), 'content-range': `${from}-${known.size - 1}` } : {};
    const reply = await this.sendOnce({ method: 'PATCH', target: location, headers: { 'content-type': 'application/octet-stream', ...(known && known.size === from ? { 'content-length': '0' } : range) }, body: () => this.rest(open(), from) });
    if (reply.status === 405 || reply.status === 415 || reply.status === 501) {
      dismiss(reply);
      return false;
    }
    await this.expect(reply, [202, 204]);
    this.location = nextLocation(reply, this.session, location);
    return true;
  }

  /** Hashes all of it, sends what the registry has not. */
  private async *rest(source: AsyncIterable<Buffer>, from: number): AsyncGenerator<Buffer, void, void> {
    const hash = createHash('sha256');
    let position = 0;
    this.sent = undefined;
    for await (const chunk of source) {
      hash.update(chunk);
      const skipped = Math.min(chunk.length, Math.max(0, from - position));
      position += chunk.length;
      if (skipped < chunk.length) yield chunk.subarray(skipped);
    }
    this.sent = { digest: finishDigest(hash), size: position };
  }

  private async finish(): Promise<GzipLayer> {
    const { location } = this;
    // A registry that was told the length answers at the last byte, before the stream has said that it ends.
    const sent = this.blob.known ?? this.sent;
    if (!sent || !location) throw new CodedError('protocol_violation', 'the registry answered an upload before its end');
    await this.put(location, sent.digest, {});
    return sent;
  }

  private async sendWhole(location: URL): Promise<GzipLayer> {
    const { known, open } = this.blob;
    const sent = known ?? (await measure(open()));
    await this.put(location, sent.digest, { headers: { 'content-type': 'application/octet-stream', 'content-length': String(sent.size) }, body: open });
    return sent;
  }

  private async put(location: URL, digest: Digest, request: Pick<SessionRequest, 'headers' | 'body'>): Promise<void> {
    const target = new URL(location);
    target.searchParams.set('digest', digest);
    const headers = request.headers ?? { 'content-length': '0', 'content-type': 'application/octet-stream' };
    const reply = await this.sendOnce({ method: 'PUT', target, stallMs: FINISH_STALL_MS, ...request, headers });
    await this.expect(reply, [201, 204]);
    dismiss(reply);
  }

  /** After a failure: where to go on, or from the start when the registry does not know. */
  private async findPosition(): Promise<void> {
    if (!this.location) return;
    const reply = await this.session.send(this.requestOf({ method: 'GET', target: this.location }));
    dismiss(reply);
    const last = /^(?:bytes=)?0-(\d{1,15})$/.exec(reply.headers.range ?? '')?.[1];
    // `0-0` is said of one byte and of none.
    if (reply.status !== 204 || last === undefined || last === '0') {
      this.location = undefined;
      this.offset = 0;
      return;
    }
    this.offset = Number(last) + 1;
    this.location = nextLocation(reply, this.session, this.location);
  }

  private async send(request: Pick<SessionRequest, 'method' | 'target' | 'headers'>, expected: readonly number[]): Promise<WireReply> {
    const reply = await this.session.send(this.requestOf(request));
    await this.expect(reply, expected);
    return reply;
  }

  private sendOnce(request: Omit<SessionRequest, 'scopes' | 'signal'>): Promise<WireReply> {
    return this.session.sendOnce(this.requestOf(request));
  }

  private requestOf(request: Omit<SessionRequest, 'scopes' | 'signal'>): SessionRequest {
    return { ...request, scopes: this.blob.scopes, signal: this.blob.signal };
  }

  private async expect(reply: WireReply, expected: readonly number[]): Promise<void> {
    if (!expected.includes(reply.status)) throw faultError(reply.status, faultOf(reply.status, await this.session.bodyOf(reply)));
    dismiss(reply);
  }
}

/** The registry has forgotten the upload, or disagrees about how far it came. */
function isLost(error: unknown): boolean {
  return isCodedError(error) && (error.details.status === 404 || error.details.status === 416);
}

/** @throws CodedError `protocol_violation` */
export function nextLocation(reply: WireReply, session: RegistrySession, current?: URL): URL {
  const { location } = reply.headers;
  if (location === undefined && current) return current;
  if (location === undefined || !URL.canParse(location, reply.url.href)) throw new CodedError('protocol_violation', 'the registry does not say where to send a blob');
  const url = new URL(location, reply.url);
  if (url.protocol !== session.base.protocol && url.protocol !== 'https:') throw new CodedError('protocol_violation', 'the registry wants a blob to be sent without TLS');
  return url;
}
