import { CodedError, isCodedError, type Digest } from '#kernel';
import { bytesOf, cancelled, dismiss, type WireReply } from './dialer.js';
import { dropped, isPassing } from './failures.js';
import { faultError, faultOf } from './registry-errors.js';
import type { RegistrySession } from './registry-session.js';
import { pauseBefore } from './retries.js';

/** So much more than before, and the line counts as good again. */
const PROGRESS_BYTES = 1024 * 1024;
const MAX_FRUITLESS_TRIES = 6;

export interface BlobRequest {
  readonly repository: string;
  readonly digest: Digest;
  readonly size: number;
  readonly scopes: readonly string[];
  readonly signal: AbortSignal;
}

/**
 * The bytes of a registry's blob from `offset` on, over as many connections as it takes: each goes on where the last one broke. Not
 * verified, but never more than the announced size.
 * @throws CodedError `digest_mismatch` (longer or shorter than announced), `not_found`, `unavailable` and what else a registry answers, `cancelled`
 */
export async function* blobBytes(session: RegistrySession, blob: BlobRequest, offset: number): AsyncGenerator<Buffer, void, void> {
  let position = offset;
  let lastGood = offset;
  let ranges = true;
  for (let tries = 1; position < blob.size; tries += 1) {
    try {
      const reply = await ask(session, blob, ranges ? position : 0);
      if (reply.status === 416) {
        dismiss(reply);
        ranges = false;
        continue;
      }
      for await (const chunk of fromPosition(reply, position, blob)) {
        yield chunk;
        position += chunk.length;
      }
      if (position < blob.size) throw dropped(`blob ${blob.digest} ended after ${position} of ${blob.size} bytes`);
    } catch (error) {
      if (position - lastGood >= PROGRESS_BYTES) tries = 1;
      lastGood = position;
      if (!isPassing(error)) throw error;
      if (tries >= MAX_FRUITLESS_TRIES) throw isShort(error) ? mismatch(blob, position) : error;
      await pauseBefore(error, tries, session.timing, blob.signal);
    }
  }
}

async function ask(session: RegistrySession, blob: BlobRequest, from: number): Promise<WireReply> {
  const reply = await session.sendOnce({
    method: 'GET',
    target: `/v2/${blob.repository}/blobs/${blob.digest}`,
    scopes: blob.scopes,
    signal: blob.signal,
    ...(from > 0 ? { headers: { range: `bytes=${from}-` } } : {}),
  });
  if (reply.status === 200 || reply.status === 206 || (reply.status === 416 && from > 0)) return reply;
  throw faultError(reply.status, faultOf(reply.status, await session.bodyOf(reply)));
}

/** The rest of the blob, wherever the answer begins: a server that does no ranges sends what is here already once more. */
async function* fromPosition(reply: WireReply, position: number, blob: BlobRequest): AsyncGenerator<Buffer, void, void> {
  let at = reply.status === 206 ? rangeStart(reply) : 0;
  const announced = Number(reply.headers['content-length'] ?? Number.NaN);
  if (at > position || at + announced > blob.size) {
    reply.body.destroy();
    throw at > position ? new CodedError('protocol_violation', 'the registry sent another range than it was asked for', { digest: blob.digest }) : mismatch(blob, at + announced);
  }
  for await (const chunk of bytesOf(reply, blob.signal)) {
    const wanted = at >= position ? chunk : chunk.subarray(Math.min(chunk.length, position - at));
    at += chunk.length;
    if (at > blob.size) throw mismatch(blob, at);
    if (wanted.length > 0) yield wanted;
    if (blob.signal.aborted) throw cancelled(blob.signal);
  }
}

function rangeStart(reply: WireReply): number {
  const match = /^bytes (\d{1,15})-/.exec(reply.headers['content-range'] ?? '');
  if (match) return Number(match[1]);
  reply.body.destroy();
  throw new CodedError('protocol_violation', 'the registry sent a part of a blob and did not say which');
}

function isShort(error: unknown): boolean {
  return isCodedError(error) && / ended after /.test(error.message);
}

function mismatch({ digest, size }: BlobRequest, actual: number): CodedError {
  return new CodedError('digest_mismatch', `filesystem layer verification failed for digest ${digest}`, { expected: size, actual });
}
