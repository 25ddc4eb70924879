import type { Digest } from '#kernel';

export interface BlobInfo {
  readonly digest: Digest;
  readonly size: number;
}

/**
 * The bytes of one blob, to be iterated once. They are verified as they pass: a blob that is damaged, cut or grown ends the
 * iteration with `digest_mismatch`, so nothing may be made of the bytes before the iteration has ended well.
 */
export interface BlobReader extends AsyncIterable<Uint8Array> {
  readonly digest: Digest;
  readonly size: number;
  /** Idempotent. The end of an iteration, of whatever kind, closes it too. */
  close(): Promise<void>;
}

/** Immutable bytes named by their digest. A blob is invisible until it is whole, verified and on disk (fsync). */
export interface ContentStore {
  /**
   * Streams `source` in. Idempotent: bytes already present are accepted and stored once; a damaged copy is replaced.
   * `pin` takes the digest before the blob is visible: a writer that does not know it beforehand cannot pin it in time.
   * @throws CodedError `digest_mismatch` when the bytes do not hash to `expected`; nothing is kept. What `source` throws, likewise.
   * With `pin`, its digest is under the pin before the blob can be seen.
   */
  write(source: AsyncIterable<Uint8Array>, expected?: Digest, pin?: Pin): Promise<BlobInfo>;
  /** The caller owns the reader; a blob that is deleted meanwhile stays readable. @throws CodedError `not_found` */
  open(digest: Digest): Promise<BlobReader>;
  /** Whole, verified content of a small blob (a config, a manifest). @throws CodedError `not_found`, `payload_too_large`, `digest_mismatch` */
  read(digest: Digest, maxBytes?: number): Promise<Buffer>;
  /** undefined when there is none, or one that a reader has found damaged. */
  stat(digest: Digest): Promise<BlobInfo | undefined>;
  list(): AsyncIterable<BlobInfo>;
  /** Idempotent. Nobody may still need it; a blob that is pinned stays, and is the next sweep's. */
  delete(digest: Digest): Promise<void>;
  /**
   * Protects these digests, present or still to come, from `delete` and `sweep` until the pin is released. Resolves when no deletion of
   * them is under way: what `stat` then shows stays. Pins end with the process.
   */
  pin(digests: Iterable<Digest>): Promise<Pin>;
  /**
   * A download that can be taken up again: bytes are kept under the digest they are to have, across restarts, until they are whole.
   * One writer a digest at a time: a second caller waits for the first. Pin the digest first. When the blob is there, `offset` is its size
   * and `commit` answers at once. The bytes that are kept come from anyone who claimed this digest: they may be bad, which `commit` tells.
   */
  ingest(expected: Digest, size?: number): Promise<Ingest>;
  /**
   * Removes blobs that `isNeeded` denies and nobody pins, and partial downloads that nobody pins or writes and that have not grown for an
   * hour (a pull that a restart broke off is taken up again, so what it had whole stays as long). `isNeeded` is asked, without a pause before the deletion, for each.
   */
  sweep(isNeeded: (digest: Digest) => boolean): Promise<{ readonly removed: readonly BlobInfo[] }>;
}

export interface Pin {
  /** More of the same. */
  add(digests: Iterable<Digest>): Promise<void>;
  /** Idempotent. */
  release(): void;
}

export interface Ingest {
  /** Bytes that are there already: go on from here. */
  readonly offset: number;
  /**
   * @throws CodedError `digest_mismatch` (more than `size`: all is forgotten), `resource_exhausted` (the disk is full: all is forgotten, and
   * so are other downloads that nobody writes or pins)
   */
  write(chunk: Uint8Array): Promise<void>;
  /** Forgets what is there (the server does not do ranges, or the bytes were bad): `offset` is 0 from now on. */
  restart(): Promise<void>;
  /** Verified, fsynced, visible. @throws CodedError `digest_mismatch`, `resource_exhausted`: the bytes are forgotten. */
  commit(): Promise<BlobInfo>;
  /** Leaves what is there for the next. Idempotent; after `commit` nothing. */
  close(): Promise<void>;
}
