import type { Readable } from 'node:stream';
import { CodedError, isCodedError } from '#kernel';

const MiB = 1024 * 1024;
/** A push of the 2,048 commits that GitHub tells at most takes a few MiB. */
export const MAX_WEBHOOK_BYTES = 8 * MiB;
/** Of one tenant's webhooks, and of all of this gateway's: who knows an address, but not the secret, can hold as much and no more. */
const MAX_OWNER_BYTES = 16 * MiB;
const MAX_ALL_BYTES = 128 * MiB;

/** Bodies whose sender is known only when all of them is there. What is held of them at once has a bound. */
export class WebhookBodies {
  private readonly owners = new Map<string, number>();
  private all = 0;

  /**
   * Hands the whole body to `use`, and lets go of it then. Without an owner (nobody waits for it) it is read all the same and not kept, so that its sender
   * learns nothing from when the answer comes.
   * @throws CodedError `payload_too_large`, `resource_exhausted` (too much is held just now), `cancelled` (its sender has gone)
   */
  async read<T>(body: Readable | undefined, owner: string | undefined, use: (bytes: Buffer) => Promise<T>): Promise<T> {
    const pieces: Buffer[] = [];
    try {
      for await (const piece of piecesOf(body)) {
        if (owner === undefined) continue;
        this.take(owner, piece.length);
        pieces.push(piece);
      }
      return await use(Buffer.concat(pieces));
    } finally {
      if (owner !== undefined) this.give(owner, pieces.reduce((sum, { length }) => sum + length, 0));
    }
  }

  private take(owner: string, bytes: number): void {
    const own = this.owners.get(owner) ?? 0;
    if (own + bytes > MAX_OWNER_BYTES || this.all + bytes > MAX_ALL_BYTES) throw new CodedError('resource_exhausted', 'too many webhooks are being received: try again');
    this.owners.set(owner, own + bytes);
    this.all += bytes;
  }

  private give(owner: string, bytes: number): void {
    const left = (this.owners.get(owner) ?? 0) - bytes;
    if (left > 0) this.owners.set(owner, left);
    else this.owners.delete(owner);
    this.all -= bytes;
  }
}

async function* piecesOf(body: Readable | undefined): AsyncGenerator<Buffer, void, undefined> {
  if (body === undefined) return;
  let bytes = 0;
  // Not destroyed when it is too long: the connection is read on, so that its sender gets the answer.
  const pieces = body.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>;
  try {
    for await (const piece of pieces) {
      bytes += piece.length;
      if (bytes > MAX_WEBHOOK_BYTES) throw new CodedError('payload_too_large', 'the body is too large', { bytes: MAX_WEBHOOK_BYTES });
      yield piece;
    }
  } catch (error) {
    if (isCodedError(error)) throw error;
    throw new CodedError('cancelled', 'the sender has gone before all of the body was there', {}, { cause: error });
  }
}
