import { setTimeout as sleep } from 'node:timers/promises';
import { isCodedError, CodedError } from '#kernel';
import type { ContentStore, Ingest } from '../../content/index.js';
import { blobBytes, type BlobRequest } from './blob-bytes.js';
import { cancelled } from './dialer.js';
import type { RegistrySession } from './registry-session.js';

/**
 * Brings a blob, which the caller has pinned, into the content store. `onBytes` hears how much of it is here. One that others have brought is
 * fetched all the same unless `mayHave`: the registry must have it for us, a digest alone opens nothing.
 */
export async function fetchBlob(session: RegistrySession, content: ContentStore, blob: BlobRequest, mayHave: () => boolean, onBytes: (current: number) => void): Promise<void> {
  try {
    let ingest = await claim(content, blob, session.timing.layerWaitMs);
    const here = ingest && (await content.stat(blob.digest));
    const isOthers = ingest && ingest.offset > 0 && ingest.offset >= blob.size && !mayHave();
    // One of another size is cut: it is written anew.
    if (ingest && (isOthers || (here && here.size !== blob.size))) {
      await ingest.close();
      ingest = undefined;
    }
    if (ingest) await fill(session, ingest, blob, onBytes);
    else await content.write(counted(blobBytes(session, blob, 0), onBytes), blob.digest);
  } catch (error) {
    if (!isCodedError(error, 'digest_mismatch')) throw error;
    throw new CodedError('digest_mismatch', `filesystem layer verification failed for digest ${blob.digest}`, error.details, { cause: error });
  }
}

/**
 * The download that others have begun, or undefined when another transfer keeps it for too long: a slow registry of one tenant must
 * not hold up the pulls of the others.
 */
async function claim(content: ContentStore, { digest, size, signal }: BlobRequest, waitMs: number): Promise<Ingest | undefined> {
  const claiming = content.ingest(digest, size);
  const timer = new AbortController();
  try {
    const patience = sleep(waitMs, undefined, { signal: AbortSignal.any([signal, timer.signal]) }).catch(() => undefined);
    const ingest = await Promise.race([claiming, patience]);
    if (ingest && !signal.aborted) return ingest;
    claiming.then((late) => late.close()).catch(() => undefined);
    if (signal.aborted) throw cancelled(signal);
    return undefined;
  } finally {
    timer.abort();
  }
}

async function fill(session: RegistrySession, ingest: Ingest, blob: BlobRequest, onBytes: (current: number) => void): Promise<void> {
  try {
    const isResumed = ingest.offset > 0;
    try {
      await append(session, ingest, blob, onBytes);
      await ingest.commit();
    } catch (error) {
      // The part that was here may be the bad one: whoever claims a digest can have begun it.
      if (!isResumed || !isCodedError(error, 'digest_mismatch')) throw error;
      await ingest.restart();
      await append(session, ingest, blob, onBytes);
      await ingest.commit();
    }
  } finally {
    await ingest.close();
  }
}

async function append(session: RegistrySession, ingest: Ingest, blob: BlobRequest, onBytes: (current: number) => void): Promise<void> {
  for await (const chunk of blobBytes(session, blob, ingest.offset)) {
    await ingest.write(chunk);
    onBytes(ingest.offset);
  }
}

async function* counted(source: AsyncIterable<Buffer>, onBytes: (current: number) => void): AsyncGenerator<Buffer, void, void> {
  let current = 0;
  for await (const chunk of source) {
    yield chunk;
    current += chunk.length;
    onBytes(current);
  }
}
